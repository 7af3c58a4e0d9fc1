//! What an error names, each name looked up where it must stand. One function for each way in which errors name things.

use std::sync::LazyLock;

use regex::Regex;
use sqlx::Row;
use uuid::Uuid;

use super::found::{Candidate, Scope};
use super::symbols::{Definition, Wanted, definitions};
use super::{constraints, rules, templates};
use crate::db::{DbError, TenantTx};
use crate::domain::{ErrorClass, ErrorReport, Subclass};
use crate::knowledge::graph;

#[expect(clippy::expect_used, reason = "the patterns are constants, and a test reads them")]
pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

static CONTEXT_FILE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"[\\/](\w+)[\\/](?:views|view|wizards?|reports?|data|security|templates)[\\/][\w./\\-]+\.xml|[\\/]addons[\\/](\w+)[\\/]")
});
static ANCHOR: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"@?(?:name|id|class|t-call|t-field|string)\s*=\s*['\x22]([^'\x22]+)['\x22]|hasclass\(['\x22]([^'\x22]+)"));

/// The texts that hold what the error names, best first. Empty if it names nothing, or nothing that is known.
pub(super) async fn named(tx: &mut TenantTx, scope: &Scope, text: &str, report: &ErrorReport) -> Result<Vec<Candidate>, DbError> {
    let object = &report.object;
    let odoo_model = object.model.as_deref();
    let subclass = report.subclass.map(Subclass::as_str).unwrap_or_default();
    match (report.class, odoo_model) {
        (ErrorClass::AccessDenied, Some(_)) if subclass == "field" => members(tx, scope, report).await,
        (ErrorClass::AccessDenied, Some(odoo_model)) if subclass == "rule" => rules::refused(tx, scope, text, odoo_model).await,
        (ErrorClass::AccessDenied, Some(odoo_model)) => access(tx, scope, odoo_model).await,
        (ErrorClass::ModelMissing | ErrorClass::AccessRulesMissing, Some(odoo_model)) => classes(tx, scope, odoo_model).await,
        (ErrorClass::SchemaOutdated, Some(odoo_model)) if subclass == "table" => classes(tx, scope, odoo_model).await,
        (ErrorClass::FieldReferenceBroken, _) if subclass == "comodel" => {
            let makers = classes(tx, scope, object.name.as_deref().unwrap_or_default()).await?;
            Ok([makers, members(tx, scope, report).await?].concat())
        }
        (ErrorClass::DataConstraint | ErrorClass::SchemaConstraint, _) => {
            let declared = constraints::declared(tx, scope, object.name.as_deref().unwrap_or_default()).await?;
            Ok([declared, members(tx, scope, report).await?].concat())
        }
        (ErrorClass::ViewUnknownField | ErrorClass::ViewInvalid | ErrorClass::ViewInvalidAction, _) => {
            let mut found = [members(tx, scope, report).await?, views(tx, scope, text, report).await?].concat();
            // What only has the same name elsewhere comes after the view.
            found.sort_by(|a, b| b.score.total_cmp(&a.score));
            Ok(found)
        }
        (ErrorClass::ComputeUnassigned, Some(odoo_model)) => {
            let computing = computing(tx, scope, odoo_model, object.field.as_deref().unwrap_or_default()).await?;
            Ok([computing, members(tx, scope, report).await?].concat())
        }
        (ErrorClass::ViewAnchorMissing, _) => anchors(tx, scope, text, report).await,
        (ErrorClass::QwebRender, _) => templates::failed(tx, scope, text, report).await,
        (ErrorClass::ExternalIdMissing, _) => records(tx, scope, object.xmlid.as_deref()).await,
        (ErrorClass::RecordMissing, _) if text.contains("Template not found") => templates::failed(tx, scope, text, report).await,
        _ => members(tx, scope, report).await,
    }
}

fn candidates(definitions: &[Definition], why: impl Fn(&Definition) -> String) -> Vec<Candidate> {
    definitions.iter().map(|definition| Candidate::new(definition.chunk, 1.0, why(definition))).collect()
}

async fn access(tx: &mut TenantTx, scope: &Scope, odoo_model: &str) -> Result<Vec<Candidate>, DbError> {
    let found = of_odoo_model(tx, scope, "access", odoo_model).await?;
    Ok(candidates(&found, |_| format!("grants rights on {odoo_model}")))
}

/// What is said of an Odoo model by its external id, in which a dot and an underscore are the same.
async fn of_odoo_model(tx: &mut TenantTx, scope: &Scope, kind: &str, odoo_model: &str) -> Result<Vec<Definition>, DbError> {
    let found = definitions(tx, scope, Wanted { kinds: &[kind], odoo_model: Some(odoo_model), ..Wanted::default() }).await?;
    let dotted = odoo_model.replace('_', ".");
    if !found.is_empty() || dotted == odoo_model {
        return Ok(found);
    }
    definitions(tx, scope, Wanted { kinds: &[kind], odoo_model: Some(&dotted), ..Wanted::default() }).await
}

