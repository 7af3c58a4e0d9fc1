//! Answers: from ids with a score and a reason to what is shown.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Serialize;
use sqlx::postgres::{PgRow, Postgres};
use sqlx::{QueryBuilder, Row};
use uuid::Uuid;

use super::shown::{self, Lines};
use super::{Filters, precedence};
use crate::db::{DbError, TenantTx};
use crate::domain::ModuleName;
use crate::knowledge::modules::{KeptModules, Modules};

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hit {
    /// How well it answers, from 0 to 1; comparable within one list only.
    pub score: f64,
    /// Why it was found, for people.
    pub why: String,
    /// Where it comes from: `core`, `oca`, `errors`, `custom`, `tickets`.
    pub doc_type: String,
    /// What it is: `method`, `view`, `known_error` …
    pub kind: String,
    /// The addon it is about.
    pub module: Option<String>,
    /// The series it holds for.
    pub version: Option<String>,
    /// Other series that have the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// `module/path/file.py`.
    pub path: Option<String>,
    /// Function, class, record.
    pub symbol: Option<String>,
    /// The Odoo model.
    pub odoo_model: Option<String>,
    /// First line, counted from 1.
    pub start_line: Option<i32>,
    /// Last line.
    pub end_line: Option<i32>,
    /// Its name; of a known error the one it was stored under.
    pub r#ref: String,
    /// One line for people.
    pub title: String,
    /// The text.
    pub text: String,
}

/// A text that may be an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    pub(super) id: Uuid,
    pub(super) score: f32,
    pub(super) why: String,
    /// The line that was named; of a long text only what is around it is shown.
    pub(super) line: Option<i32>,
    /// Texts of the same file that are part of the answer.
    pub(super) with: Vec<Uuid>,
}

impl Candidate {
    pub(super) fn new(id: Uuid, score: f32, why: impl Into<String>) -> Self {
        Self { id, score, why: why.into(), line: None, with: Vec::new() }
    }

    pub(super) fn at(self, line: i32) -> Self {
        Self { line: Some(line), ..self }
    }

    pub(super) fn with(self, with: Vec<Uuid>) -> Self {
        Self { with, ..self }
    }
}

/// The filters of a query, ready for statements.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) doc_types: Vec<String>,
    /// Only of one of these addons.
    pub(super) within: Option<Vec<String>>,
    pub(super) version: Option<String>,
    pub(super) kinds: Vec<String>,
    /// The addon that it is about, where that is known: what is few steps of dependence away from it is likelier to matter.
    pub(super) root: Option<String>,
    pub(super) kept: KeptModules,
}

impl Scope {
    pub(super) async fn of(tx: &mut TenantTx, filters: &Filters, kept: &KeptModules) -> Result<Self, DbError> {
        let mut within = (!filters.module.is_empty()).then(|| filters.module.clone());
        if let Some(root) = &filters.closure {
            let closure = crate::knowledge::graph::closure(tx, root, filters.version.as_deref()).await?;
            within = Some(match within {
                Some(named) => named.into_iter().filter(|module| closure.contains(module)).collect(),
                None => closure.into_iter().collect(),
            });
        }
        let Filters { doc_type, version, kind, closure: root, .. } = filters.clone();
        Ok(Self { doc_types: doc_type, within, version, kinds: kind, root, kept: kept.clone() })
    }

    /// Every text of the series.
    pub(super) fn anywhere(&self) -> Self {
        let (version, kept) = (self.version.clone(), self.kept.clone());
        Self { doc_types: Vec::new(), kinds: Vec::new(), within: None, version, root: None, kept }
    }

    /// The same for what is about this addon, unless another was named.
    pub(super) fn about(&self, module: Option<&ModuleName>) -> Self {
        Self { root: self.root.clone().or_else(|| module.map(ToString::to_string)), ..self.clone() }
    }

    /// The addons of the series.
    pub(super) async fn modules(&self, tx: &mut TenantTx) -> Result<Arc<Modules>, DbError> {
        self.kept.get(tx, self.version.as_deref()).await
    }

    /// Whether texts from there are wanted.
    pub(super) fn wants(&self, doc_type: &str) -> bool {
        self.doc_types.is_empty() || self.doc_types.iter().any(|wanted| wanted == doc_type)
    }

