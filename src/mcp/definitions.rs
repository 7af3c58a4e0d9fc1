//! The tool `find_odoo_definitions`: a question as `GET /v1/definitions` takes it, its answer within a budget of tokens.

use std::fmt::Write as _;

use rmcp::model::JsonObject;
use serde::Deserialize;
use serde_json::{Value, json};

use super::search::TOKENS;
use super::{Told, arguments, text};
use crate::app::{App, Defined, DefinitionQuestion, MAX_TOKENS, Room, Sought};
use crate::domain::{Failure, OdooVersion, TenantId};

/// The most definitions that one answer tells.
const MOST: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    kind: Sought,
    name: String,
    version: Option<OdooVersion>,
    pack: Option<usize>,
}

/// Answers one call.
pub(super) async fn call(app: &App, tenant: &TenantId, arguments: JsonObject) -> Result<Told, Failure> {
    let (question, tokens) = question(arguments)?;
    let found = app.defined(tenant, &question).await?;
    Ok(told(&found, tokens))
}

fn question(arguments: JsonObject) -> Result<(DefinitionQuestion, usize), Failure> {
    let Arguments { kind, name, version, pack } = arguments::read(arguments)?;
    let tokens = pack.unwrap_or(TOKENS);
    arguments::within("pack", tokens, MAX_TOKENS)?;
    Ok((DefinitionQuestion { kind, name, version }, tokens))
}

fn told(found: &[Defined], tokens: usize) -> Told {
    let shown = &found[..found.len().min(MOST)];
    let left_out = found.len() - shown.len();
    let mut room = Room::new(tokens);
    let texts: Vec<Option<String>> =
        shown.iter().map(|defined| room.take(&defined.text, shown.len() == 1).map(|text| text::clean(&text))).collect();
    let definitions: Vec<Value> = shown.iter().zip(&texts).map(|(defined, text)| with_text(defined, text.as_deref())).collect();
    Told { text: for_readers(shown, &texts, left_out), data: json!({ "definitions": definitions, "left_out": left_out }) }
}

fn with_text(defined: &Defined, text: Option<&str>) -> Value {
    let Defined { module, version, path, line, depth, symbol, text: _ } = defined;
    let mut shown =
        text::bounded(json!({ "module": module, "version": version, "path": path, "line": line, "depth": depth, "symbol": symbol }));
    if let Some(text) = text {
        shown["text"] = text.into();
    }
    shown
}

fn for_readers(shown: &[Defined], texts: &[Option<String>], left_out: usize) -> String {
    if shown.is_empty() {
        return "Nothing that is indexed defines it. The name must be whole and exact; search_odoo_knowledge finds names by words."
            .to_owned();
    }
    let place = |defined: &Defined| format!("{}:{}", defined.path, defined.line);
    let mut told = format!("{} found, in the order in which Odoo loads or applies them. {}\n", shown.len() + left_out, text::NOTICE);
    for (number, defined) in shown.iter().enumerate() {
        let symbol = defined.symbol.as_deref().unwrap_or("-");
        let (place, symbol) = (text::line(&place(defined)), text::line(symbol));
        let _ = writeln!(told, "{}. {place} | {symbol} | {} {}", number + 1, text::line(&defined.module), text::line(&defined.version));
    }
    if left_out > 0 {
        let _ = writeln!(told, "{left_out} more are left out: ask for one version.");
    }
    for (defined, text) in shown.iter().zip(texts) {
        if let Some(text) = text {
            told.push_str(&text::fenced(&place(defined), text));
        }
    }
    let silent = texts.iter().filter(|text| text.is_none()).count();
    if silent > 0 {
        let _ = write!(told, "\n{silent} had no room for their text: raise pack.\n");
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defined(line: i32, text: &str) -> Defined {
        Defined {
            module: "shop".to_owned(),
            version: "19.0".to_owned(),
            path: "shop/m.py".to_owned(),
            line,
            depth: 1,
            symbol: Some("Desk.close".to_owned()),
            text: text.to_owned(),
        }
    }

    #[test]
    fn definitions_keep_their_order_and_places() {
        let told = told(&[defined(5, "def close(self):\n    return 1"), defined(9, "def close(self): ...")], TOKENS);
        assert!(told.text.contains("1. shop/m.py:5 | Desk.close | shop 19.0\n2. shop/m.py:9"), "{}", told.text);
        assert!(told.text.contains("### shop/m.py:9\n```\ndef close(self): ...\n```"), "{}", told.text);
        assert_eq!((&told.data["definitions"][1]["line"], &told.data["left_out"]), (&json!(9), &json!(0)));
    }

    #[test]
    fn many_long_definitions_stay_within_their_bounds() {
        let tool = super::super::TOOLS.iter().find(|tool| tool.name == "find_odoo_definitions").unwrap();
        let schema = jsonschema::validator_for(&Value::Object((**tool.output_schema.as_ref().unwrap()).clone())).unwrap();
        let found: Vec<Defined> = (0..250).map(|n| defined(n, &"a_line = of_code()\n".repeat(2_000))).collect();
        let many = told(&found, TOKENS);
        assert!(many.text.len() < 64_000 && many.data.to_string().len() < 64_000, "{}", many.text.len());
        assert_eq!((many.data["definitions"].as_array().unwrap().len(), &many.data["left_out"]), (100, &json!(150)));
        assert!(many.text.contains("150 more are left out") && many.text.contains("had no room for their text"), "{}", many.text);
        for told in [many, told(&[], 1), told(&[defined(1, "x")], 1)] {
            assert!(schema.is_valid(&told.data), "{:?}", schema.iter_errors(&told.data).next());
        }
    }

    #[test]
    fn bad_arguments_are_named() {
        for (arguments, says) in [
            (json!({ "kind": "view" }), "the arguments: missing field `name`"),
            (
                json!({ "kind": "views", "name": "a.b" }),
                "kind: unknown variant `views`, expected one of `view`, `method`, `field`, `owner`",
            ),
            (json!({ "kind": "view", "name": "a.b", "version": "19" }), "version: "),
            (json!({ "kind": "view", "name": ["a.b"] }), "name: invalid type"),
            (json!({ "kind": "view", "name": "a.b", "pack": 0 }), "pack: use 1 to 100000"),
            (json!({ "kind": "view", "name": "a.b", "limit": 5 }), "unknown field `limit`"),
        ] {
            let said = question(arguments.as_object().unwrap().clone()).unwrap_err().to_string();
            assert!(said.contains(says), "{said}");
        }
    }
}