async fn classes(tx: &mut TenantTx, scope: &Scope, odoo_model: &str) -> Result<Vec<Candidate>, DbError> {
    let mut found = definitions(tx, scope, Wanted { kinds: &["class"], odoo_model: Some(odoo_model), ..Wanted::default() }).await?;
    // Of several that make it, the addon that is called after it.
    let addon = odoo_model.replace('.', "_");
    found.sort_by_key(|definition| !(definition.defines && definition.module == addon));
    Ok(candidates(&found, |definition| format!("{} {odoo_model}", if definition.defines { "makes" } else { "extends" })))
}

async fn records(tx: &mut TenantTx, scope: &Scope, xmlid: Option<&str>) -> Result<Vec<Candidate>, DbError> {
    let Some(xmlid) = xmlid else { return Ok(Vec::new()) };
    let mut names = vec![xmlid.to_owned()];
    let kinds = ["record", "view", "template", "rule"];
    let mut found = definitions(tx, scope, Wanted { kinds: &kinds, names: &names, ..Wanted::default() }).await?;
    if let Some(odoo_model) = xmlid.split_once('.').and_then(|(_, name)| name.strip_prefix("model_")).filter(|_| found.is_empty()) {
        return classes(tx, scope, &odoo_model.replace('_', ".")).await;
    }
    if found.is_empty() && !xmlid.contains('.') {
        names = graph_names(tx, scope, xmlid).await?;
        found = definitions(tx, scope, Wanted { kinds: &kinds, names: &names, ..Wanted::default() }).await?;
    }
    Ok(candidates(&found, |definition| format!("is {}", definition.name)))
}

