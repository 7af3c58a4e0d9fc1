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
    r"^([\w.<>]+)\(\) (?:got an unexpected keyword argument '(\w+)'|missing \d+ required [a-z -]*arguments?: '(\w+)'|takes |got multiple values for argument '(\w+)')",
);
static SINGLETON: Pattern = Pattern::new(r"Expected singleton: ([\w.]+)\(([^)\n]*)");

static READ_ONLY: Pattern = Pattern::new(r"property '(\w+)' of '([\w.]+)' object has no setter");
static ODOO: Pattern = Pattern::new(r"^(?:odoo|openerp)(?:$|\.)");
static CANNOT_SUBMODULE: Pattern = Pattern::new(r"^(?:odoo|openerp)\.addons\.\w+\.");
static COMMIT: Pattern = Pattern::new(r"Cannot commit or rollback a cursor from inside a test");

/// Whose an import is.
fn origin(from: &str) -> &'static str {
    match from {
        _ if ADDON.is_match(from) => "addon",
        _ if ODOO.is_match(from) => "odoo",
        _ => "library",
    }
}

pub(super) fn cursor(case: &Case<'_>) -> Option<Finding> {
    if !COMMIT.is_match(case.message()) {
        return None;
    }
    let rolls_back = case.raised().frames.iter().any(|frame| frame.source.contains(".rollback("));
    let name = if rolls_back { "rollback" } else { "commit" };
    Some(Finding::new(ErrorClass::CursorInTest).sub(name).method(name))
}

pub(super) fn hook(case: &Case<'_>) -> Option<Finding> {
    let by_loader = case.innermost().is_some_and(|frame| frame.source.contains("getattr(py_module"));
    let [function] = ARGUMENTS.groups(case.message()).filter(|_| by_loader && case.is(&["TypeError"]))?;
    let file = case.loading.map(|module| format!("{module}/__init__.py")).unwrap_or_default();
    let hooks = [("pre_init", "pre_init"), ("post_init", "post_init"), ("uninstall", "uninstall"), ("post_load", "post_load")];
    let source = case.innermost().map_or("", |frame| frame.source.as_str());
    let sub = hooks.iter().find(|(word, _)| source.contains(word)).map_or("post_init", |(_, sub)| sub);
    Some(Finding::new(ErrorClass::HookSignature).sub(sub).method(function).file(&file, None))
}

pub(super) fn import(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    let is_own = |from: &str| ADDON.first(from).is_some_and(|module| case.loading == Some(module));
    if case.is(&["ImportError"]) {
        let [name, partial, from] = CANNOT_IMPORT.groups(text)?;
        let is_own = is_own(from) || (!partial.is_empty() && ADDON.is_match(from));
        let class = if is_own { ErrorClass::ImportOwnPackage } else { ErrorClass::ImportName };
        let module = ADDON.first(from).filter(|_| is_own).unwrap_or_default();
        let sub = match () {
            () if is_own => {
                if CANNOT_SUBMODULE.is_match(from) {
                    "module"
                } else {
                    "package"
                }
            }
            () if !partial.is_empty() => "circular",
            () => origin(from),
        };
        return Some(Finding::new(class).sub(sub).name(&format!("{from}.{name}")).module(module));
    }
    let name = NO_MODULE.first(text).filter(|_| case.is(&["ModuleNotFoundError", "ImportError"]))?;
    Some(match is_own(name) {
        true => Finding::new(ErrorClass::ImportOwnPackage).sub("module").name(name),
        false => Finding::new(ErrorClass::ImportModule).sub(origin(name)).name(name),
    })
}

pub(super) fn syntax(case: &Case<'_>) -> Option<Finding> {
    // `psycopg2.errors.SyntaxError` is another thing.
    let is_python = matches!(case.raised().exception.as_str(), "SyntaxError" | "IndentationError" | "TabError");
    let frame = case.innermost().filter(|_| is_python)?;
    let sub = match case.exception() {
        "IndentationError" => "indentation",
        "TabError" => "tab",
        _ => "syntax",
    };
    let name = case.message().lines().next().unwrap_or_default();
    Some(Finding::new(ErrorClass::PythonSyntax).sub(sub).name(name).file(&frame.file, Some(frame.line)))
}

pub(super) fn names(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    match case.exception() {
        "NameError" | "UnboundLocalError" => {
            let sub = if case.is(&["UnboundLocalError"]) || text.contains("free variable") { "local" } else { "global" };
            Some(Finding::new(ErrorClass::NameUndefined).sub(sub).rank(Rank::Generic).name(UNDEFINED.first(text).unwrap_or_default()))
        }
        "AttributeError" => {
            let found = Finding::new(ErrorClass::AttributeMissing).rank(Rank::Generic);
            if let Some([attribute, owner]) = READ_ONLY.groups(text) {
                let model = if owner.contains('.') { owner } else { "" };
                return Some(found.sub("read_only").field(attribute).model(model).name(&format!("{owner}.{attribute}")));
            }
            let Some([owner, attribute]) = NO_ATTRIBUTE.groups(text) else { return Some(found.sub("other")) };
            let is_record = owner.contains('.') && text.contains(" object has no attribute");
            let sub = match () {
                () if is_record => "odoo_model",
                () if text.contains("module '") && ODOO.is_match(owner) => "api",
                () if text.contains("module '") => "module",
                () => "other",
            };
            // Whether it is called tells a method from a field; without the source it may be either.
            let source = case.innermost().map_or("", |frame| frame.source.as_str());
            let is_called = source.contains(&format!(".{attribute}("));
            let field = if is_record && !is_called { attribute } else { "" };
            let method = if is_record && !is_called && source.contains(&format!(".{attribute}")) { "" } else { attribute };
            Some(found.sub(sub).method(method).field(field).name(&format!("{owner}.{attribute}")).model(if is_record { owner } else { "" }))
        }
        "TypeError" => {
            let [function, argument, missing, twice] = ARGUMENTS.groups(text)?;
            let argument = [argument, missing, twice].concat();
            let sub = match () {
                () if text.contains("unexpected keyword") => "unexpected",
                () if text.contains("multiple values") => "duplicate",
                () if text.contains("missing ") => "missing",
                () => "too_many",
            };
            let found = Finding::new(ErrorClass::CallArguments).sub(sub).rank(Rank::Generic);
            Some(found.method(function.rsplit('.').next().unwrap_or(function)).name(&argument))
        }
        "ValueError" => {
            let [model, ids] = SINGLETON.groups(text)?;
            Some(Finding::new(ErrorClass::ExpectedSingleton).sub(if ids.is_empty() { "empty" } else { "several" }).model(model))
        }
        _ => None,
    }
}
