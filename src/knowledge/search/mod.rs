//! What must be read for this error or question, and what worked before for something like it.
//!
//! A text is first read for what it is: an error names what it is about, and what it names is looked up; a question in words is compared
//! with words and meanings. The two are not mixed: near things never push a thing aside that was named. Nothing is decided here about fixes.

mod asked;
mod constraints;
mod culprits;
mod embedding;
mod errors;
mod exact;
mod form;
mod found;
mod frames;
mod messages;
mod modules;
mod near;
mod plan;
mod precedence;
mod rank;
mod rendering;
mod rules;
mod shown;
mod symbols;
mod templates;
mod words;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::modules::KeptModules;
use super::store::DocType;
use crate::db::{DbError, TenantTx};
use crate::domain::OdooVersion;

pub use embedding::{QueryEmbedding, QueryVector};
pub use found::Hit;
pub use rank::COMPARED;

/// The most answers that one search gives.
pub const MAX_HITS: usize = 100;
/// The bytes of a text that are read; of a longer one the end, where an error stands.
pub const MAX_TEXT: usize = 256 * 1024;
/// The characters of words that are embedded.
const MAX_EMBEDDED: usize = 2_000;
/// The bytes of the longest name in a filter.
const MAX_NAME: usize = 200;
/// The most names in one filter.
pub const MAX_NAMES: usize = 2_000;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Query {
    /// A traceback, a message, a question, what a module does; or several of them.
    pub text: String,
    /// What an answer must be.
    pub filters: Filters,
    /// The most answers.
    pub limit: usize,
}

/// What an answer must be. Empty lists and `None` demand nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filters {
    /// One of these sorts of text.
    #[serde(deserialize_with = "one_or_many", alias = "doc_types", skip_serializing_if = "Vec::is_empty")]
    pub doc_type: Vec<String>,
    /// Of one of these addons.
    #[serde(deserialize_with = "one_or_many", alias = "modules", skip_serializing_if = "Vec::is_empty")]
    pub module: Vec<String>,
    /// Of this Odoo series: `19.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Of what this addon is or depends on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closure: Option<String>,
    /// One of these kinds: `method`, `view` …
    #[serde(deserialize_with = "one_or_many", alias = "kinds", skip_serializing_if = "Vec::is_empty")]
    pub kind: Vec<String>,
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "this takes one name or a list of names")]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

/// A query that cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum BadQuery {
    /// There is nothing to look for.
    #[error("the text to search for is empty")]
    Empty,
    /// A field holds what it cannot hold, and what it can.
    #[error("{0}: {1}")]
    Field(&'static str, String),
    /// More names than are ever needed.
    #[error("a filter has {0} names; at most {MAX_NAMES} are taken")]
    TooManyNames(usize),
    /// A sort of text that does not exist.
    #[error(transparent)]
    DocType(#[from] super::store::UnknownDocType),
    /// A kind that does not exist.
    #[error(
        "there is no kind {0:?}; there are: module, method, function, class, view, template, record, access, rule, rows, script, section, known_error, fix, ticket"
    )]
    Kind(String),
}

impl Query {
    /// Checks what comes from outside.
    pub fn check(&self) -> Result<(), BadQuery> {
        if self.text.trim().is_empty() {
            return Err(BadQuery::Empty);
        }
        if !(1..=MAX_HITS).contains(&self.limit) {
            return Err(BadQuery::Field("limit", format!("use 1 to {MAX_HITS}")));
        }
        let Filters { doc_type, module, kind, version, closure } = &self.filters;
        if let Some(version) = version {
            version.parse::<OdooVersion>().map_err(|error| BadQuery::Field("filters.version", error.to_string()))?;
        }
        let is_name = |name: &String| (1..=MAX_NAME).contains(&name.len()) && !name.contains(char::is_control);
        let names = [
            ("filters.module", module.iter().find(|name| !is_name(name))),
            ("filters.closure", closure.iter().find(|name| !is_name(name))),
        ];
        if let Some((field, _)) = names.into_iter().find(|(_, bad)| bad.is_some()) {
            return Err(BadQuery::Field(field, format!("a name of an addon has 1 to {MAX_NAME} bytes, none of them a control character")));
        }
        if let Some(names) = [doc_type, module, kind].into_iter().map(Vec::len).find(|names| *names > MAX_NAMES) {
            return Err(BadQuery::TooManyNames(names));
        }
        for name in doc_type {
            name.parse::<DocType>()?;
        }
        match kind.iter().find(|name| !super::chunk::Kind::ALL.iter().any(|known| known.as_str() == name.as_str())) {
            Some(unknown) => Err(BadQuery::Kind(unknown.chars().take(80).collect())),
            None => Ok(()),
        }
    }
}

/// What is embedded of a query: of an error what it says, without names and places.
pub(super) fn embedded_text(text: &str) -> String {
    if asked::Asked::read(text).report.is_some() {
        return super::errors::card(text);
    }
    text.chars().take(MAX_EMBEDDED).collect()
}

/// The texts of code whose vectors are nearest.
pub(super) async fn nearest_code(
    tx: &mut TenantTx,
    kept: &KeptModules,
    vector: &QueryVector,
    filters: &Filters,
    n: usize,
) -> Result<Vec<Uuid>, DbError> {
    let scope = found::Scope::of(tx, filters, kept).await?;
    let found = near::nearest(tx, &scope, &[super::chunk::Corpus::Code], vector, n).await?;
    Ok(found.into_iter().flatten().map(|near| near.id).collect())
}

/// Answers one query. Its embedding is waited for only where everything else has been looked up.
pub(super) async fn search(tx: &mut TenantTx, kept: &KeptModules, query: &Query, embedding: &QueryEmbedding) -> Result<Vec<Hit>, DbError> {
    let limit = query.limit.clamp(1, MAX_HITS);
    let text = &query.text[query.text.ceil_char_boundary(query.text.len().saturating_sub(MAX_TEXT))..];
    let scope = found::Scope::of(tx, &query.filters, kept).await?;
    let asked = asked::Asked::read(text);
    let ranked = match &asked.report {
        Some(report) => errors::answer(tx, &scope, text, report, embedding, limit).await?,
        None => {
            let prose = rank::prose(tx, &scope, text, &asked, embedding, limit).await?;
            errors::in_words(tx, &scope, text, embedding, prose, limit).await?
        }
    };
    found::hits(tx, ranked, limit).await
}
