//! What makes two errors the same error.

use std::borrow::Cow;

use super::pattern::Pattern;
use super::{cut, mask};
use crate::domain::{ErrorClass, Fingerprint, ObjectRef};

/// Frames and bytes of a message that count.
const FRAMES_MAX: usize = 8;
const MESSAGE_MAX: usize = 2_000;

/// What an error is recognised by, free of all that differs between two occurrences.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// Its class.
    pub class: ErrorClass,
    /// The exception, with or without its Python module.
    pub exception: &'a str,
    /// The addon, if known.
    pub module: Option<&'a str>,
    /// What it names.
    pub object: &'a ObjectRef,
    /// Frames in addons, outermost first: path below the addons folder, and function. Line numbers move, so they do not count.
    pub frames: &'a [(String, String)],
    /// What it says; counts only where nothing is named.
    pub message: &'a str,
}

/// The fingerprint: the first 32 hexadecimal digits of a BLAKE3 hash.
pub fn fingerprint(parts: &Parts<'_>) -> Fingerprint {
    let mut print = Print::default();
    let mut add = |label: &str, value: &str| print.add(label, value);
    add("class", parts.class.as_str());
    add("exception", parts.exception.rsplit('.').next().unwrap_or_default());
    add("module", parts.module.unwrap_or_default());
    let ObjectRef { model, field, method, view, xmlid, name } = parts.object;
    let named = [("model", model), ("field", field), ("method", method), ("view", view), ("xmlid", xmlid), ("name", name)];
    for (label, value) in named {
        add(label, value.as_deref().unwrap_or_default());
    }
    for (path, function) in &parts.frames[parts.frames.len().saturating_sub(FRAMES_MAX)..] {
        add("path", path);
        add("function", function);
    }
    if named.iter().all(|(_, value)| value.is_none()) {
        add("message", &normalised(&mask(cut::head(parts.message, MESSAGE_MAX))));
    }
    print.finish()
}

/// A hash over labelled values. They are short and many, so they are hashed in one go.
#[derive(Default)]
pub(super) struct Print(Vec<u8>);

impl Print {
    pub(super) fn add(&mut self, label: &str, value: &str) {
        // Lengths keep `ab` + `c` apart from `a` + `bc`.
        self.0.extend_from_slice(label.as_bytes());
        self.0.push(b':');
        let mut length = value.len();
        let first = self.0.len();
        loop {
            self.0.push(b'0' + u8::try_from(length % 10).unwrap_or(0));
            length /= 10;
            if length == 0 {
                break;
            }
        }
        self.0[first..].reverse();
        self.0.push(b':');
        self.0.extend_from_slice(value.as_bytes());
    }

    pub(super) fn finish(&self) -> Fingerprint {
        let hex = blake3::hash(&self.0).to_hex();
        // 32 hexadecimal digits are always a fingerprint; the zeros are never reached, they only spare a panic.
        hex[..32].parse().or_else(|_| "0".repeat(32).parse()).unwrap_or_else(|_| unreachable!("32 digits are a fingerprint"))
    }
}

/// What differs, what stands for it, and a sign that it cannot be without: most messages hold none, and to see that costs little.
static NOISE: [(Pattern, &str, &[char]); 9] = [
    (Pattern::new(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"), "<uuid>", &['-']),
    (Pattern::new(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)?"), "<time>", &['-']),
    (Pattern::new(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "<email>", &['@']),
    // What is masked was an address most often; so it keeps the print that it had before addresses were masked first.
    (Pattern::new(r"\*\*\*"), "<email>", &['*']),
    (Pattern::new(r#"[A-Za-z][A-Za-z0-9+.-]*://[^\s'"<>]+"#), "<url>", &['/']),
    (Pattern::new(r#"(?:[A-Za-z]:)?(?:[/\\][\w.@+-]+){2,}"#), "<path>", &['/', '\\']),
    (Pattern::new(r"\b(?:0x[0-9a-fA-F]+|[0-9a-f]{12,})\b"), "<hex>", &[]),
    (Pattern::new(r"\b(?:[a-z0-9-]+\.)+(?:com|net|org|io|dev|local|internal|lan)\b"), "<host>", &['.']),
    (Pattern::new(r"\d+(?:[.,]\d+)*"), "<n>", &[]),
];

/// A message with everything replaced that differs from one occurrence to the next.
fn normalised(message: &str) -> String {
    let mut text = message.trim().to_owned();
    for (pattern, by, signs) in &NOISE {
        if !(signs.is_empty() || text.contains(*signs)) {
            continue;
        }
        if let Cow::Owned(replaced) = pattern.replace_all(&text, by) {
            text = replaced;
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(object: &ObjectRef, frames: &[(&str, &str)], message: &str) -> Fingerprint {
        let frames: Vec<_> = frames.iter().map(|(path, function)| ((*path).to_owned(), (*function).to_owned())).collect();
        let parts = Parts { class: ErrorClass::Other, exception: "a.ValueError", module: Some("m"), object, frames: &frames, message };
        fingerprint(&parts)
    }

    fn field(name: &str) -> ObjectRef {
        ObjectRef { field: Some(name.to_owned()), ..ObjectRef::default() }
    }

    #[test]
    fn noise_does_not_count() {
        let none = ObjectRef::default();
        let one = of(&none, &[], "record 17 of /opt/a/b.py at 2026-01-02 10:00:00 for a@b.com (0xdeadbeef) on db.example.com");
        let two = of(&none, &[], "record 4 of /srv/x/y/z.py at 2025-11-30T09:59:00Z for me@x.org (0xcafe) on other.example.net");
        assert_eq!(one, two);
        assert_ne!(one, of(&none, &[], "something else"));
    }

    #[test]
    fn another_object_is_another_error() {
        assert_ne!(of(&field("a"), &[], ""), of(&field("b"), &[], ""));
        assert_eq!(of(&field("a"), &[], "x"), of(&field("a"), &[], "y"));
    }

    #[test]
    fn frames_count() {
        assert_ne!(of(&field("a"), &[("m/a.py", "f")], ""), of(&field("a"), &[("m/a.py", "g")], ""));
    }
}