    /// Whether sources are wanted at all.
    pub(super) fn wants_code(&self) -> bool {
        ["core", "oca", "custom"].iter().any(|doc_type| self.wants(doc_type))
    }

    /// Adds what an answer must be to a statement about `knowledge` or one of its shelves.
    pub(super) fn push(&self, sql: &mut QueryBuilder<Postgres>) {
        if !self.doc_types.is_empty() {
            sql.push(" and doc_type = any(").push_bind(self.doc_types.clone()).push(")");
        }
        if !self.kinds.is_empty() {
            sql.push(" and kind = any(").push_bind(self.kinds.clone()).push(")");
        }
        if let Some(modules) = &self.within {
            sql.push(" and module = any(").push_bind(modules.clone()).push(")");
        }
        if let Some(version) = &self.version {
            sql.push(" and odoo_version = ").push_bind(version.clone());
        }
    }
}

/// Loads the best candidates, those of one text joined: the first reason counts. The same code in several series is one answer.
pub(super) async fn hits(tx: &mut TenantTx, ranked: Vec<Candidate>, limit: usize) -> Result<Vec<Hit>, DbError> {
    let mut seen = HashSet::new();
    let ranked: Vec<Candidate> = ranked.into_iter().filter(|candidate| seen.insert(candidate.id)).take(limit * 3).collect();
    let ids: Vec<Uuid> = ranked.iter().flat_map(|candidate| candidate.with.iter().chain([&candidate.id])).copied().collect();
    let rows = sqlx::query(
        "select k.id, k.doc_type, k.kind, k.module, k.odoo_version, k.path, k.symbol, k.odoo_model, k.start_line, k.end_line, k.ref, k.title,
                k.content, u.helped, u.unhelpful
           from knowledge k left join knowledge_uses u on u.ref = k.ref where k.id = any($1)",
    )
    .bind(&ids)
    .fetch_all(tx.conn())
    .await?;
    let mut loaded: HashMap<Uuid, PgRow> = HashMap::new();
    for row in rows {
        loaded.insert(row.try_get("id")?, row);
    }
    let ranked = by_record(ranked, &loaded)?;
    let ranked = precedence::by_word_and_proof(tx, ranked, &loaded).await?;
    let mut hits: Vec<Hit> = Vec::with_capacity(limit);
    let mut places: HashMap<(String, String, String, i32), usize> = HashMap::new();
    for candidate in ranked {
        let Some(row) = loaded.remove(&candidate.id) else { continue };
        let others: Vec<PgRow> = candidate.with.iter().filter_map(|id| loaded.remove(id)).collect();
        let hit = hit(&row, candidate, &others)?;
        if hits.iter().any(|other| is_copy(other, &hit)) {
            continue;
        }
        if let (Some(path), Some(symbol)) = (&hit.path, &hit.symbol) {
            // Several runs of one class's fields have the same symbol in the same series.
            let nth =
                hits.iter().filter(|other| other.version == hit.version && other.path == hit.path && other.symbol == hit.symbol).count();
            let place = (path.clone(), symbol.clone(), hit.kind.clone(), i32::try_from(nth).unwrap_or(0));
            if let Some(first) = places.get(&place) {
                join(&mut hits[*first], hit);
                continue;
            }
            places.insert(place, hits.len());
        }
        if hits.len() == limit {
            break;
        }
        hits.push(hit);
    }
    Ok(hits)
}

/// The same code in another series: the newest is shown, for who asks for none is likeliest to mean that.
fn join(shown: &mut Hit, other: Hit) {
    let numbers = |hit: &Hit| -> Vec<u32> {
        let version = hit.version.as_deref().unwrap_or_default();
        version.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
    };
    let older = if numbers(&other) > numbers(shown) {
        let also = std::mem::take(&mut shown.also);
        std::mem::replace(shown, Hit { score: shown.score, why: shown.why.clone(), also, ..other })
    } else {
        other
    };
    shown.also.extend(older.version);
}

