//! The record rules that may have refused a person, by how Odoo puts rules together.
//!
//! The rules of an Odoo model without groups all have to hold, of those with groups one is enough, and those of the parents that it delegates
//! to hold too. So a rule alone says little: unless the message blames some by name, those that stand together are one answer.

use std::sync::LazyLock;

use regex::Regex;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::exact::pattern;
use super::found::{Candidate, Scope};
use crate::db::{DbError, TenantTx};

/// The most lines between two rules that stand together.
const GAP: i32 = 3;
/// The most lines of rules that are one answer.
const MAX_RUN: i32 = 100;
/// The most rules of one Odoo model that are looked at.
const MAX_RULES: i64 = 300;
/// How far delegation is followed.
const MAX_DELEGATION: i32 = 3;
/// What a rule is rated at least that the message does not blame.
const NOT_BLAMED: i32 = 8;

static OPERATION: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"'(read|write|create|unlink)' access|Operation: (read|write|create|unlink)\b"));
static QUOTED: LazyLock<Regex> = LazyLock::new(|| pattern(r"['\x22«“‘](read|write|create|unlink)['\x22»”’]"));
static BLAMED: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^\s*- (.+?)\s*$"));
static DOMAIN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?s)name=["']domain_force["'](?:[^>]*?eval=["']|[^>]*>)(.*?)(?:["']\s*/>|</field>)"#));
static LABEL: LazyLock<Regex> = LazyLock::new(|| pattern(r#"(?s)name=["']name["'][^>]*>(.*?)</field>"#));

/// What the message tells about the rules that refused.
struct Refusal<'t> {
    operation: Option<&'t str>,
    blamed: Vec<&'t str>,
    /// Whether companies are the matter: Odoo says so where a rule that refused speaks of them. `None` where it cannot be told.
    companies: Option<bool>,
}

impl<'t> Refusal<'t> {
    fn read(text: &'t str) -> Self {
        let said = OPERATION.captures(text).and_then(|found| found.get(1).or(found.get(2)));
        let operation = said.or_else(|| QUOTED.captures_iter(text).last().and_then(|found| found.get(1))).map(|found| found.as_str());
        let blamed = BLAMED.captures_iter(text).filter_map(|found| found.get(1)).map(|found| found.as_str()).collect();
        let english = text.contains("doesn't have '") || text.contains("you are not allowed");
        let companies = match text.contains("multi-company issue") {
            true => Some(true),
            false => english.then_some(false),
        };
        Self { operation, blamed, companies }
    }

    /// How unlikely a rule is to have refused; `changes` is what other addons made of it.
    fn rate(&self, rule: &Text, changes: Option<&Text>) -> i32 {
        let contents = [Some(rule), changes].map(|text| text.map(|text| text.content.as_str()).unwrap_or_default());
        let named = LABEL.captures(contents[0]).is_some_and(|found| self.blames(&found[1]));
        let off = self.operation.is_some_and(|operation| contents.iter().any(|content| is_off(content, operation)));
        let domain =
            contents.iter().rev().find_map(|content| DOMAIN.captures(content)).map(|found| found[1].to_owned()).unwrap_or_default();
        // A rule that allows everything denies nothing.
        let open = domain.chars().filter(|c| !c.is_whitespace()).collect::<String>().contains("(1,'=',1)");
        let other = self.companies.is_some_and(|companies| companies != domain.contains("company_id"));
        i32::from(!named) * NOT_BLAMED + i32::from(off) * 4 + i32::from(open) * 2 + i32::from(other)
    }

    fn blames(&self, label: &str) -> bool {
        let label = html_escape::decode_html_entities(label.trim());
        self.blamed.iter().any(|name| *name == label)
    }
}

/// A rule as it stands in its file, or what another addon makes of it.
#[derive(Debug, Clone)]
struct Text {
    id: Uuid,
    /// How many delegations lie between it and the Odoo model that was refused.
    level: i32,
    odoo_model: String,
    name: String,
    /// Whether it changes a rule of another addon: it says no more than what it changes.
    changes: bool,
    module: String,
    /// Source, series and file.
    file: (Option<Uuid>, Option<String>, Option<String>),
    start: i32,
    end: i32,
    content: String,
}

/// The rules of an Odoo model, those that may have refused first; after them those of the parents that it delegates to.
pub(super) async fn refused(tx: &mut TenantTx, scope: &Scope, text: &str, odoo_model: &str) -> Result<Vec<Candidate>, DbError> {
    let refusal = Refusal::read(text);
    let rules = load(tx, scope, odoo_model).await?;
    let mut levels: Vec<i32> = rules.iter().map(|rule| rule.level).collect();
    levels.dedup();
    Ok(levels
        .into_iter()
        .flat_map(|level| ranked(&refusal, &rules.iter().filter(|rule| rule.level == level).collect::<Vec<_>>()))
        .collect())
}

fn ranked(refusal: &Refusal<'_>, rules: &[&Text]) -> Vec<Candidate> {
    let rated: Vec<(i32, &Text)> = rules
        .iter()
        .map(|rule| {
            let is_base = |base: &&&Text| !base.changes && base.name == rule.name && base.file.1 == rule.file.1;
            let base = rules.iter().find(is_base).filter(|_| rule.changes);
            (refusal.rate(base.unwrap_or(rule), base.map(|_| *rule)), *rule)
        })
        .collect();
    let is_blamed = rated.iter().any(|(rate, _)| *rate < NOT_BLAMED);
    let mut runs = if is_blamed { rated.into_iter().map(|(rate, rule)| (rate, vec![rule])).collect() } else { together(rated) };
    runs.sort_by_key(|(rate, _)| *rate);
    runs.into_iter().filter_map(|(_, run)| answer(&run)).collect()
}

fn answer(run: &[&Text]) -> Option<Candidate> {
    let (first, rest) = run.split_first()?;
    let odoo_model = &first.odoo_model;
    let why = match rest.len() {
        0 => format!("a record rule of {odoo_model}"),
        more => format!("{} record rules of {odoo_model} that stand together, {} first", more + 1, first.name),
    };
    Some(Candidate::new(first.id, 1.0, why).with(rest.iter().map(|text| text.id).collect()))
}

/// Rules that follow each other in a file, the likeliest of them first.
fn together(rated: Vec<(i32, &Text)>) -> Vec<(i32, Vec<&Text>)> {
    let mut by_place: Vec<(usize, i32, &Text)> = rated.into_iter().enumerate().map(|(nth, (rate, text))| (nth, rate, text)).collect();
    by_place.sort_by(|(_, _, a), (_, _, b)| (&a.file, a.start).cmp(&(&b.file, b.start)));
    let mut runs: Vec<Vec<(usize, i32, &Text)>> = Vec::new();
    for rule in by_place {
        match runs.last_mut() {
            Some(run) if follows(run.first().map(|(_, _, text)| *text), run.last().map(|(_, _, text)| *text), rule.2) => run.push(rule),
            _ => runs.push(vec![rule]),
        }
    }
    let mut runs: Vec<(usize, i32, Vec<&Text>)> = runs
        .into_iter()
        .filter_map(|mut run| {
            let nth = run.iter().map(|(nth, _, _)| *nth).min()?;
            run.sort_by_key(|(nth, rate, _)| (*rate, *nth));
            Some((nth, run.first()?.1, run.into_iter().map(|(_, _, text)| text).collect()))
        })
        .collect();
    runs.sort_by_key(|(nth, _, _)| *nth);
    runs.into_iter().map(|(_, rate, run)| (rate, run)).collect()
}

fn follows(first: Option<&Text>, last: Option<&Text>, rule: &Text) -> bool {
    let (Some(first), Some(last)) = (first, last) else { return false };
    last.file == rule.file && rule.start - last.end <= GAP && rule.end - first.start < MAX_RUN
}

/// The rules of an Odoo model and of those that it delegates to, with what other addons make of them, in the order in which they are loaded.
async fn load(tx: &mut TenantTx, scope: &Scope, odoo_model: &str) -> Result<Vec<Text>, DbError> {
    // A data file names an Odoo model by its external id, in which a dot and an underscore are the same.
    let names = [odoo_model.to_owned(), odoo_model.replace('_', ".")];
    let rows = sqlx::query(
        "with recursive lineage (odoo_model, level) as (
             select unnest($1::text[]), 0
             union
             select s.target, l.level + 1 from lineage l join knowledge_symbols s on s.odoo_model = l.odoo_model and s.kind = 'delegate'
              where s.target is not null and l.level < $2 and ($3::text is null or s.version = $3)
         ), own as (
             select s.name, s.version, min(l.level) as level, min(l.odoo_model) as odoo_model
               from lineage l join knowledge_symbols s on s.odoo_model = l.odoo_model and s.kind = 'rule'
              where ($3::text is null or s.version = $3) group by s.name, s.version
         )
         select k.id, k.source_id, k.odoo_version, k.module, k.path, k.symbol, k.start_line, k.end_line, k.content,
                own.level, own.odoo_model, s.odoo_model is null as changes
           from own join knowledge_symbols s on s.name = own.name and s.kind = 'rule' and s.version = own.version
           join knowledge k on k.id = s.chunk_id
          where ($4::text[] is null or k.module = any($4))
          order by k.path, k.start_line, k.id limit $5",
    )
    .bind(&names)
    .bind(MAX_DELEGATION)
    .bind(scope.version.as_deref())
    .bind(scope.within.as_deref())
    .bind(MAX_RULES)
    .fetch_all(tx.conn())
    .await?;
    let mut rules = rows.iter().map(text).collect::<Result<Vec<_>, _>>()?;
    if rules.len() > 1 {
        let modules = scope.modules(tx).await?;
        let depth = |rule: &Text| modules.depth(&rule.module);
        rules.sort_by(|a, b| (a.level, depth(a), &a.module).cmp(&(b.level, depth(b), &b.module)));
    }
    Ok(rules)
}

fn text(row: &PgRow) -> Result<Text, DbError> {
    Ok(Text {
        id: row.try_get("id")?,
        level: row.try_get("level")?,
        odoo_model: row.try_get("odoo_model")?,
        name: row.try_get::<Option<_>, _>("symbol")?.unwrap_or_default(),
        changes: row.try_get("changes")?,
        module: row.try_get::<Option<_>, _>("module")?.unwrap_or_default(),
        file: (row.try_get("source_id")?, row.try_get("odoo_version")?, row.try_get("path")?),
        start: row.try_get::<Option<_>, _>("start_line")?.unwrap_or_default(),
        end: row.try_get::<Option<_>, _>("end_line")?.unwrap_or_default(),
        content: row.try_get("content")?,
    })
}

/// Whether a rule says of itself that it does not bind an operation.
fn is_off(rule: &str, operation: &str) -> bool {
    let Some(at) = rule.find(&format!("perm_{operation}")) else { return false };
    let rest = &rule[at..];
    let end = [rest.find("/>"), rest.find("</")].into_iter().flatten().min().unwrap_or(rest.len());
    let rest = &rest[..end];
    rest.contains("False") || rest.contains("\"0\"") || rest.contains("'0'") || rest.ends_with(">0")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: &str = "    records.check_access('read')\nodoo.exceptions.AccessError: Uh-oh!\n\nSorry, A (id=5) doesn't have 'write' access to:\n- Order (shop.order)\n";

    fn rule(path: &str, start: i32, end: i32, domain: &str) -> Text {
        Text {
            id: Uuid::new_v4(),
            level: 0,
            odoo_model: "shop.order".to_owned(),
            changes: false,
            module: "shop".to_owned(),
            name: format!("shop.rule_{start}"),
            file: (None, None, Some(path.to_owned())),
            start,
            end,
            content: format!("<record><field name=\"name\">A &amp; B</field><field name=\"domain_force\">{domain}</field></record>"),
        }
    }

    #[test]
    fn a_rule_may_not_bind_an_operation() {
        assert!(is_off(r#"<field name="perm_unlink" eval="False"/><field name="perm_read" eval="True"/>"#, "unlink"));
        assert!(!is_off(r#"<field name="perm_read" eval="True"/><field name="perm_unlink" eval="False"/>"#, "read"));
        assert!(!is_off(r#"<field name="perm_read">1</field><field name="perm_unlink" eval="False"/>"#, "read"));
        assert!(is_off("<field name=\"perm_read\">0</field>", "read"));
        assert!(!is_off("<record/>", "read") && !is_off("perm_read", "read"));
    }

    #[test]
    fn message_tells_operation_and_names() {
        let refusal = Refusal::read(ENGLISH);
        assert_eq!((refusal.operation, refusal.companies), (Some("write"), Some(false)));
        assert_eq!(Refusal::read("x 'read'\nBesoin de l'accès « x » 'unlink'").operation, Some("unlink"));
        assert_eq!(Refusal::read("Document type: A, Operation: create").operation, Some("create"));
        let refusal = Refusal::read("Blame the following rules:\n- A & B\n\nNote: this might be a multi-company issue.");
        assert_eq!((refusal.companies, refusal.blames(" A &amp; B"), refusal.blames("A")), (Some(true), true, false));
        assert_eq!(Refusal::read("").companies, None);
    }

    #[test]
    fn likelier_rules_come_first() {
        let refusal = Refusal::read(ENGLISH);
        let (own, open, company) = (
            rule("a", 1, 2, "[('user_id', '=', user.id)]"),
            rule("a", 3, 4, "[(1, '=', 1)]"),
            rule("a", 5, 6, "[('company_id', 'in', company_ids)]"),
        );
        assert!(refusal.rate(&own, None) < refusal.rate(&company, None) && refusal.rate(&company, None) < refusal.rate(&open, None));
        // Another addon gave the open rule a domain.
        assert_eq!(refusal.rate(&open, Some(&own)), refusal.rate(&own, None));
        let text = format!("{ENGLISH}\nThis seems to be a multi-company issue");
        let refusal = Refusal::read(&text);
        assert!(refusal.rate(&company, None) < refusal.rate(&own, None));
    }

    #[test]
    fn rules_beside_each_other_are_one() {
        let rules = [rule("b", 1, 4, ""), rule("a", 20, 25, ""), rule("b", 6, 9, ""), rule("b", 30, 31, ""), rule("a", 28, 29, "")];
        let runs = together(rules.iter().zip([1, 5, 0, 2, 3]).map(|(rule, rate)| (rate, rule)).collect());
        let runs: Vec<(i32, Vec<i32>)> = runs.into_iter().map(|(rate, run)| (rate, run.iter().map(|text| text.start).collect())).collect();
        assert_eq!(runs, [(0, vec![6, 1]), (3, vec![28, 20]), (2, vec![30])]);
        let long = [rule("a", 1, 60, ""), rule("a", 62, 99, ""), rule("a", 101, 110, "")];
        let runs = together(long.iter().map(|rule| (0, rule)).collect());
        assert_eq!(runs.iter().map(|(_, run)| run.len()).collect::<Vec<_>>(), [2, 1]);
    }
}
