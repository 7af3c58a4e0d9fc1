//! Values that Python cannot work with. Each says only what Python says, so anything of Odoo's in the chain says more.

use super::{Case, Finding, Rank};
use crate::domain::ErrorClass as C;
use crate::odoo::pattern::Pattern;

static RECORD_KEY: Pattern = Pattern::new(r"^([a-z]\w*(?:\.\w+)+)\((?:\d|<NewId|\)|,)");
static TEXT_KEY: Pattern = Pattern::new(r#"^['"]([^'"\n]*)['"]$"#);
static NONE_ATTRIBUTE: Pattern = Pattern::new(r"'NoneType' object has no attribute '(\w+)'");
static OPERAND: Pattern =
    Pattern::new(r"^(unsupported operand type\(s\) for [^:\n]+|can only concatenate \w+|bad operand type for [^:\n]+)");
static TYPES: Pattern = Pattern::new(r"'(\w+)' (?:object|and|not supported)");

/// `None` where a value was expected.
pub(super) fn none(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    if !text.contains("NoneType") || !case.is(&["AttributeError", "TypeError"]) {
        return None;
    }
    let found = |sub| Finding::new(C::NoneValue).sub(sub).rank(Rank::Generic);
    if let Some(attribute) = NONE_ATTRIBUTE.first(text) {
        return Some(found("attribute").name(attribute));
    }
    Some(match text {
        // What loads a record goes through what `create` gave back.
        _ if text.contains("iterable") && case.ran(&["_load_records"]) => found("iteration").method("create"),
        _ if text.contains("iterable") || text.contains("unpack") => found("iteration"),
        _ if text.contains("subscriptable") || text.contains("item assignment") || text.contains("len()") => found("item"),
        _ if text.contains("callable") => found("call"),
        _ if text.contains("operand") || text.contains("concatenate") || text.contains("not supported between") => found("operand"),
        _ => found("other"),
    })
}

/// Everything else that Python has a class for.
pub(super) fn other(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    let found = |class, sub| Some(Finding::new(class).sub(sub).rank(Rank::Generic));
    match case.exception() {
        "KeyError" => Some(key(text)),
        "IndexError" => found(C::IndexMissing, first_of(text, &[("list", "list"), ("tuple", "tuple"), ("string", "text")])),
        "TypeError" => Some(mismatch(text)),
        "ValueError" | "OverflowError" if text.contains("unpack") => found(C::ValueInvalid, "unpack"),
        "ValueError" if NUMBERS.iter().any(|words| text.starts_with(words)) => found(C::ValueInvalid, "number"),
        "ValueError" | "ParserError" if DATES.iter().any(|words| text.contains(words)) => found(C::ValueInvalid, "date"),
        "JSONDecodeError" => found(C::ValueInvalid, "json"),
        "UnicodeDecodeError" | "UnicodeEncodeError" => found(C::ValueInvalid, "encoding"),
        "Error" if case.raised().exception.starts_with("binascii") => found(C::ValueInvalid, "base64"),
        "ZeroDivisionError" => found(C::Calculation, "zero_division"),
        "OverflowError" => found(C::Calculation, "overflow"),
        "InvalidOperation" | "DivisionByZero" => found(C::Calculation, "decimal"),
        "RecursionError" => found(C::Recursion, "calls"),
        "NotImplementedError" => found(C::NotImplemented, "method"),
        "AssertionError" => found(C::AssertionFailed, "assertion"),
        "FileNotFoundError" | "NotADirectoryError" => found(C::FileAccess, "missing"),
        "PermissionError" => found(C::FileAccess, "permission"),
        "IsADirectoryError" | "FileExistsError" => found(C::FileAccess, "other"),
        _ => None,
    }
}

const NUMBERS: [&str; 4] =
    ["invalid literal for int()", "could not convert string to float", "invalid literal for float", "cannot convert float"];
const DATES: [&str; 6] = [
    "does not match format",
    "unconverted data remains",
    "Invalid isoformat",
    "day is out of range",
    "month must be in",
    "year is out of range",
];

fn first_of(text: &str, subs: &[(&str, &'static str)]) -> &'static str {
    subs.iter().find(|(word, _)| text.contains(word)).map_or("other", |(_, sub)| sub)
}

fn key(text: &str) -> Finding {
    let found = |sub| Finding::new(C::KeyMissing).sub(sub).rank(Rank::Generic);
    if let Some(model) = RECORD_KEY.first(text) {
        return found("record").model(model);
    }
    match TEXT_KEY.first(text) {
        Some(key) => found("text").name(key),
        None => found("other"),
    }
}

fn mismatch(text: &str) -> Finding {
    let sub = match text {
        _ if text.contains("not supported between") => "comparison",
        _ if OPERAND.is_match(text) => "operand",
        _ if text.contains("not iterable") || text.contains("non-iterable") => "iteration",
        _ if text.contains("subscriptable") || text.contains("item assignment") || text.contains("indices must be") => "item",
        _ if text.contains("not callable") => "call",
        _ if text.contains("unhashable") => "unhashable",
        _ if text.contains("not JSON serializable") => "serialization",
        _ => "other",
    };
    Finding::new(C::TypeMismatch).sub(sub).rank(Rank::Generic).name(TYPES.first(text).unwrap_or_default())
}
