//! The tool `search_odoo_knowledge`: a search as `POST /v1/search` takes it, its answer within a budget of tokens.

use std::fmt::Write as _;

use rmcp::model::JsonObject;
use serde_json::{Value, json};

use super::{Told, arguments, text};
use crate::app::{App, Hit, SearchAnswer, SearchRequest, Span};
use crate::domain::{Failure, TenantId};

/// The tokens of an answer's texts where the call does not say.
pub(super) const TOKENS: usize = 8_000;

/// Answers one call.
pub(super) async fn call(app: &App, tenant: &TenantId, arguments: JsonObject) -> Result<Told, Failure> {
    let answer = app.answer(tenant, request(arguments)?).await?;
    Ok(told(&answer))
}

fn request(arguments: JsonObject) -> Result<SearchRequest, Failure> {
    let mut request: SearchRequest = arguments::read(arguments)?;
    request.pack.get_or_insert(TOKENS);
    request.clone().checked().map_err(|error| Failure::bad_input(error.to_string()))?;
    Ok(request)
}

fn told(answer: &SearchAnswer) -> Told {
    let spans = answer.spans.as_deref().unwrap_or_default();
    let results: Vec<Value> = answer.results.iter().map(without_text).collect();
    let data = json!({ "took_ms": answer.took_ms, "results": results, "spans": spans.iter().map(span).collect::<Vec<_>>() });
    Told { text: for_readers(&answer.results, spans), data }
}

/// All of an answer but its text, which the spans have.
fn without_text(hit: &Hit) -> Value {
    let mut shown = json!(hit);
    shown["text"] = Value::Null;
    text::bounded(shown)
}

fn span(span: &Span) -> Value {
    let Span { place, why, text, refs } = span;
    let mut shown = text::bounded(json!({ "place": place, "why": why, "refs": refs }));
    shown["text"] = text::clean(text).into();
    shown
}

fn for_readers(hits: &[Hit], spans: &[Span]) -> String {
    if hits.is_empty() {
        return "Nothing was found. Try fewer filters or other words; what is not indexed is not found (`odoo-agent index` brings sources in)."
            .to_owned();
    }
    let mut shown = format!("{} found, best first. {}\n", hits.len(), text::NOTICE);
    for (number, hit) in hits.iter().enumerate() {
        let _ = writeln!(shown, "{}. {}", number + 1, headline(hit));
    }
    for span in spans {
        shown.push_str(&text::fenced(&span.place, &text::clean(&span.text)));
    }
    let with_text: usize = spans.iter().map(|span| span.refs.len()).sum();
    if with_text < hits.len() {
        let _ = write!(shown, "\n{} more had no room for their text: raise pack, or lower limit.\n", hits.len() - with_text);
    }
    shown
}

