//! Files that cannot be read as what they are, compared by their words.

use std::collections::BTreeMap;

use super::compare::loss;
use super::facts::Role;
use super::judge::{Judge, likeness};
use crate::domain::{FileChange, Loss, LossKind};

/// Words of Python that say how, not what.
const KEYWORDS: [&str; 34] = [
    "if", "elif", "else", "for", "while", "in", "not", "and", "or", "is", "return", "def", "class", "with", "as", "try", "except",
    "finally", "pass", "lambda", "yield", "from", "import", "global", "nonlocal", "async", "await", "True", "False", "None", "print",
    "self", "amp", "exec",
];
/// Files that no machine reads.
const PROSE: [&str; 6] = ["md", "rst", "txt", "pot", "html", "toml"];
/// The most pairs that are compared by likeness.
const MANY: usize = 100_000;
/// From here on one line is another, changed.
const NEAR_LINE: f64 = 0.6;

/// What the later text lacks of the earlier one.
pub(super) fn losses(change: &FileChange, judge: &Judge<'_>) -> Vec<Loss> {
    let Some(before) = &change.before else { return Vec::new() };
    let path = change.path.as_str();
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        extension if PROSE.contains(&extension) => Vec::new(),
        "py" | "xml" | "csv" | "po" => of_words(path, before, &change.after, judge),
        _ => of_lines(path, before, &change.after),
    }
}

fn of_words(path: &str, before: &str, after: &str, judge: &Judge<'_>) -> Vec<Loss> {
    let is_python = path.ends_with(".py");
    let (before, after) = (words(before, is_python), words(after, is_python));
    let mut left: BTreeMap<&str, i64> = BTreeMap::new();
    for (_, word) in &after {
        *left.entry(word).or_default() += 1;
    }
    let mut gone: Vec<&(u32, String)> = Vec::new();
    for entry in &before {
        match left.get_mut(entry.1.as_str()) {
            Some(count) if *count > 0 => *count -= 1,
            _ => gone.push(entry),
        }
    }
    let mut new: Vec<&str> = left.into_iter().filter(|(_, count)| *count > 0).map(|(word, _)| word).collect();
    let mut found = Vec::new();
    if gone.len() * new.len() > MANY {
        return vec![loss(LossKind::Behaviour, path, 1, "the file is written anew".to_owned())];
    }
    for (line, word) in gone {
        if let Some(place) = new.iter().position(|other| likeness(word, other) >= NEAR_LINE) {
            let by = new.remove(place);
            if let Some((kind, how)) = judge.rename(Role::Attribute, word, by, None) {
                found.push(loss(kind, path, *line, how));
            }
        } else if !KEYWORDS.contains(&word.as_str()) && !new.iter().any(|other| pieces_hold(other, word)) {
            found.push(loss(LossKind::Behaviour, path, *line, format!("`{word}` is taken away")));
        }
    }
    found
}

/// Whether one word is a part of another, as where a missing space or quote is put in.
fn pieces_hold(other: &str, word: &str) -> bool {
    word.len() > 2 && (other.contains(word) || word.contains(other) && other.len() > 2)
}

fn words(text: &str, is_python: bool) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let code = if is_python { line.split_once('#').map_or(line, |(code, _)| code) } else { line };
        for word in code.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty()) {
            if !(is_python && KEYWORDS.contains(&word)) {
                found.push((n as u32 + 1, word.to_owned()));
            }
        }
    }
    found
}

/// Lines of code in languages that are not parsed.
fn of_lines(path: &str, before: &str, after: &str) -> Vec<Loss> {
    let plain = |line: &str| line.split("//").next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    let counts = |line: &str| {
        line.chars().any(char::is_alphanumeric)
            && !line.starts_with('*')
            && !line.starts_with("/*")
            && !line.starts_with('#')
            && !line.starts_with("--")
    };
    let mut new: Vec<String> = after.lines().map(plain).filter(|line| counts(line)).collect();
    let mut gone = Vec::new();
    for (n, line) in before.lines().enumerate() {
        let line = plain(line);
        if !counts(&line) {
            continue;
        }
        match new.iter().position(|other| *other == line) {
            Some(place) => drop(new.remove(place)),
            None => gone.push((n as u32 + 1, line)),
        }
    }
    if gone.len() * new.len() > MANY {
        return vec![loss(LossKind::Behaviour, path, 1, "the file is written anew".to_owned())];
    }
    gone.retain(|(_, line)| match new.iter().position(|other| likeness(line, other) >= NEAR_LINE) {
        Some(place) => {
            new.remove(place);
            false
        }
        None => true,
    });
    gone.into_iter()
        .map(|(n, line)| loss(LossKind::Behaviour, path, n, format!("the line {} is taken away", super::judge::shown(&line))))
        .collect()
}