/// The full external ids that end in this name.
async fn graph_names(tx: &mut TenantTx, scope: &Scope, name: &str) -> Result<Vec<String>, DbError> {
    let mut names: Vec<String> = scope.modules(tx).await?.all.iter().map(|module| format!("{}.{name}", module.name)).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// The view that Odoo refuses.
async fn views(tx: &mut TenantTx, scope: &Scope, text: &str, report: &ErrorReport) -> Result<Vec<Candidate>, DbError> {
    let found = refused_view(tx, scope, text, report).await?;
    Ok(candidates(&found, |view| format!("is {}, which is refused", view.name)))
}

async fn refused_view(tx: &mut TenantTx, scope: &Scope, text: &str, report: &ErrorReport) -> Result<Vec<Definition>, DbError> {
    let Some(xmlid) = report.object.xmlid.as_deref().filter(|xmlid| !xmlid.is_empty()) else { return Ok(Vec::new()) };
    let module = CONTEXT_FILE.captures(text).and_then(|found| found.get(1).or(found.get(2))).map(|found| found.as_str().to_owned());
    let module = module.or_else(|| report.module.as_ref().map(ToString::to_string));
    let names: Vec<String> = match (xmlid.contains('.'), module) {
        (true, _) => vec![xmlid.to_owned()],
        (false, Some(module)) => vec![format!("{module}.{xmlid}")],
        (false, None) => graph_names(tx, scope, xmlid).await?,
    };
    definitions(tx, scope, Wanted { kinds: &["view", "template"], names: &names, ..Wanted::default() }).await
}

/// The views above the one that names an anchor: first those that hold what the anchor names.
async fn anchors(tx: &mut TenantTx, scope: &Scope, text: &str, report: &ErrorReport) -> Result<Vec<Candidate>, DbError> {
    let own = refused_view(tx, scope, text, report).await?;
    let Some(first) = own.first() else { return Ok(Vec::new()) };
    let above = graph::ancestors(tx, &first.name, scope.version.as_deref()).await?;
    let ids: Vec<Uuid> = above.iter().map(|view| view.chunk).collect();
    let rows = sqlx::query("select id, content from knowledge where id = any($1)").bind(&ids).fetch_all(tx.conn()).await?;
    let texts: Vec<(Uuid, String)> =
        rows.iter().map(|row| Ok((row.try_get("id")?, row.try_get("content")?))).collect::<Result<_, DbError>>()?;
    let spec = report.object.name.as_deref().unwrap_or_default();
    let tokens: Vec<String> = ANCHOR
        .captures_iter(spec)
        .filter_map(|found| found.get(1).or(found.get(2)))
        .map(|found| format!("\"{}\"", found.as_str()))
        .collect();
    let holds = |id: Uuid| {
        let content = texts.iter().find(|(known, _)| *known == id).map(|(_, content)| content.as_str()).unwrap_or_default();
        tokens.iter().filter(|token| content.contains(token.as_str())).count()
    };
    let mut rated: Vec<(usize, i32, Uuid)> = above.iter().map(|view| (tokens.len() - holds(view.chunk), view.depth, view.chunk)).collect();
    // All but the thing that is missing may be there in several; the nearest of them is where to look.
    rated.sort_by_key(|(missing, depth, _)| (*missing, *depth));
    let mut found: Vec<Candidate> =
        rated.iter().map(|(_, _, id)| Candidate::new(*id, 1.0, format!("a parent of {}", first.name))).collect();
    found.insert(found.len().min(1), Candidate::new(first.chunk, 0.9, format!("is {}, which names the anchor", first.name)));
    Ok(found)
}

/// Fields and methods by the Odoo model and the name, first where the Odoo model itself has it, then where anything else has.
async fn members(tx: &mut TenantTx, scope: &Scope, report: &ErrorReport) -> Result<Vec<Candidate>, DbError> {
    let object = &report.object;
    let names: Vec<String> = [&object.field, &object.method].into_iter().flatten().cloned().collect();
    let mut names: Vec<String> = names;
    names.dedup();
    let Some(odoo_model) = object.model.as_deref() else {
        return match names.as_slice() {
            // A name alone is telling only where few things have it.
            [only] if only.len() > 3 && object.field.is_some() => {
                let found = definitions(tx, scope, Wanted { kinds: &["field"], names: &names, ..Wanted::default() }).await?;
                Ok(if found.len() <= 3 {
                    candidates(&found, |definition| format!("defines the field {}", definition.name))
                } else {
                    Vec::new()
                })
            }
            _ => Ok(Vec::new()),
        };
    };
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for name in &names {
        found.extend(fields(tx, scope, odoo_model, name).await?);
        found.extend(methods(tx, scope, odoo_model, name).await?);
    }
    if found.is_empty() {
        let kinds = ["field", "method"];
        let elsewhere = definitions(tx, scope, Wanted { kinds: &kinds, names: &names, ..Wanted::default() }).await?;
        found.extend(elsewhere.iter().take(10).map(|definition| {
            let of = definition.odoo_model.as_deref().unwrap_or("another class");
            let found = Candidate::new(definition.chunk, 0.6, format!("defines the {} {} of {of}", definition.kind, definition.name));
            if definition.kind == "field" { found.at(definition.line) } else { found }
        }));
    }
    Ok(found)
}

fn within(scope: &Scope, definition: &graph::Definition) -> bool {
    scope.within.as_ref().is_none_or(|within| within.contains(&definition.module))
}

async fn methods(tx: &mut TenantTx, scope: &Scope, odoo_model: &str, name: &str) -> Result<Vec<Candidate>, DbError> {
    let modules = scope.modules(tx).await?;
    let found = graph::overrides(tx, &modules, odoo_model, name, scope.version.as_deref()).await?;
    let why = format!("defines the method {name} of {odoo_model}");
    Ok(found.iter().filter(|method| within(scope, method)).map(|method| Candidate::new(method.chunk, 1.0, why.as_str())).collect())
}

/// The methods that compute a field.
async fn computing(tx: &mut TenantTx, scope: &Scope, odoo_model: &str, field: &str) -> Result<Vec<Candidate>, DbError> {
    let sql = "select distinct detail ->> 'compute' from knowledge_symbols
                where kind = 'field' and odoo_model = $1 and name = $2 and detail ? 'compute' and ($3::text is null or version = $3) limit 5";
    let names: Vec<String> =
        sqlx::query_scalar(sql).bind(odoo_model).bind(field).bind(scope.version.as_deref()).fetch_all(tx.conn()).await?;
    let mut found = Vec::new();
    for name in names {
        found.extend(methods(tx, scope, odoo_model, &name).await?);
    }
    Ok(found)
}

/// Where a field is defined: what an Odoo model says of it itself stands above what it inherits or delegates.
pub(super) async fn fields(tx: &mut TenantTx, scope: &Scope, odoo_model: &str, name: &str) -> Result<Vec<Candidate>, DbError> {
    let modules = scope.modules(tx).await?;
    let mut found = graph::fields(tx, &modules, odoo_model, name, scope.version.as_deref()).await?;
    found.retain(|field| within(scope, field));
    if found.len() > 1 {
        let names = [name.to_owned()];
        let own =
            definitions(tx, scope, Wanted { kinds: &["field"], odoo_model: Some(odoo_model), names: &names, ..Wanted::default() }).await?;
        found.sort_by_key(|field| !own.iter().any(|own| own.chunk == field.chunk));
    }
    let why = format!("defines the field {name} of {odoo_model}");
    Ok(found.iter().map(|field| Candidate::new(field.chunk, 1.0, why.as_str()).at(field.line)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_patterns() {
        for pattern in [&CONTEXT_FILE, &ANCHOR] {
            assert!(!pattern.is_match(""));
        }
    }
}
