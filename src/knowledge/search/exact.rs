//! What an error names, each name looked up where it must stand. One function for each way in which errors name things.

use std::sync::LazyLock;

use regex::Regex;
use sqlx::Row;
use uuid::Uuid;

use super::found::{Candidate, Scope};
use super::symbols::{Definition, Wanted, definitions};
use crate::db::{DbError, TenantTx};
use crate::domain::{ErrorClass, ErrorReport, Subclass};
use crate::knowledge::graph;

#[expect(clippy::expect_used, reason = "the patterns are constants, and a test reads them")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

static OPERATION: LazyLock<Regex> = LazyLock::new(|| pattern(r"'(read|write|create|unlink)'"));
static BLAMED: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^\s*- (.+?)\s*$"));
static CONTEXT_FILE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"[\\/](\w+)[\\/](?:views|view|wizards?|reports?|data|security|templates)[\\/][\w./\\-]+\.xml|[\\/]addons[\\/](\w+)[\\/]")
});
static TEMPLATE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?m)(?:^\s*Template: |Template not found: '?|External ID not found in the system: )([\w]+\.[\w.]+)"));
static COMPILED: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bin template_(\w+?)_(\d+)(?:_content|_t_call_\d+|_t_foreach_\d+)?\b"));
static CALLED: LazyLock<Regex> = LazyLock::new(|| pattern(r#"t-call=["']([\w.]+)["']"#));
static ANCHOR: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"@?(?:name|id|class|t-call|t-field|string)\s*=\s*['\x22]([^'\x22]+)['\x22]|hasclass\(['\x22]([^'\x22]+)"));

/// The texts that hold what the error names, best first. Empty if it names nothing, or nothing that is known.
pub(super) async fn named(tx: &mut TenantTx, scope: &Scope, text: &str, report: &ErrorReport) -> Result<Vec<Candidate>, DbError> {
    let object = &report.object;
    let odoo_model = object.model.as_deref();
    let subclass = report.subclass.map(Subclass::as_str).unwrap_or_default();
    match (report.class, odoo_model) {
        (ErrorClass::AccessDenied, Some(odoo_model)) if subclass == "rule" => rules(tx, scope, text, odoo_model).await,
        (ErrorClass::AccessDenied, Some(odoo_model)) => access(tx, scope, odoo_model).await,
        (ErrorClass::ModelMissing | ErrorClass::AccessRulesMissing, Some(odoo_model)) => classes(tx, scope, odoo_model).await,
        (ErrorClass::ViewAnchorMissing, _) => anchors(tx, scope, text, report).await,
        (ErrorClass::QwebRender, _) => templates(tx, scope, text, report).await,
        (ErrorClass::ExternalIdMissing, _) => records(tx, scope, object.xmlid.as_deref()).await,
        (ErrorClass::RecordMissing, _) if text.contains("Template not found") => templates(tx, scope, text, report).await,
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

/// Record rules: where the message blames some, those; else those that bind the operation.
async fn rules(tx: &mut TenantTx, scope: &Scope, text: &str, odoo_model: &str) -> Result<Vec<Candidate>, DbError> {
    let found = of_odoo_model(tx, scope, "rule", odoo_model).await?;
    let ids: Vec<Uuid> = found.iter().map(|definition| definition.chunk).collect();
    let rows = sqlx::query("select id, content from knowledge where id = any($1)").bind(&ids).fetch_all(tx.conn()).await?;
    let texts: Vec<(Uuid, String)> =
        rows.iter().map(|row| Ok((row.try_get("id")?, row.try_get("content")?))).collect::<Result<_, DbError>>()?;
    let operation = OPERATION.captures(text).map(|found| found[1].to_owned());
    let blamed: Vec<&str> = BLAMED.captures_iter(text).filter_map(|found| found.get(1)).map(|found| found.as_str()).collect();
    let mut rated: Vec<(i32, &Definition)> = found
        .iter()
        .map(|definition| {
            let content = texts.iter().find(|(id, _)| *id == definition.chunk).map(|(_, content)| content.as_str()).unwrap_or_default();
            let named = blamed.iter().any(|name| content.contains(&format!(">{name}<")));
            let bound = operation.as_deref().is_none_or(|operation| !is_off(content, operation));
            // A rule that allows everything denies nothing.
            let open = content.contains("(1, '=', 1)") || content.contains("(1,'=',1)");
            (i32::from(!named) * 4 + i32::from(!bound) * 2 + i32::from(open), definition)
        })
        .collect();
    rated.sort_by_key(|(rate, _)| *rate);
    let rated: Vec<Definition> = rated.into_iter().map(|(_, definition)| definition.clone()).collect();
    Ok(candidates(&rated, |_| format!("a record rule of {odoo_model}")))
}

/// Whether a rule says of itself that it does not bind an operation.
fn is_off(rule: &str, operation: &str) -> bool {
    let Some(at) = rule.find(&format!("perm_{operation}")) else { return false };
    let rest = &rule[at..rule[at..].find("/>").or_else(|| rule[at..].find("</")).map_or(rule.len(), |end| at + end)];
    rest.contains("False") || rest.contains("\"0\"") || rest.contains(">0")
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
    let found = definitions(tx, scope, Wanted { kinds: &["class"], odoo_model: Some(odoo_model), ..Wanted::default() }).await?;
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

/// The views above the one that names an anchor: first those that hold what the anchor names.
async fn anchors(tx: &mut TenantTx, scope: &Scope, text: &str, report: &ErrorReport) -> Result<Vec<Candidate>, DbError> {
    let Some(xmlid) = report.object.xmlid.as_deref() else { return Ok(Vec::new()) };
    let module = CONTEXT_FILE.captures(text).and_then(|found| found.get(1).or(found.get(2))).map(|found| found.as_str().to_owned());
    let module = module.or_else(|| report.module.as_ref().map(ToString::to_string));
    let names: Vec<String> = match (xmlid.contains('.'), module) {
        (true, _) => vec![xmlid.to_owned()],
        (false, Some(module)) => vec![format!("{module}.{xmlid}")],
        (false, None) => graph_names(tx, scope, xmlid).await?,
    };
    let own = definitions(tx, scope, Wanted { kinds: &["view", "template"], names: &names, ..Wanted::default() }).await?;
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

/// The template that failed, and those through which it was called.
async fn templates(tx: &mut TenantTx, scope: &Scope, text: &str, report: &ErrorReport) -> Result<Vec<Candidate>, DbError> {
    let mut names: Vec<String> = TEMPLATE.captures_iter(text).map(|found| found[1].to_owned()).collect();
    names.extend(report.object.view.clone());
    let named = names.len();
    for compiled in COMPILED.captures_iter(text) {
        let compiled = &compiled[1];
        // `template_sale_portal_my_orders_3445` does not say where the addon's name ends.
        let splits = compiled.match_indices('_').take(8).map(|(at, _)| format!("{}.{}", &compiled[..at], &compiled[at + 1..]));
        names.extend(splits);
    }
    let mut found = definitions(tx, scope, Wanted { kinds: &["template", "view"], names: &names, ..Wanted::default() }).await?;
    // What calls the template that failed, or the one around it, gave it its values.
    let called: Vec<String> = CALLED.captures_iter(text).map(|found| found[1].to_owned()).chain(names[..named].iter().cloned()).collect();
    let calls = definitions(tx, scope, Wanted { kinds: &["calls"], names: &[], ..Wanted::default() }.leading_to(&called)).await?;
    found.extend(calls.into_iter().take(6));
    let mut rated: Vec<(usize, &Definition)> =
        found.iter().map(|definition| (names.iter().position(|name| *name == definition.name).unwrap_or(usize::MAX), definition)).collect();
    rated.sort_by_key(|(at, _)| *at);
    Ok(rated
        .into_iter()
        .map(|(at, definition)| {
            let why = match at {
                at if at < named => "the template that failed",
                usize::MAX => "calls the template that failed",
                _ => "a template through which it was called",
            };
            Candidate::new(definition.chunk, 1.0, format!("{why}: {}", definition.name))
        })
        .collect())
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
    let modules = scope.modules(tx).await?;
    for name in &names {
        for kind in ["field", "method"] {
            let definitions = match kind {
                "field" => graph::fields(tx, &modules, odoo_model, name, scope.version.as_deref()).await?,
                _ => graph::overrides(tx, &modules, odoo_model, name, scope.version.as_deref()).await?,
            };
            let within =
                definitions.into_iter().filter(|definition| scope.within.as_ref().is_none_or(|within| within.contains(&definition.module)));
            found.extend(
                within.map(|definition| Candidate::new(definition.chunk, 1.0, format!("defines the {kind} {name} of {odoo_model}"))),
            );
        }
    }
    if found.is_empty() {
        let kinds = ["field", "method"];
        let elsewhere = definitions(tx, scope, Wanted { kinds: &kinds, names: &names, ..Wanted::default() }).await?;
        found.extend(elsewhere.iter().take(10).map(|definition| {
            let of = definition.odoo_model.as_deref().unwrap_or("another class");
            Candidate::new(definition.chunk, 0.6, format!("defines the {} {} of {of}", definition.kind, definition.name))
        }));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_patterns() {
        for pattern in [&CALLED, &OPERATION, &BLAMED, &CONTEXT_FILE, &TEMPLATE, &COMPILED, &ANCHOR] {
            assert!(!pattern.is_match(""));
        }
        let text = "in template_sale_portal_my_orders_3445_content\n    Template: portal.layout";
        assert_eq!(&COMPILED.captures(text).unwrap()[1], "sale_portal_my_orders");
        assert_eq!(&TEMPLATE.captures(text).unwrap()[1], "portal.layout");
    }

    #[test]
    fn a_rule_may_not_bind_an_operation() {
        assert!(is_off(r#"<field name="perm_unlink" eval="False"/><field name="perm_read" eval="True"/>"#, "unlink"));
        assert!(!is_off(r#"<field name="perm_read" eval="True"/><field name="perm_unlink" eval="False"/>"#, "read"));
        assert!(!is_off("<record/>", "read"));
    }
}
