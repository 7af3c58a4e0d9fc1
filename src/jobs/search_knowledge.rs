//! A search as a job, for programs that speak to NATS only.

use serde_json::{Value, json};

use super::Ctx;
use crate::domain::{Failure, Outcome};
use crate::knowledge::{Answer, Hit, Request};

/// The bytes of JSON that the texts of results may take on a run: half of what its row may hold.
const MAX_TEXTS: usize = 4 * 1024 * 1024;

/// Answers one request out of what everybody may see and what is the tenant's own.
pub(super) async fn run(ctx: &Ctx, payload: &Value) -> Result<Outcome, Failure> {
    let request: Request = serde_json::from_value(payload.clone()).map_err(|error| Failure::bad_input(format!("the payload: {error}")))?;
    let answer = ctx.knowledge.answer(&ctx.tenant, request).await?;
    let summary = format!("{} texts were found", answer.results.len());
    ctx.tell("recall", &summary);
    Ok(Outcome { result: result(ctx, &answer, &summary), effects: Vec::new(), next: Vec::new() })
}

fn result(ctx: &Ctx, answer: &Answer, summary: &str) -> Value {
    let mut result = json!({
        "run_id": ctx.run,
        "outcome": "found",
        "summary": summary,
        "took_ms": answer.took_ms,
        "results": bounded(&answer.results, MAX_TEXTS),
    });
    if let Some(spans) = &answer.spans {
        result["spans"] = json!(spans);
    }
    result
}

/// The results with the texts of the best of them; of the others all but the text, which is `null` then.
fn bounded(results: &[Hit], bytes: usize) -> Vec<Value> {
    let mut left = bytes;
    let one = |hit: &Hit| {
        let mut shown = json!(hit);
        let size = shown["text"].to_string().len();
        match left.checked_sub(size) {
            Some(rest) => left = rest,
            None => shown["text"] = Value::Null,
        }
        shown
    };
    results.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::JobKind;
    use crate::knowledge::{Filters, Query};

    fn hit(name: &str, text: String) -> Hit {
        Hit {
            score: 1.0,
            why: "named".to_owned(),
            doc_type: "core".to_owned(),
            kind: "method".to_owned(),
            module: None,
            version: None,
            also: Vec::new(),
            path: None,
            symbol: None,
            odoo_model: None,
            start_line: None,
            end_line: None,
            r#ref: name.to_owned(),
            title: name.to_owned(),
            text,
        }
    }

    #[test]
    fn a_result_stays_within_its_bytes() {
        // A control character is one byte of text and six of JSON.
        let hits = [hit("small", "x".repeat(50)), hit("large", "\u{1}".repeat(50)), hit("last", "y".repeat(20))];
        let shown = bounded(&hits, 100);
        let texts: Vec<bool> = shown.iter().map(|hit| hit["text"].is_string()).collect();
        assert_eq!(texts, [true, false, true]);
        assert_eq!(shown[1]["ref"], "large");
    }

    #[test]
    fn schema_knows_what_search_knows() {
        let schema: Value = serde_json::from_str(JobKind::SearchKnowledge.schema()).unwrap();
        for filter in ["doc_type", "kind"] {
            for value in schema["$defs"][filter]["enum"].as_array().unwrap() {
                let filters: Filters = serde_json::from_value(json!({ filter: value })).unwrap();
                Query { text: "x".to_owned(), filters, limit: 1 }.check().unwrap();
            }
        }
        let example: Request = serde_json::from_str(JobKind::SearchKnowledge.example()).unwrap();
        assert_eq!(example.pack, Some(4000));
    }
}
