//! What Python itself refuses.

use super::{Case, Finding, Rank};
use crate::domain::ErrorClass;
use crate::odoo::pattern::Pattern;

static CANNOT_IMPORT: Pattern = Pattern::new(r"cannot import name '(\w+)' from (partially initialized module )?'([\w.]+)'");
static NO_MODULE: Pattern = Pattern::new(r"No module named '?([\w.]+)'?");
static ADDON: Pattern = Pattern::new(r"^(?:odoo|openerp)\.addons\.(\w+)");
static UNDEFINED: Pattern = Pattern::new(r"(?:name|variable) '(\w+)'");
static NO_ATTRIBUTE: Pattern =
    Pattern::new(r"^(?:partially initialized )?(?:module |type object )?'([^'\n]+)'(?: object)? has no attribute '(\w+)'");
static ARGUMENTS: Pattern = Pattern::new(
    r"^([\w.<>]+)\(\) (?:got an unexpected keyword argument '(\w+)'|missing \d+ required|takes |got multiple values for argument '(\w+)')",
);
static SINGLETON: Pattern = Pattern::new(r"Expected singleton: ([\w.]+)\(");

pub(super) fn hook(case: &Case<'_>) -> Option<Finding> {
    let by_loader = case.innermost().is_some_and(|frame| frame.source.contains("getattr(py_module"));
    let [function] = ARGUMENTS.groups(case.message()).filter(|_| by_loader && case.is(&["TypeError"]))?;
    let file = case.loading.map(|module| format!("{module}/__init__.py")).unwrap_or_default();
    Some(Finding::new(ErrorClass::HookSignature).method(function).file(&file, None))
}

pub(super) fn import(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    let is_own = |from: &str| ADDON.first(from).is_some_and(|module| case.loading == Some(module));
    if case.is(&["ImportError"]) {
        let [name, partial, from] = CANNOT_IMPORT.groups(text)?;
        let is_own = is_own(from) || (!partial.is_empty() && ADDON.is_match(from));
        let class = if is_own { ErrorClass::ImportOwnPackage } else { ErrorClass::ImportName };
        let module = ADDON.first(from).filter(|_| is_own).unwrap_or_default();
        return Some(Finding::new(class).name(&format!("{from}.{name}")).module(module));
    }
    let name = NO_MODULE.first(text).filter(|_| case.is(&["ModuleNotFoundError", "ImportError"]))?;
    let class = if is_own(name) { ErrorClass::ImportOwnPackage } else { ErrorClass::ImportModule };
    Some(Finding::new(class).name(name))
}

pub(super) fn syntax(case: &Case<'_>) -> Option<Finding> {
    // `psycopg2.errors.SyntaxError` is another thing.
    let is_python = matches!(case.raised().exception.as_str(), "SyntaxError" | "IndentationError" | "TabError");
    let frame = case.innermost().filter(|_| is_python)?;
    Some(Finding::new(ErrorClass::PythonSyntax).file(&frame.file, Some(frame.line)))
}

pub(super) fn names(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    match case.exception() {
        "NameError" | "UnboundLocalError" => {
            Some(Finding::new(ErrorClass::NameUndefined).rank(Rank::Generic).name(UNDEFINED.first(text).unwrap_or_default()))
        }
        "AttributeError" => {
            let found = Finding::new(ErrorClass::AttributeMissing).rank(Rank::Generic);
            let Some([owner, attribute]) = NO_ATTRIBUTE.groups(text) else { return Some(found) };
            let is_record = owner.contains('.') && text.contains(" object has no attribute");
            Some(found.method(attribute).name(&format!("{owner}.{attribute}")).model(if is_record { owner } else { "" }))
        }
        "TypeError" => {
            let [function, argument, twice] = ARGUMENTS.groups(text)?;
            let argument = if argument.is_empty() { twice } else { argument };
            let found = Finding::new(ErrorClass::CallArguments).rank(Rank::Generic);
            Some(found.method(function.rsplit('.').next().unwrap_or(function)).name(argument))
        }
        "ValueError" => Some(Finding::new(ErrorClass::ExpectedSingleton).model(SINGLETON.first(text)?)),
        _ => None,
    }
}
