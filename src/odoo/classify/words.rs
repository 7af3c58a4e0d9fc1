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
    r"(?i)(timeout after|address already in use|memory limit|out of memory|time limit|connection (?:refused|reset)|too many (?:clients|connections)|could not serialize|deadlock detected|server closed the connection|connection to the database failed|no space left)",
);
static NOT_SEARCHABLE: Pattern = Pattern::new(r"Non-stored field ([\w.]+)\.(\w+) cannot be searched");

/// Words of [`MACHINE`], and what they are about.
const MACHINE_SUBS: [(&str, &str); 8] = [
    ("time", "timeout"),
    ("address", "port"),
    ("memory", "memory"),
    ("serialize", "serialization"),
    ("deadlock", "deadlock"),
    ("space", "disk"),
    ("connection", "connection"),
    ("too many", "connection"),
];

/// What a warning is about, if it is of a kind that matters.
pub(in crate::odoo) fn of_warning(entry: &Entry<'_>, loading: Option<&str>) -> Option<Finding> {
    let text = entry.message.as_ref();
    if entry.logger.ends_with("schema") {
        return Some(schema(text));
    }
    if let Some([models, module]) = NO_RULES.groups(text) {
        let models: Vec<_> = QUOTED.all(models).collect();
        let found = Finding::new(ErrorClass::AccessRulesMissing).sub("no_rows").model(models.first()?).module(module);
        return Some(if models.len() > 1 { found.name(&models.join(", ")) } else { found });
    }
    if let Some(module) = WRONG_SERIES.first(text) {
        return Some(
            Finding::new(ErrorClass::ManifestVersion).sub("series").module(module).file(&format!("{module}/__manifest__.py"), None),
        );
    }
    let ignored = text.contains("'_sql_constraints'") && text.contains("no longer supported");
    ignored.then(|| Finding::new(ErrorClass::SqlConstraintsIgnored).sub("class_attribute").module(loading.unwrap_or_default()))
}

fn schema(text: &str) -> Finding {
    let found = Finding::new(ErrorClass::SchemaConstraint);
    if let Some([field, table]) = NULLS.groups(text) {
        return found.sub("not_null").model(&model_of(table)).field(field);
    }
    if let Some([model, field]) = MISSING_CONSTRAINT.groups(text) {
        return found.sub("not_null").model(model).field(field);
    }
    match NO_COLUMN.first(text) {
        Some(column) => found.sub("column").field(column),
        None => found.sub(constraint_kind(text)).name(CONSTRAINT.first(text).unwrap_or_default()),
    }
}

fn constraint_kind(text: &str) -> &'static str {
    match text {
        _ if text.contains("unique") || text.contains("duplicated") => "unique",
        _ if text.contains("foreign key") => "foreign_key",
        _ if text.contains("check constraint") => "check",
        _ if text.contains("exclusion") => "exclusion",
        _ => "other",
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
        let found = Finding::new(ErrorClass::DependencyMissing).sub("not_loaded").name(&modules.join(", "));
        return if let [only] = modules.as_slice() { found.module(only) } else { found };
    }
    if let Some(module) = COULD_NOT.first(text) {
        return Finding::new(ErrorClass::ImportModule).rank(Rank::Unknown).module(module);
    }
    if text.starts_with("bad query:") {
        return POSTGRES.first(text).map_or_else(|| Finding::new(ErrorClass::SqlInvalid), database::of_text);
    }
    if let Some([model, field]) = NOT_SEARCHABLE.groups(text) {
        return Finding::new(ErrorClass::FieldNotStored).sub("search").model(model).field(field);
    }
    if let Some(said) = MACHINE.first(text.lines().next().unwrap_or_default()) {
        let said = said.to_ascii_lowercase();
        return Finding::new(ErrorClass::Infrastructure)
            .sub(MACHINE_SUBS.iter().find(|(word, _)| said.contains(word)).map_or("other", |(_, sub)| sub));
    }
    Finding::new(ErrorClass::Other).rank(Rank::Unknown)
}
