use odoo_agent::knowledge::*;
#[tokio::main]
async fn main() {
    let mut config = odoo_agent::config::Config::load(None).unwrap();
    let _ = &mut config;
    let app = odoo_agent::app::App::connect(config).await.unwrap();
    let text = std::fs::read_to_string("/work/shared/retrieval/past_errors.jsonl").unwrap();
    let errors: Vec<KnownError> = text
        .lines()
        .map(|l| {
            let v: serde_json::Value = serde_json::from_str(l).unwrap();
            KnownError {
                id: v["id"].as_str().unwrap().into(),
                version: format!("{}.0", v["version"]).parse().ok(),
                text: v["text"].as_str().unwrap().into(),
                solution: v["solution"].as_str().unwrap().into(),
            }
        })
        .collect();
    app.knowledge.keep_errors(&"default".parse().unwrap(), &errors).await.unwrap();
    println!("{}", errors.len());
}
