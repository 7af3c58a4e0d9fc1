//! From what Odoo said to a person back to the code that said it, also where it was said in another language.

use std::sync::LazyLock;

use regex::Regex;
use sqlx::Row;
use uuid::Uuid;

use super::found::{Candidate, Scope};
use super::words::{self, Ask, Match, Term};
use crate::db::{DbError, TenantTx};
use crate::knowledge::chunk::Corpus;

/// Messages compared with the text, letter by letter.
const COMPARED: usize = 60;
/// The bytes of a text that are compared.
const MAX_TEXT: usize = 8 * 1024;
/// The fewest letters of a message that must be the same.
const MIN_LITERAL: usize = 8;
/// A label stands in many a sentence by chance; a message of so many letters does not.
const LONG: usize = 30;

#[expect(clippy::expect_used, reason = "the pattern is a constant, and a test reads it")]
static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"%\(\w+\)[-#0 +]*\d*(?:\.\d+)?[a-z]|%[-#0 +]*\d*(?:\.\d+)?[sdrifxgeu]|\{[^{}\n]{0,60}\}").expect("a constant pattern")
});

/// A message that the text holds.
struct Said {
    content: String,
    kind: String,
    msgid: String,
    /// How many of its own letters the text has.
    letters: usize,
}

/// The part of a text that is held against messages: its end.
fn end(text: &str) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(MAX_TEXT))..]
}

/// What to look for in [`Corpus::Message`].
pub(super) fn terms(text: &str) -> Vec<Term> {
    words::terms(&[(end(text), 1.0)])
}

/// The functions whose message the text holds, best first.
pub(super) async fn sources(tx: &mut TenantTx, scope: &Scope, text: &str) -> Result<Vec<Candidate>, DbError> {
    let matches = alike(tx, &scope.anywhere(), text).await?;
    let said = said(tx, text, &matches).await?;
    best(tx, scope, said).await
}

/// The functions whose message these words are for the most part, or quote, out of the messages that share words with them.
pub(super) async fn quoted(tx: &mut TenantTx, scope: &Scope, text: &str, matches: &[Match]) -> Result<Vec<Candidate>, DbError> {
    let mut said = said(tx, text, matches).await?;
    said.retain(|said| is_quoted(said.letters, end(text)));
    best(tx, scope, said).await
}

async fn best(tx: &mut TenantTx, scope: &Scope, mut said: Vec<Said>) -> Result<Vec<Candidate>, DbError> {
    // The longest message is the most certain; a part of it may be a message too.
    said.sort_by_key(|said| std::cmp::Reverse(said.letters));
    let Some(most) = said.first().map(|said| said.letters) else { return Ok(Vec::new()) };
    said.retain(|said| said.letters * 4 >= most * 3);
    let mut found = Vec::new();
    for said in said.into_iter().take(6) {
        let msgid = if said.kind == "translation" { &said.msgid } else { &said.content };
        let why = if said.kind == "translation" { "says this, translated" } else { "says this" };
        let chunks = raised_in(tx, scope, msgid).await?;
        found
            .extend(chunks.into_iter().map(|id| Candidate::new(id, 1.0, format!("{why}: {}", msgid.chars().take(80).collect::<String>()))));
    }
    Ok(found)
}

/// What the text says in the language of the sources, where it says it in another.
pub(super) async fn english(tx: &mut TenantTx, scope: &Scope, text: &str) -> Result<Option<String>, DbError> {
    let matches = alike(tx, &Scope { version: None, ..scope.anywhere() }, text).await?;
    let mut said = said(tx, text, &matches).await?;
    said.sort_by_key(|said| std::cmp::Reverse(said.letters));
    Ok(said.into_iter().next().filter(|said| said.kind == "translation").map(|said| said.msgid))
}

/// The messages that share words with the text.
async fn alike(tx: &mut TenantTx, scope: &Scope, text: &str) -> Result<Vec<Match>, DbError> {
    let found = words::best(tx, &[Ask { corpus: Corpus::Message, terms: &terms(text), scope }], COMPARED).await?;
    Ok(found.into_iter().flatten().collect())
}

