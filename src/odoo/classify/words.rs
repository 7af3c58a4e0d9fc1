//! Entries without an exception: warnings that name a fault, and errors that are only words.

use super::database::{self, model_of};
use super::{Finding, Rank};
use crate::domain::ErrorClass;
use crate::odoo::log::Entry;
use crate::odoo::pattern::Pattern;

static NO_RULES: Pattern = Pattern::new(r"^The models? \[?((?:'[\w.]+'(?:, )?)+)\]? ha(?:ve|s) no access rules(?: in module (\w+))?");
static QUOTED: Pattern = Pattern::new(r"'([\w.]+)'");
static WRONG_SERIES: Pattern = Pattern::new(r"[Mm]odule (\w+) has an incompatible version");
static NULLS: Pattern = Pattern::new(r#"column "(\w+)" of relation "(\w+)""#);
static MISSING_CONSTRAINT: Pattern = Pattern::new(r"Missing not-null constraint on ([\w.]+)\.(\w+)");
static NO_COLUMN: Pattern = Pattern::new(r#"column "?([\w.]+)"? does not exist"#);
static CONSTRAINT: Pattern = Pattern::new(r#"(?:constraint|index) ['"]?([\w.]+)['"]?"#);
static NOT_LOADED: Pattern = Pattern::new(r"Some modules are not loaded, [^\[]*(\[[^\]]*\])");
static COULD_NOT: Pattern = Pattern::new(r"Couldn't load module (\w+)");
static POSTGRES: Pattern = Pattern::new(r"(?m)^ERROR: +([^\n]+)");
static MACHINE: Pattern = Pattern::new(
    r"(?i)timeout after|address already in use|memory limit|out of memory|time limit|connection (?:refused|reset)|too many (?:clients|connections)|could not serialize|server closed the connection",
);

/// What a warning is about, if it is of a kind that matters.
pub(in crate::odoo) fn of_warning(entry: &Entry<'_>, loading: Option<&str>) -> Option<Finding> {
    let text = entry.message.as_ref();
    if entry.logger.ends_with("schema") {
        return Some(schema(text));
    }
    if let Some([models, module]) = NO_RULES.groups(text) {
        let models: Vec<_> = QUOTED.all(models).collect();
        let found = Finding::new(ErrorClass::AccessRulesMissing).model(models.first()?).module(module);
        return Some(if models.len() > 1 { found.name(&models.join(", ")) } else { found });
    }
    if let Some(module) = WRONG_SERIES.first(text) {
        return Some(Finding::new(ErrorClass::ManifestVersion).module(module).file(&format!("{module}/__manifest__.py"), None));
    }
    let ignored = text.contains("'_sql_constraints'") && text.contains("no longer supported");
    ignored.then(|| Finding::new(ErrorClass::SqlConstraintsIgnored).module(loading.unwrap_or_default()))
}

fn schema(text: &str) -> Finding {
    let found = Finding::new(ErrorClass::SchemaConstraint);
    if let Some([field, table]) = NULLS.groups(text) {
        return found.model(&model_of(table)).field(field);
    }
    if let Some([model, field]) = MISSING_CONSTRAINT.groups(text) {
        return found.model(model).field(field);
    }
    match NO_COLUMN.first(text) {
        Some(column) => found.field(column),
        None => found.name(CONSTRAINT.first(text).unwrap_or_default()),
    }
}

/// What an error without a traceback is about.
pub(in crate::odoo) fn of_entry(entry: &Entry<'_>, loading: Option<&str>) -> Finding {
    let text = entry.message.as_ref();
    if let Some(found) = of_warning(entry, loading) {
        return found;
    }
    if let Some(modules) = NOT_LOADED.first(text) {
        let modules: Vec<_> = QUOTED.all(modules).collect();
        let found = Finding::new(ErrorClass::DependencyMissing).name(&modules.join(", "));
        return if let [only] = modules.as_slice() { found.module(only) } else { found };
    }
    if let Some(module) = COULD_NOT.first(text) {
        return Finding::new(ErrorClass::ImportModule).rank(Rank::Unknown).module(module);
    }
    if text.starts_with("bad query:") {
        return POSTGRES.first(text).map_or_else(|| Finding::new(ErrorClass::SqlInvalid), database::of_text);
    }
    if MACHINE.is_match(text.lines().next().unwrap_or_default()) {
        return Finding::new(ErrorClass::Infrastructure);
    }
    Finding::new(ErrorClass::Other).rank(Rank::Unknown)
}