fn headline(hit: &Hit) -> String {
    let place = match (&hit.path, hit.start_line, hit.end_line) {
        (Some(path), Some(start), Some(end)) => format!("{path}:{start}-{end}"),
        _ => hit.r#ref.clone(),
    };
    let series: Vec<&str> = hit.version.iter().chain(&hit.also).map(String::as_str).collect();
    let said = [hit.doc_type.as_str(), hit.kind.as_str(), &series.join(" ")].join(" ");
    let name = hit.symbol.as_deref().unwrap_or(&hit.title);
    format!("{} | {} | {} | {}", text::line(&place), text::line(name), text::line(said.trim_end()), text::line(&hit.why))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::knowledge;

    fn hit(n: i32, text: &str) -> Hit {
        Hit {
            score: 0.5,
            why: format!("in the traceback, line {n}"),
            doc_type: "custom".to_owned(),
            kind: "method".to_owned(),
            module: Some("shop".to_owned()),
            version: Some("19.0".to_owned()),
            also: vec!["18.0".to_owned()],
            path: Some("shop/m.py".to_owned()),
            symbol: Some(format!("Desk.m{n}")),
            odoo_model: None,
            start_line: Some(n),
            end_line: Some(n + 1),
            r#ref: format!("shop.m{n}"),
            title: "a method".to_owned(),
            text: text.to_owned(),
        }
    }

    fn answered(hits: Vec<Hit>, tokens: usize) -> Told {
        let spans = knowledge::pack(&hits, tokens);
        told(&SearchAnswer { took_ms: 1.5, results: Arc::new(hits), spans: Some(spans) })
    }

    fn asked(arguments: Value) -> Result<SearchRequest, String> {
        request(arguments.as_object().unwrap().clone()).map_err(|failure| failure.to_string())
    }

    #[test]
    fn an_answer_names_places_and_reasons() {
        let told = answered(vec![hit(5, "def m5(self):\n    return 1"), hit(50, "x = 1")], TOKENS);
        assert!(told.text.contains("1. shop/m.py:5-6 | Desk.m5 | custom method 19.0 18.0 | in the traceback, line 5"), "{}", told.text);
        assert!(told.text.contains("### shop/m.py:50-51\n```\nx = 1\n```") && told.text.contains(text::NOTICE), "{}", told.text);
        assert_eq!(told.data["results"][0]["path"], "shop/m.py");
        assert_eq!((&told.data["results"][0]["text"], &told.data["results"][0]["odoo_model"]), (&Value::Null, &Value::Null));
        assert_eq!(told.data["spans"][0]["text"], "def m5(self):\n    return 1");
        assert!(answered(Vec::new(), TOKENS).text.contains("Nothing was found"));
    }

    #[test]
    fn an_answer_keeps_to_its_declaration_and_its_bounds() {
        let tool = super::super::TOOLS.iter().find(|tool| tool.name == "search_odoo_knowledge").unwrap();
        let schema = jsonschema::validator_for(&Value::Object((**tool.output_schema.as_ref().unwrap()).clone())).unwrap();
        let mut hits: Vec<Hit> = (0..100).map(|n| hit(n * 10, &"a_line = of_code()\n".repeat(2_000))).collect();
        hits[7].title = "t".repeat(1_000_000);
        hits[8].why = "w".repeat(1_000_000);
        for told in [answered(hits, TOKENS), answered(vec![hit(1, "")], 1), answered(Vec::new(), 1)] {
            assert!(schema.is_valid(&told.data), "{:?}", schema.iter_errors(&told.data).next());
            assert!(
                told.text.len() < 64_000 && told.data.to_string().len() < 96_000,
                "{} {}",
                told.text.len(),
                told.data.to_string().len()
            );
        }
    }

    #[test]
    fn what_is_not_shown_is_said() {
        let hits = (0..30).map(|n| hit(n * 10, &"a_line = of_code()\n".repeat(200))).collect();
        assert!(answered(hits, 1_000).text.contains("more had no room for their text: raise pack"));
    }

    #[test]
    fn bad_arguments_are_named() {
        for (arguments, says) in [
            (json!({}), "the arguments: missing field `text`"),
            (json!({ "text": 5 }), "text: invalid type"),
            (json!({ "text": "x", "tenant": "acme" }), "unknown field `tenant`, expected one of `text`, `filters`, `limit`, `pack`"),
            (json!({ "text": "x", "limit": 0 }), "limit: use 1 to 100"),
            (json!({ "text": "x", "limit": 101 }), "limit: use 1 to 100"),
            (json!({ "text": "x", "limit": -1 }), "limit: invalid value"),
            (json!({ "text": "x", "pack": 100_001 }), "pack: use 1 to 100000"),
            (json!({ "text": "x", "filters": { "version": "19" } }), "filters.version: "),
            (json!({ "text": "x", "filters": { "kind": 5 } }), "filters.kind: this takes one name or a list of names"),
            (json!({ "text": "x", "filters": { "modul": "sale" } }), "unknown field `modul`"),
            (json!({ "text": "x".repeat(600_000) }), "text: at most 524288 bytes"),
        ] {
            let said = asked(arguments).unwrap_err();
            assert!(said.contains(says) && said.len() < 400, "{said}");
        }
    }

    #[test]
    fn arguments_that_are_left_out_or_null_have_their_defaults() {
        let declared = super::super::TOOLS[0].input_schema["properties"].clone();
        for arguments in [json!({ "text": "x" }), json!({ "text": "x", "limit": null, "pack": null, "filters": { "version": null } })] {
            let request = asked(arguments).unwrap();
            assert_eq!(
                (json!(request.limit), json!(request.pack)),
                (declared["limit"]["default"].clone(), declared["pack"]["default"].clone())
            );
        }
        let one = asked(json!({ "text": "x", "filters": { "kind": "method", "module": ["sale"] } })).unwrap();
        assert_eq!((one.filters.kind, one.filters.module), (vec!["method".to_owned()], vec!["sale".to_owned()]));
    }
}
