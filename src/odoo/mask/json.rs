//! JSON whose strings are masked, so that it stays JSON.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::keywords::Seen;
use super::name::Name;
use super::spans::STARS;
use super::{judge, mask};

/// Masks every string in a JSON value, by what it says and by the key that it stands under. Returns whether anything was hidden.
pub fn mask_json(value: &mut Value) -> bool {
    match value {
        Value::String(text) => match mask(text) {
            Cow::Owned(masked) => {
                *text = masked;
                true
            }
            Cow::Borrowed(_) => false,
        },
        Value::Array(items) => items.iter_mut().fold(false, |hidden, item| mask_json(item) | hidden),
        Value::Object(entries) => entries.iter_mut().fold(false, |hidden, (key, value)| mask_entry(key, value) | hidden),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn mask_entry(key: &str, value: &mut Value) -> bool {
    let number = match value {
        Value::String(text) if is_secret(key, text) && text != STARS => {
            *text = STARS.to_owned();
            return true;
        }
        Value::Number(number) => number.to_string(),
        _ => return mask_json(value),
    };
    // `{"phone": 4930123456, "pin": 1234}`: what the same pair would hide in a text.
    let pair = format!("\"{key}\": \"{number}\"");
    let hidden = matches!(mask(&pair), Cow::Owned(_));
    if hidden {
        *value = Value::String(STARS.to_owned());
    }
    hidden
}

fn is_secret(key: &str, value: &str) -> bool {
    let seen = Seen::of(key);
    let names = seen.names.iter().filter_map(|(start, end, kind)| Name::around(key, *start, *end, *kind));
    names.into_iter().any(|name| judge::is_quoted_secret(&name, value))
}

/// Masks a text, or JSON in one value or one a line. What is no UTF-8 is replaced where anything is hidden.
pub fn mask_bytes(body: &[u8]) -> Cow<'_, [u8]> {
    let text = String::from_utf8_lossy(body);
    let masked = mask_text(&text);
    match masked {
        Cow::Owned(masked) => Cow::Owned(masked.into_bytes()),
        Cow::Borrowed(_) => Cow::Borrowed(body),
    }
}

fn mask_text(text: &str) -> Cow<'_, str> {
    let start = text.trim_start_matches('\u{feff}').trim_start();
    if !start.starts_with(['{', '[', '"']) {
        return mask(text);
    }
    if let Ok(mut value) = serde_json::from_str::<Value>(start) {
        let end = &text[text.trim_end().len()..];
        return if mask_json(&mut value) { Cow::Owned(format!("{value}{end}")) } else { Cow::Borrowed(text) };
    }
    let first = start.lines().next().unwrap_or_default();
    if serde_json::from_str::<IgnoredAny>(first).is_err() {
        return mask(text);
    }
    let mut masked = String::new();
    let mut hidden = false;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\r', '\n']);
        let new = match serde_json::from_str::<Value>(content) {
            Ok(mut value) => mask_json(&mut value).then(|| value.to_string()),
            Err(_) => match mask(content) {
                Cow::Owned(new) => Some(new),
                Cow::Borrowed(_) => None,
            },
        };
        hidden |= new.is_some();
        masked.push_str(new.as_deref().unwrap_or(content));
        masked.push_str(&line[content.len()..]);
    }
    if hidden { Cow::Owned(masked) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_stays_json() {
        let mut value = json!({
            "password": "hunter2", "log": "token=abc123def456", "items": ["a@b.org", 5], "pin": 1234, "module": "sale", "phone": 49_301_234_567_u64
        });
        assert!(mask_json(&mut value));
        assert_eq!(
            value,
            json!({ "password": "***", "log": "token=***", "items": ["***", 5], "pin": "***", "module": "sale", "phone": "***" })
        );
        assert!(!mask_json(&mut value));
    }

    #[test]
    fn lines_that_hold_nothing_stay_byte_for_byte() {
        let body = b"{\"message\": \"\\u00e9\",  \"b\": 1}\n{broken\n".as_slice();
        assert!(matches!(mask_bytes(body), Cow::Borrowed(_)));
        let masked = mask_bytes(b"{\"message\": \"a\"}\n{\"message\": \"mail \\u0061@b.org\"}\n");
        assert_eq!(String::from_utf8_lossy(&masked), "{\"message\": \"a\"}\n{\"message\":\"mail ***\"}\n");
        assert!(matches!(mask_bytes(b"caf\xe9"), Cow::Borrowed(_)));
    }
}
