//! Views: what `ir.ui.view` says when it refuses one.

use super::{Case, Finding, parsed_place};
use crate::domain::ErrorClass;
use crate::odoo::pattern::Pattern;

static CONTEXT_FILE: Pattern = Pattern::new(r#"'file': ['"]([^'"\n]+)['"]"#);
static CONTEXT_NAME: Pattern = Pattern::new(r#"'name': ['"]([^'"\n]+)['"]"#);
static CONTEXT_MODEL: Pattern = Pattern::new(r#"'view\.model': ['"]([^'"\n]+)['"]"#);
static CONTEXT_XMLID: Pattern = Pattern::new(r#"'xmlid': ['"]([^'"\n]+)['"]"#);
static HAS_PARENT: Pattern = Pattern::new(r"'view\.parent': ir\.ui\.view\(\d");
static VIEW_IN: Pattern = Pattern::new(r"(?m)^View: (.+) in (\S+)$");
static INVALID_VIEW: Pattern = Pattern::new(r"Invalid view (.+?) definition in (\S+)");
// The element is quoted in every language; straight, curly or angle quotes.
static ELEMENT: Pattern = Pattern::new(r#"(?m)^[^\n<]*['"“‘«]\s?(<[a-zA-Z][^\n]*?>)\s?['"”’»][^\n]*$"#);
static XPATH_FIELD: Pattern = Pattern::new(r#"field\[@name=['"](\w+)['"]\]"#);
static FIELD_SPEC: Pattern = Pattern::new(r#"^<field\b[^>]*\bname=['"](\w+)['"]"#);
static UNKNOWN_FIELD: Pattern = Pattern::new(r#"(?i)field ["“'«]\s?([\w.]+)\s?["”'»] does not exist in model ["“'«]\s?([\w.]+)\s?["”'»]"#);
// The same in another language: two quoted names on the last line before the context, the second a dotted one.
static TWO_NAMES: Pattern = Pattern::new(r#"(?m)^[^\n<]*["“«]\s?(\w+)\s?["”»][^\n<]*["“«]\s?(\w+(?:\.\w+)+)\s?["”»][^\n]*$"#);
static IN_EXPRESSION: Pattern = Pattern::new(r"(?m)^\s*- [^\n]*[“«]");
static NO_ACTION: Pattern = Pattern::new(r"(?m)^(\S+) is not a valid action on (\S+?)\.?\s*$");
static PRIVATE_ACTION: Pattern = Pattern::new(r"(?m)(\w+)(?: on (\S+))? is private and cannot be called from a button");
static INVALID_ATTRIBUTE: Pattern = Pattern::new(r"Invalid attribute (\S+) for element (\S+)");
static EXPRESSION: Pattern = Pattern::new(r"(?i)expression|modifier|domain|context|Invalid composed field");
static RELAXNG: Pattern = Pattern::new(r"RELAXNG_ERR_\w+: ([^\n]+)");

/// Whether the exception is about a view at all: raised while one was loaded, or when one was saved.
fn about_a_view(case: &Case<'_>) -> bool {
    case.is(&["ParseError", "ValidationError", "ValueError", "UserError"]) && !case.message().contains("somewhere inside")
}

/// A finding about the view that the error context names.
fn view(case: &Case<'_>, class: ErrorClass) -> Finding {
    let text = case.message();
    let [name_in, file_in] = VIEW_IN.groups(text).or_else(|| INVALID_VIEW.groups(text)).unwrap_or_default();
    let parsed = parsed_place(&case.chain[case.index..=case.index]);
    let file = CONTEXT_FILE.first(text).or_else(|| some(file_in));
    // The context's line counts from the arch; the record's is the one that can be found in the file.
    let (file, line) = match (file, parsed) {
        (Some(file), Some((parsed, line))) if parsed.ends_with(file) => (parsed, line),
        (Some(file), _) => (file, None),
        (None, Some(parsed)) => parsed,
        (None, None) => ("", None),
    };
    // Odoo adds the addon to the name of a view whose record is not there yet.
    let name_in = name_in.split(" (in ").next().unwrap_or_default();
    let name = some(name_in).or_else(|| CONTEXT_NAME.first(text).filter(|name| *name != "invalid view"));
    Finding::new(class)
        .view(name.unwrap_or_default())
        .model(CONTEXT_MODEL.first(text).unwrap_or_default())
        .xmlid(CONTEXT_XMLID.first(text).unwrap_or_default())
        .file(file, line)
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

pub(super) fn anchor(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    if !about_a_view(case) || !(text.contains("cannot be located in parent view") || HAS_PARENT.is_match(text)) {
        return None;
    }
    let spec = html_escape::decode_html_entities(ELEMENT.first(text)?).into_owned();
    let field = FIELD_SPEC.first(&spec).or_else(|| XPATH_FIELD.all(&spec).last()).unwrap_or_default().to_owned();
    let sub = if spec.starts_with("<xpath") {
        "xpath"
    } else if spec.starts_with("<field") {
        "field"
    } else {
        "element"
    };
    Some(view(case, ErrorClass::ViewAnchorMissing).sub(sub).name(&spec).field(&field))
}

pub(super) fn field(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    if !about_a_view(case) {
        return None;
    }
    let translated = || TWO_NAMES.groups(text).filter(|_| CONTEXT_MODEL.is_match(text));
    let [field, model] = UNKNOWN_FIELD.groups(text).or_else(translated)?;
    // A field that only an expression uses stands in a list of its own.
    let sub = if IN_EXPRESSION.is_match(text) { "expression" } else { "node" };
    Some(view(case, ErrorClass::ViewUnknownField).sub(sub).field(field).model(model))
}

pub(super) fn attrs(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    let both = text.contains("\"attrs\"") && text.contains("\"states\"");
    (about_a_view(case) && both).then(|| view(case, ErrorClass::ViewAttrsRemoved).sub("attrs_or_states"))
}

pub(super) fn tree(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    let named = text.contains("'tree'") && (text.contains("list, form") || text.contains("Invalid view type"));
    (about_a_view(case) && named).then(|| view(case, ErrorClass::ViewTypeTree).sub("root_tag").name("tree"))
}

pub(super) fn action(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    if !about_a_view(case) {
        return None;
    }
    let missing = NO_ACTION.groups(text);
    let sub = if missing.is_some() { "missing" } else { "private" };
    let [method, model] = missing.or_else(|| PRIVATE_ACTION.groups(text))?;
    let found = view(case, ErrorClass::ViewInvalidAction).sub(sub).method(method);
    Some(if model.is_empty() { found } else { found.model(model) })
}

pub(super) fn invalid(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    let refused = case.reasons.iter().any(|reason| reason.logger.ends_with("view_validation"));
    let has_context = text.contains("View error context:") && !text.contains("'-no context-'");
    if !about_a_view(case) || !(refused || has_context || INVALID_VIEW.is_match(text)) {
        return None;
    }
    let reasons = || case.reasons.iter().map(|reason| reason.message.as_ref());
    let attribute = reasons().find_map(|reason| INVALID_ATTRIBUTE.groups::<2>(reason)).map(|[name, element]| format!("{element}/@{name}"));
    let reason = attribute.or_else(|| reasons().filter_map(|reason| RELAXNG.first(reason)).next_back().map(str::to_owned));
    let sub = match &reason {
        Some(reason) if reason.contains("/@") => "attribute",
        Some(_) => "element",
        None if EXPRESSION.is_match(text) => "expression",
        None => "other",
    };
    Some(view(case, ErrorClass::ViewInvalid).sub(sub).name(reason.as_deref().unwrap_or_default()))
}
