//! Rows and values that PostgreSQL, its clients and Odoo print with an error.

use std::ops::Range;

use super::super::head::is_head;
use super::super::pattern::Pattern;
use super::keywords::{Seen, rules};
use super::spans::Spans;

/// A key that PostgreSQL names, and the rest of its line.
static ROWS: [Pattern; 3] = [
    Pattern::new(r"Key \([^)\n]*\)=\(([^\n]*)\)"),
    // The same in other languages: DETALLE, DÉTAIL, DETALHE … First a key, then a row.
    Pattern::new(r"(?m)^\s*D[EÉ]T[A-Z]+\s?:[^\n(]*\([^)\n]*\)=\(([^\n]*)\)"),
    Pattern::new(r"(?m)^\s*D[EÉ]T[A-Z]+\s?:[^\n(]*\(([^\n(),*]*,[^\n]*)"),
];

static FAILING: Pattern = Pattern::new(r"Failing row contains \(");
static END: Pattern = Pattern::new(r#"\)\.(?:\s|\\n|['"]|\z)"#);
/// The most bytes of a row.
const REACH: usize = 16 * 1024;

static BAD_QUERY: Pattern = Pattern::new(r"bad query:[^\n]*");
// In `b'…'` quotes are escaped, in `b"…"` they are not.
static ESCAPED_LITERAL: Pattern = Pattern::new(r"\\'((?:[^'\\]|\\[^'])*)\\'");
static LITERAL: Pattern = Pattern::new(r"'([^']*)'");

/// A password that a statement sets.
static SQL: [Pattern; 2] = [
    Pattern::new(r"(?i)\bidentified\s+(?:with\s+\S+\s+)?(?:by|as)\s+(?:password\s+)?\\?'([^'\\]+)"),
    Pattern::new(r"(?i)\bpassword\s+\\?'([^'\\]+)"),
];
/// A row that is inserted, where one of its columns is a secret or personal.
static INSERT: Pattern = Pattern::new(
    r#"(?i)\binsert\s+into\s+[\w."\\]+\s*\([^)]*(?:passw|secret|token|api_?key|email|phone|mobile|iban|acc_number|street)[^)]*\)\s*values\s*([^\n;]*)"#,
);

/// Finds the values of rows and statements.
pub fn find(text: &str, seen: &Seen, spans: &mut Spans) {
    if seen.has(rules::ROW) {
        failing_rows(text, spans);
        let other = |range: &Range<usize>| !text[..range.start].ends_with("Failing row contains (");
        ROWS.iter().flat_map(|row| row.ranges(text, 1)).filter(other).for_each(|range| spans.push(range));
    }
    if seen.has(rules::QUERY) {
        for query in BAD_QUERY.ranges(text, 0) {
            literals(text, query, spans);
        }
    }
    if seen.has(rules::SQL) {
        SQL.iter().flat_map(|statement| statement.ranges(text, 1)).for_each(|range| spans.push(range));
        for values in INSERT.ranges(text, 1) {
            literals(text, values, spans);
        }
    }
}

/// The row that failed. It ends with `).`, which may be some lines below; where the end is lost, the line goes.
fn failing_rows(text: &str, spans: &mut Spans) {
    for begin in FAILING.ranges(text, 0) {
        let reach = &text[begin.end..text.floor_char_boundary(begin.end + REACH)];
        let entry = reach.match_indices('\n').map(|(at, _)| at).find(|at| is_head(&reach.as_bytes()[at + 1..]));
        let reach = &reach[..entry.unwrap_or(reach.len())];
        let end = END.ranges(reach, 0).next().map(|end| end.start);
        let end = end.unwrap_or_else(|| reach.find('\n').unwrap_or(reach.len()));
        spans.push(begin.end..begin.end + end);
    }
}

/// The literals of a statement, as it stands in a log.
fn literals(text: &str, statement: Range<usize>, spans: &mut Spans) {
    let said = &text[statement.clone()];
    let literal = match (said.contains("b'"), said.contains("\\'")) {
        (true, true) => &ESCAPED_LITERAL,
        (true, false) => return,
        (false, _) => &LITERAL,
    };
    for range in literal.ranges(said, 1) {
        spans.push(statement.start + range.start..statement.start + range.end);
    }
}
