//! Odoo models and fields that are named but not there.

use super::{Case, Finding, Rank};
use crate::domain::ErrorClass;
use crate::odoo::pattern::Pattern;

static INVALID_IN: Pattern = Pattern::new(r"Invalid field '(\w+)' (in|on model|on) '([\w.]+)'");
static INVALID_PATH: Pattern = Pattern::new(r"Invalid field '?([\w.]+)\.(\w+)'? in (?:condition|leaf)");
static NOT_STORED: Pattern = Pattern::new(r"Cannot convert ([\w.]+)\.(\w+) to SQL because it is not stored");
static WRONG_VALUE: Pattern = Pattern::new(r"Wrong value for ([\w.]+)\.(\w+): (.+)");
static UNASSIGNED: Pattern = Pattern::new(r"Compute method failed to assign ([\w.]+)\([^)\n]*\)\.(\w+)");
static NOT_SEARCHABLE: Pattern = Pattern::new(r"Non-stored field ([\w.]+)\.(\w+) cannot be searched");
static BAD_OPERATOR: Pattern = Pattern::new(r"Invalid operator (?:in (?:condition|leaf) \('[\w.]+', '([^'\n]*)'|'([^'\n]*)' in domain)");
static BAD_DOMAIN: Pattern = Pattern::new(
    r"(?:Domain\(\) )?(invalid item in domain|malformed domain|Malformed domain|invalid argument type for domain|Invalid leaf|Invalid domain|not well-formed)\b:? ?([^\n]*)",
);
static FIRST_TERM: Pattern = Pattern::new(r#"\(['"]([\w.]+)['"],"#);
static IN_ORM: Pattern = Pattern::new(r"/odoo/(?:orm/[\w/]+|models|fields|api)\.py$");

/// Functions of the ORM that look a field up by its name.
const LOOKS_UP: [&str; 10] =
    ["write", "mapped", "_mapped_func", "filtered", "sorted", "__getitem__", "__setitem__", "_write_multi", "modified", "update"];

static KEY: Pattern = Pattern::new(r"^'(\w+)'$");
static MODEL_KEY: Pattern = Pattern::new(r"^'(\w+(?:\.\w+)+)'$");
static COMODEL: Pattern = Pattern::new(r"Field ([\w.]+)\.(\w+) with (?:unknown|non-existent) co-?model(?:_name)? '?([\w.]+)'?");
static RELATED: Pattern = Pattern::new(r"Field (\w+) referenced in related field definition ([\w.]+)\.(\w+) does not exist");
static DEPENDS: Pattern = Pattern::new(
    r"Wrong @depends on '(\w+)' \(compute method of field ([\w.]+)\.(\w+)\)\. Dependency field '(\w+)' not found in model ([\w.]+?)\.?$",
);
static INVERSE: Pattern = Pattern::new(r"'(\w+)' declared in '([\w.]+)\.(\w+)' does not exist on '([\w.]+)'");
static NO_MODEL: Pattern = Pattern::new(r"Model '([\w.]+)' does not exist in registry");
static NO_PARENT: Pattern = Pattern::new(r"Model '([\w.]+)' (?:inherits from|inherits) non-existing model '([\w.]+)'");
static NO_OBJECT: Pattern = Pattern::new(r"Object ([\w.]+) doesn't exist");

pub(super) fn invalid(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    if text.contains("somewhere inside") {
        return None;
    }
    let found = |sub| Finding::new(ErrorClass::FieldInvalid).sub(sub);
    if let Some([field, by, model]) = INVALID_IN.groups(text) {
        return Some(found(named_by(case, by)).field(field).model(model));
    }
    if let Some([model, field]) = INVALID_PATH.groups(text) {
        return Some(found("domain").field(field).model(model));
    }
    lookup(case)
}

/// What the field was named for. Odoo has one text for several; what ran tells the rest.
fn named_by(case: &Case<'_>, by: &str) -> &'static str {
    // `write` looks the field up, so its error has a cause; `create` asks first.
    let looked_up = || case.index > 0 && super::short(&case.chain[case.index - 1].exception) == "KeyError";
    match by {
        "in" if case.in_data() => "record",
        "in" if case.ran(&["write"]) && !case.ran(&["_create", "create"]) || looked_up() => "write",
        "in" => "create",
        "on model" if case.ran(&["_read_group", "read_group", "_read_group_groupby", "formatted_read_group"]) => "group_by",
        "on model" if case.ran(&["_read_group_select"]) => "aggregate",
        "on model" => "order",
        _ => "read",
    }
}

/// `write`, `mapped` and `filtered` look the field up in a dict.
fn lookup(case: &Case<'_>) -> Option<Finding> {
    let key = KEY.first(case.message()).filter(|_| case.is(&["KeyError"]))?;
    let found = Finding::new(ErrorClass::FieldInvalid).rank(Rank::Generic).field(key);
    let Some(frame) = case.innermost() else {
        // Without a trace there is only the key. In Odoo a bare name that is missing is mostly a field's.
        return (case.chain.len() == 1).then(|| found.sub("lookup"));
    };
    let looked_up = frame.source.contains("fields[") || (IN_ORM.is_match(&frame.file) && LOOKS_UP.contains(&frame.function.as_str()));
    looked_up.then(|| found.sub(if case.ran(&["write"]) { "write" } else { "lookup" }))
}

pub(super) fn value(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    if let Some([model, field]) = NOT_STORED.groups(text).or_else(|| NOT_SEARCHABLE.groups(text)) {
        let sub = match case {
            _ if case.ran(&["_order_to_sql", "_order_field_to_sql", "_generate_order_by"]) => "order",
            _ if case.ran(&["_read_group_groupby", "_read_group", "read_group", "formatted_read_group"]) => "group_by",
            _ if case.ran(&["_search", "condition_to_sql", "search", "search_count"]) => "search",
            _ => "sql",
        };
        return Some(Finding::new(ErrorClass::FieldNotStored).sub(sub).field(field).model(model));
    }
    if let Some([model, field, value]) = WRONG_VALUE.groups(text) {
        return Some(Finding::new(ErrorClass::FieldValueInvalid).sub("selection").field(field).model(model).name(value));
    }
    let [model, field] = UNASSIGNED.groups(text)?;
    Some(Finding::new(ErrorClass::ComputeUnassigned).sub("unassigned").field(field).model(model))
}

pub(super) fn domain(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    if !case.is(&["ValueError", "TypeError", "AssertionError"]) || text.contains("somewhere inside") {
        return None;
    }
    let found = |sub| Finding::new(ErrorClass::DomainInvalid).sub(sub).field(FIRST_TERM.first(text).unwrap_or_default());
    if let Some([first, operator]) = BAD_OPERATOR.groups(text) {
        return Some(found("operator").name(if operator.is_empty() { first } else { operator }));
    }
    let [what, shown] = BAD_DOMAIN.groups(text)?;
    let sub = match what {
        "invalid item in domain" | "Invalid leaf" => "item",
        "invalid argument type for domain" => "type",
        _ => "malformed",
    };
    Some(found(sub).name(shown))
}

pub(super) fn model(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    let missing = |model: &str| Finding::new(ErrorClass::ModelMissing).model(model);
    if let Some([child, parent]) = NO_PARENT.groups(text) {
        return Some(missing(parent).sub("inherit").name(child));
    }
    if let Some(model) = NO_MODEL.first(text) {
        return Some(missing(model).sub("inherit"));
    }
    if let Some(model) = NO_OBJECT.first(text) {
        return Some(missing(model).sub("remote"));
    }
    let model = MODEL_KEY.first(text).filter(|_| case.is(&["KeyError"]))?;
    let in_registry = case.innermost().is_none_or(|frame| {
        ["registry.py", "environments.py", "api.py"].iter().any(|file| frame.file.ends_with(file))
            || ["models[", "registry[", "env[", "pool["].iter().any(|source| frame.source.contains(source))
    });
    in_registry.then(|| missing(model).sub(if case.in_data() { "record" } else { "environment" }))
}

pub(super) fn reference(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    let broken = || Finding::new(ErrorClass::FieldReferenceBroken);
    if let Some([model, field, comodel]) = COMODEL.groups(text) {
        return Some(broken().sub("comodel").model(model).field(field).name(comodel));
    }
    if let Some([target, model, field]) = RELATED.groups(text) {
        return Some(broken().sub("related").model(model).field(field).name(target));
    }
    if let Some([method, model, field, target, _on]) = DEPENDS.groups(text) {
        return Some(broken().sub("depends").method(method).model(model).field(field).name(target));
    }
    let [inverse, model, field, _on] = INVERSE.groups(text)?;
    Some(broken().sub("inverse").model(model).field(field).name(inverse))
}
