use super::*;

#[test]
fn dump() {
    for dir in ["tests/fixtures/logs", "/work/shared/corpus/dev"] {
        let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            let file = if path.is_dir() { path.join("log.txt") } else { path.clone() };
            println!("== {}", path.file_name().unwrap().to_string_lossy());
            for (n, r) in reports(&std::fs::read_to_string(file).unwrap()).iter().enumerate() {
                if n > 4 { break }
                println!("   {} {:?} m={} at={} {} | {}", r.class.as_str(), r.fault, r.module.as_ref().map_or("-", |m| m.as_str()), r.location.as_ref().map_or("-".into(), |l| l.to_string()), serde_json::to_string(&r.object).unwrap(), r.title);
            }
        }
    }
}
