//! Secrets in sentences of five languages, in lists of parameters, and in the bodies of forms.

use std::ops::Range;

use super::super::pattern::Pattern;
use super::judge;
use super::keywords::{Kind, Seen, rules};
use super::quotes::Quote;
use super::spans::Spans;

/// Words after which a password is named: `with password …`, `mit Passwort …`.
const LEADS: &[&str] = &[
    "with",
    "using",
    "mit",
    "avec",
    "con",
    "met",
    "med",
    "com",
    "and",
    "und",
    "et",
    "en",
    "y",
    "e",
    "the",
    "your",
    "his",
    "her",
    "their",
    "le",
    "la",
    "de",
    "dem",
    "das",
    "het",
    "su",
    "tu",
    "votre",
    "son",
    "ihr",
    "sein",
    "uw",
    "new",
    "neue",
    "neues",
    "neuem",
    "neuen",
    "nouveau",
    "nueva",
    "nieuw",
    "nieuwe",
    "old",
    "temporary",
    "initial",
    "default",
    "admin",
    "master",
];
/// Words before the name of a user, after which a password may follow.
const USERS: &[&str] = &["login", "user", "username", "benutzer", "utilisateur", "usuario", "gebruiker"];
/// Words that say what the secret is.
const VERBS: &[&str] =
    &["is", "was", "lautet", "ist", "war", "est", "était", "es", "era", "luidt", "set", "changed", "geändert", "gewijzigd", "cambiada"];
/// Words between such a word and the secret.
const AFTER_VERBS: &[&str] = &["to", "auf", "in", "naar", "a", "now", "jetzt", "nu"];
/// Words between the name of a key and the key.
const AFTER_KEYS: &[&str] = &["key", "code", "value", "api", "de", "d'api"];
/// The most characters of a password in a sentence.
const LONGEST: usize = 64;
/// The fewest characters of a key in a sentence.
const SHORTEST_KEY: usize = 12;

static FORM: Pattern = Pattern::new(
    r#"(?i)form-data;\s*name=\\?"[\w.\[\]-]*(?:passw|passwd|pwd|secret|token|api_?key)[\w.\[\]-]*\\?"(?:\r?\n|\\r\\n|\\n){2}([^\r\n\\]+)"#,
);

/// The parameters of a statement, as its client prints them.
static PARAMETERS: [Pattern; 2] = [
    Pattern::new(r#"(?i)\b(?:sql_?|query_?|bind_?)?(?:params|bindings)['"]?\s*:\s*[\[({]([^\n]*)"#),
    Pattern::new(r"(?i)\bparameters:\s*(?:[\[({]|\$1\s*=)([^\n]*)"),
];
static LITERAL: [Pattern; 2] = [Pattern::new(r#"'((?:[^'\\\n]|\\.)*)'"#), Pattern::new(r#""((?:[^"\\\n]|\\.)*)""#)];

/// Finds what sentences, forms and lists of parameters tell.
pub fn find(text: &str, seen: &Seen, spans: &mut Spans) {
    for (start, end, kind) in &seen.names {
        let told = match kind {
            Kind::Password => password(text, *start..*end),
            Kind::Token => key(text, *start..*end),
            Kind::Code | Kind::Header => None,
        };
        told.into_iter().for_each(|range| spans.push(range));
    }
    if seen.has(rules::FORM) {
        FORM.ranges(text, 1).for_each(|range| spans.push(range));
    }
    if seen.has(rules::PARAMETERS) {
        parameters(text, spans);
    }
}

/// The password that a sentence tells after the word for it.
fn password(text: &str, word: Range<usize>) -> Option<Range<usize>> {
    if !stands_alone(text, &word) {
        return None;
    }
    let (mut at, mut told) = (skip(text, word.end), false);
    for _ in 0..2 {
        let next = next_word(text, at);
        let known = if told { AFTER_VERBS } else { VERBS };
        if !known.contains(&next.to_lowercase().as_str()) {
            break;
        }
        told = true;
        at = skip(text, at + next.len());
    }
    if !told && !is_led_to(text, word.start) {
        return None;
    }
    secret(text, at)
}

/// The key that a sentence tells after the word for it.
fn key(text: &str, word: Range<usize>) -> Option<Range<usize>> {
    if !stands_alone(text, &word) {
        return None;
    }
    let mut at = skip(text, word.end);
    for _ in 0..3 {
        let next = next_word(text, at).to_lowercase();
        if !VERBS.contains(&next.as_str()) && !AFTER_KEYS.contains(&next.as_str()) {
            break;
        }
        at = skip(text, at + next.len());
    }
    let found = secret(text, at)?;
    let value = &text[found.clone()];
    let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || b"_+/=.~-".contains(&byte);
    (value.len() >= SHORTEST_KEY && value.bytes().all(is_sign) && value.bytes().any(|byte| byte.is_ascii_digit())).then_some(found)
}

/// Whether the word is one by itself, with a blank after it.
fn stands_alone(text: &str, word: &Range<usize>) -> bool {
    let before = text[..word.start].chars().next_back();
    before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.')) && text[word.end..].starts_with([' ', '\t'])
}

/// Skips blanks, and a colon or a sign between them.
fn skip(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    at + rest.len() - rest.trim_start_matches([' ', '\t', ':', '=']).len()
}

fn next_word(text: &str, at: usize) -> &str {
    let rest = &text[at..];
    let end = rest.char_indices().take(16).find(|(_, c)| !c.is_alphabetic() && *c != '\'').map_or(0, |(at, _)| at);
    &rest[..end]
}

/// Whether a word that leads to a password stands before it, or a user: `with password`, `user jane password`.
fn is_led_to(text: &str, start: usize) -> bool {
    let from = text.ceil_char_boundary(start.saturating_sub(80));
    let line = text[from..start].rsplit('\n').next().unwrap_or_default();
    let mut words = line.split_whitespace().rev();
    let last = words.next().unwrap_or_default().trim_start_matches(['(', '"', '\'', '[']).to_lowercase();
    let before = words.next().unwrap_or_default().to_lowercase();
    LEADS.contains(&last.as_str()) || USERS.contains(&before.trim_start_matches(['(', '"', '\'', '[']))
}

/// A value in quotes, or one that a program may have made.
fn secret(text: &str, at: usize) -> Option<Range<usize>> {
    if let Some(quote) = Quote::at(text, at) {
        let content = quote.content(text, at + quote.text.len())?;
        let value = text[content.clone()].trim();
        let fits = (3..=LONGEST).contains(&value.chars().count()) && !value.contains(' ') && !judge::is_placeholder(value);
        return fits.then_some(content);
    }
    let rest = &text[at..];
    let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '«' | '»' | '“' | '”' | '„' | '`')).unwrap_or(rest.len());
    let value = rest[..end].trim_end_matches(['.', ',', ';', ')', ':', '!', '?']);
    judge::is_told_secret(value).then(|| at..at + value.len())
}

fn parameters(text: &str, spans: &mut Spans) {
    for list in PARAMETERS.iter().flat_map(|pattern| pattern.ranges(text, 1)) {
        let line = &text[list.clone()];
        // Names of fields and of Odoo models tell nothing.
        let is_name = |value: &str| value.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.'));
        for range in LITERAL.iter().flat_map(|literal| literal.ranges(line, 1)).filter(|range| !is_name(&line[range.clone()])) {
            spans.push(list.start + range.start..list.start + range.end);
        }
    }
}
