//! Odoo models and fields that are named but not there.

use super::{Case, Finding, Rank};
use crate::domain::ErrorClass;
use crate::odoo::pattern::Pattern;

static INVALID_IN: Pattern = Pattern::new(r"Invalid field '(\w+)' (?:in|on model|on) '([\w.]+)'");
static INVALID_PATH: Pattern = Pattern::new(r"Invalid field '?([\w.]+)\.(\w+)'? in (?:condition|leaf)");
static NOT_STORED: Pattern = Pattern::new(r"Cannot convert ([\w.]+)\.(\w+) to SQL because it is not stored");
static WRONG_VALUE: Pattern = Pattern::new(r"Wrong value for ([\w.]+)\.(\w+): (.+)");
static UNASSIGNED: Pattern = Pattern::new(r"Compute method failed to assign ([\w.]+)\([^)\n]*\)\.(\w+)");
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
    if case.message().contains("somewhere inside") {
        return None;
    }
    if let Some([field, model]) = INVALID_IN.groups(text) {
        return Some(Finding::new(ErrorClass::FieldInvalid).field(field).model(model));
    }
    if let Some([model, field]) = INVALID_PATH.groups(text) {
        return Some(Finding::new(ErrorClass::FieldInvalid).field(field).model(model));
    }
    if let Some([model, field]) = NOT_STORED.groups(text) {
        return Some(Finding::new(ErrorClass::FieldInvalid).field(field).model(model).name("not stored"));
    }
    if let Some([model, field, value]) = WRONG_VALUE.groups(text) {
        return Some(Finding::new(ErrorClass::Other).field(field).model(model).name(value));
    }
    if let Some([model, field]) = UNASSIGNED.groups(text) {
        return Some(Finding::new(ErrorClass::Other).field(field).model(model).name("not assigned"));
    }
    // `write`, `mapped` and `filtered` look the field up in a dict.
    let key = KEY.first(text).filter(|_| case.is(&["KeyError"]))?;
    let frame = case.innermost()?;
    let looked_up = frame.source.contains("_fields[") || frame.source.contains("fields[");
    looked_up.then(|| Finding::new(ErrorClass::FieldInvalid).rank(Rank::Generic).field(key))
}

pub(super) fn model(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    let missing = |model: &str| Finding::new(ErrorClass::ModelMissing).model(model);
    if let Some([child, parent]) = NO_PARENT.groups(text) {
        return Some(missing(parent).name(child));
    }
    if let Some(model) = NO_MODEL.first(text).or_else(|| NO_OBJECT.first(text)) {
        return Some(missing(model));
    }
    let model = MODEL_KEY.first(text).filter(|_| case.is(&["KeyError"]))?;
    let in_registry = case.innermost().is_none_or(|frame| {
        ["registry.py", "environments.py", "api.py"].iter().any(|file| frame.file.ends_with(file))
            || ["models[", "registry[", "env[", "pool["].iter().any(|source| frame.source.contains(source))
    });
    in_registry.then(|| missing(model))
}

pub(super) fn reference(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    let broken = || Finding::new(ErrorClass::FieldReferenceBroken);
    if let Some([model, field, comodel]) = COMODEL.groups(text) {
        return Some(broken().model(model).field(field).name(comodel));
    }
    if let Some([target, model, field]) = RELATED.groups(text) {
        return Some(broken().model(model).field(field).name(target));
    }
    if let Some([method, model, field, target, _on]) = DEPENDS.groups(text) {
        return Some(broken().method(method).model(model).field(field).name(target));
    }
    let [inverse, model, field, _on] = INVERSE.groups(text)?;
    Some(broken().model(model).field(field).name(inverse))
}