/// Those of the messages that the text really holds.
async fn said(tx: &mut TenantTx, text: &str, matches: &[Match]) -> Result<Vec<Said>, DbError> {
    let ids: Vec<Uuid> = matches.iter().take(COMPARED).map(|found| found.id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query("select content, kind, title from knowledge where id = any($1)").bind(&ids).fetch_all(tx.conn()).await?;
    let text = folded(end(text));
    let mut said = Vec::new();
    for row in rows {
        let content: String = row.try_get("content")?;
        let letters = letters_in(&content, &text);
        if letters >= MIN_LITERAL {
            said.push(Said { content, kind: row.try_get("kind")?, msgid: row.try_get("title")?, letters });
        }
    }
    Ok(said)
}

/// The pieces of code that this message stands in.
async fn raised_in(tx: &mut TenantTx, scope: &Scope, msgid: &str) -> Result<Vec<Uuid>, DbError> {
    let start: String = msgid.chars().take(100).collect();
    let mut sql = sqlx::QueryBuilder::<sqlx::Postgres>::new(
        "select distinct on (c.id) c.id, c.odoo_version, c.start_line from knowledge m join knowledge c on c.path = m.path and c.start_line = m.start_line
            and c.odoo_version is not distinct from m.odoo_version and c.source_id = m.source_id and c.kind in ('method', 'function', 'class')
          where m.kind = 'message' and left(m.content, 100) = ",
    );
    sql.push_bind(start).push(" and m.content = ").push_bind(msgid.to_owned());
    if let Some(version) = &scope.version {
        sql.push(" and m.odoo_version = ").push_bind(version.clone());
    }
    if let Some(modules) = &scope.within {
        sql.push(" and m.module = any(").push_bind(modules.clone()).push(")");
    }
    sql.push(" limit 20");
    let rows = sql.build().fetch_all(tx.conn()).await?;
    rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
}

/// Spaces and quotes are not always printed as they stand in the code.
fn folded(text: &str) -> String {
    let plain = text
        .replace(['\u{201c}', '\u{201d}', '\u{ab}', '\u{bb}'], "\"")
        .replace(['\u{2018}', '\u{2019}'], "'")
        .replace("&quot;", "\"")
        .replace("&#39;", "'");
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How many letters of a message stand in the text in its order; 0 unless all do.
fn letters_in(message: &str, text: &str) -> usize {
    let message = folded(message);
    let mut at = 0;
    let mut letters = 0;
    for literal in PLACEHOLDER.split(&message).map(str::trim).filter(|literal| !literal.is_empty()) {
        let literal = literal.replace("%%", "%");
        let Some(found) = text[at..].find(&literal) else { return 0 };
        at += found + literal.len();
        letters += letters_of(&literal);
    }
    letters
}

/// Letters of other scripts than Latin say more each.
fn letters_of(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphanumeric()).map(|c| if c.is_ascii() { 1 } else { 2 }).sum()
}

fn is_quoted(letters: usize, text: &str) -> bool {
    letters >= LONG || letters * 2 >= letters_of(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_stand_for_anything() {
        assert_eq!(letters_in("Mandate '%s' should be in '%(state)s' state.", "Mandate 'A B' should be in 'x' state."), 22);
        assert_eq!(letters_in("Mandate '%s' should be", "Mandate 'A B' must be"), 0);
        assert_eq!(letters_in("100%% of {count:d} lines", "100% of 5 lines"), 10);
        assert_eq!(letters_in("%s", "anything"), 0);
    }

    #[test]
    fn labels_in_a_sentence_are_not_quoted() {
        let of = |message: &str, text: &str| is_quoted(letters_in(message, text), text);
        assert!(of("Mandate '%s' should be open", "Mandate 'A B' should be open") && of("没有过账", "没有过账"));
        assert!(of(
            "You cannot delete a posted entry of %s.",
            "It says: You cannot delete a posted entry of A. What now? I did nothing else."
        ));
        assert!(!of("Sales Orders", "This module adds an agreement to Sales Orders"));
    }

    #[test]
    fn quotes_and_spaces_may_differ() {
        assert!(letters_in("Field \u{201c}%(f)s\u{201d}  does\nnot exist", &folded("Field \"x\" does not exist")) > 10);
    }
}