/// Whether both are the same lines of the same file: tenants keep copies of the addons that everybody may see.
fn is_copy(one: &Hit, other: &Hit) -> bool {
    one.path.is_some()
        && one.path == other.path
        && one.start_line == other.start_line
        && one.version == other.version
        && one.kind == other.kind
        && one.text == other.text
}

/// Moves up what helped before and down what did not, among those that answer about as well.
fn by_record(mut ranked: Vec<Candidate>, loaded: &HashMap<Uuid, PgRow>) -> Result<Vec<Candidate>, DbError> {
    let mut is_known = false;
    for candidate in &mut ranked {
        let Some(row) = loaded.get(&candidate.id) else { continue };
        if let (Some(helped), Some(unhelpful)) = (row.try_get("helped")?, row.try_get("unhelpful")?) {
            candidate.score *= crate::knowledge::uses::worth(helped, unhelpful);
            is_known = true;
        }
    }
    if !is_known {
        return Ok(ranked);
    }
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
    Ok(super::rank::descending(ranked))
}

fn hit(row: &PgRow, candidate: Candidate, others: &[PgRow]) -> Result<Hit, DbError> {
    let mut hit = Hit {
        score: f64::from(candidate.score),
        why: candidate.why,
        doc_type: row.try_get("doc_type")?,
        kind: row.try_get("kind")?,
        module: row.try_get("module")?,
        version: row.try_get("odoo_version")?,
        also: Vec::new(),
        path: row.try_get("path")?,
        symbol: row.try_get("symbol")?,
        odoo_model: row.try_get("odoo_model")?,
        start_line: row.try_get("start_line")?,
        end_line: row.try_get("end_line")?,
        r#ref: row.try_get("ref")?,
        title: row.try_get("title")?,
        text: row.try_get("content")?,
    };
    let lines = match (hit.start_line.zip(hit.end_line), candidate.line) {
        (Some((start, end)), Some(line)) => Some(shown::around(Lines { start, end, text: std::mem::take(&mut hit.text) }, line)),
        (Some((start, end)), None) if !others.is_empty() => {
            let mut texts = vec![Lines { start, end, text: std::mem::take(&mut hit.text) }];
            for other in others {
                let line = |name: &str| other.try_get::<Option<i32>, _>(name).map(Option::unwrap_or_default);
                texts.push(Lines { start: line("start_line")?, end: line("end_line")?, text: other.try_get("content")? });
            }
            shown::joined(texts)
        }
        _ => None,
    };
    if let Some(Lines { start, end, text }) = lines {
        (hit.start_line, hit.end_line, hit.text) = (Some(start), Some(end), text);
    }
    Ok(hit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(version: &str) -> Hit {
        Hit {
            score: 0.5,
            why: version.to_owned(),
            doc_type: "core".to_owned(),
            kind: "method".to_owned(),
            module: None,
            version: Some(version.to_owned()),
            also: Vec::new(),
            path: Some("sale/models/order.py".to_owned()),
            symbol: None,
            odoo_model: None,
            start_line: Some(1),
            end_line: Some(2),
            r#ref: version.to_owned(),
            title: String::new(),
            text: "def f(self):".to_owned(),
        }
    }

    #[test]
    fn newest_series_is_shown() {
        let mut shown = of("9.0");
        for version in ["18.0", "17.0", "saas~18.2", "16.0"] {
            join(&mut shown, of(version));
        }
        assert_eq!((shown.version.as_deref(), shown.r#ref.as_str(), shown.why.as_str()), (Some("saas~18.2"), "saas~18.2", "9.0"));
        assert_eq!(shown.also, ["9.0", "17.0", "18.0", "16.0"]);
    }

    #[test]
    fn only_the_same_lines_are_a_copy() {
        let one = of("19.0");
        assert!(is_copy(&one, &Hit { doc_type: "custom".to_owned(), ..one.clone() }));
        for other in [
            of("18.0"),
            Hit { start_line: Some(3), ..one.clone() },
            Hit { text: "def g(self):".to_owned(), ..one.clone() },
            Hit { path: None, ..one.clone() },
        ] {
            assert!(!is_copy(&one, &other));
        }
        let known = Hit { path: None, ..one };
        assert!(!is_copy(&known, &known), "what has no place is no copy of anything");
    }
}
