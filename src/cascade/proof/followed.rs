//! The values that the addon's code handed to `create` and `write`, followed from the run that showed the error to the patched one.
//!
//! The values before are recorded before the call goes on, so that those of the call that fails are among them. What the old code would
//! have written must arrive somewhere: under another name, by another call, but in the same test or check.

use std::collections::BTreeSet;

use crate::domain::{Location, Loss, LossKind};
use crate::sandbox::{Record, Written};

/// Values that say nothing: they are also what stands where nothing was written.
const EMPTY: [&str; 10] = ["None", "False", "True", "''", "\"\"", "[]", "{}", "()", "0", "0.0"];
/// Stands in the place of the Odoo model where SQL was executed; its field is the query, its value the parameters.
const SQL: &str = "sql";
/// The most losses that are named.
const MAX_LOSSES: usize = 20;

/// The values that were handed over before the patch and are not handed over after it, in the same test or check.
pub(in crate::cascade) fn lost_values(before: &Record, after: &Record) -> Vec<Loss> {
    // Loading always ran, whether or not anything was written then.
    let ran: BTreeSet<&str> = after.written.iter().map(|written| written.during.as_str()).chain(named(after)).chain(["loading"]).collect();
    let mut seen = BTreeSet::new();
    let values =
        before.written.iter().filter(|old| ran.contains(old.during.as_str())).flat_map(|old| values(old).map(move |value| (old, value)));
    let lost = values.filter(|(old, value)| {
        !after.written.iter().any(|new| new.during == old.during && (arrives(value, &new.value) || is_same_place(old, new)))
            && seen.insert((&old.odoo_model, &old.field, &old.path, old.line))
    });
    lost.take(MAX_LOSSES).map(|(old, value)| loss(old, value)).collect()
}

/// The values of an entry that can be followed: of a field its one value, of SQL the texts among its parameters. The numbers there are
/// ids for the most part.
fn values(written: &Written) -> impl Iterator<Item = &str> {
    let value = written.value.trim();
    let (one, texts) =
        if written.odoo_model == SQL { (None, texts(value)) } else { (Some(value).filter(|value| is_telling(value)), Vec::new()) };
    one.into_iter().chain(texts)
}

/// The texts in a value as Python shows it, with their quotes; empty ones and single letters left out.
fn texts(value: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut open: Option<(usize, char)> = None;
    let mut is_escaped = false;
    for (at, c) in value.char_indices() {
        match open {
            Some(_) if is_escaped => is_escaped = false,
            Some(_) if c == '\\' => is_escaped = true,
            Some((start, quote)) if c == quote => {
                found.push(&value[start..=at]);
                open = None;
            }
            None if matches!(c, '\'' | '"') => open = Some((at, c)),
            _ => {}
        }
    }
    found.retain(|text| text.chars().count() > 4);
    found
}

/// Every test and check that ran.
fn named(record: &Record) -> impl Iterator<Item = &str> {
    record.tests.iter().map(|test| test.name.as_str()).chain(record.smoke.iter().map(|check| check.name.as_str()))
}

/// A value of which it can be told whether it arrived: plain text or a number. Records and times differ from run to run.
fn is_telling(value: &str) -> bool {
    let first = value.chars().next();
    let is_plain = first.is_some_and(|c| matches!(c, '\'' | '"' | '-' | '0'..='9'));
    is_plain && !EMPTY.contains(&value)
}

/// Whether the field that the old value was written to is still written to. A number that is drawn anew in each run is no loss.
fn is_same_place(old: &Written, new: &Written) -> bool {
    new.odoo_model == old.odoo_model && new.field == old.field && !EMPTY.contains(&new.value.trim())
}

/// Whether the old value is the new one or a part of it: two values may be joined into one text.
fn arrives(old: &str, new: &str) -> bool {
    let bare = old.trim_matches(['\'', '"']);
    old == new || (bare.chars().count() > 2 && holds_word(new, bare))
}

/// Whether a text holds another one from one end of a word to another: `3.0` is no part of `13.0`, and `paid` none of `unpaid`.
fn holds_word(text: &str, part: &str) -> bool {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(part).any(|(at, _)| {
        let (before, after) = (text[..at].chars().next_back(), text[at + part.len()..].chars().next());
        !is_word(before) && !is_word(after) && before != Some('.')
    })
}

fn loss(written: &Written, value: &str) -> Loss {
    let Written { odoo_model, field, path, line, .. } = written;
    let place = Location { path: path.clone(), line: Some(*line) };
    let to = if odoo_model == SQL { "by SQL".to_owned() } else { format!("to {odoo_model}.{field}") };
    Loss { kind: LossKind::Value, place, what: format!("the value {value} that was written {to} is written nowhere") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(during: &str, field: &str, value: &str) -> Written {
        let (odoo_model, path) = ("res.partner".to_owned(), "m/a.py".to_owned());
        Written { during: during.to_owned(), odoo_model, field: field.to_owned(), value: value.to_owned(), path, line: 15 }
    }

    fn record(written: &[Written]) -> Record {
        Record { written: written.to_vec(), ..Record::default() }
    }

    #[test]
    fn value_that_arrives_nowhere_is_lost() {
        let before = record(&[written("T.t", "name", "'Ada'"), written("T.t", "mobile", "'+49 170'")]);
        let found = lost_values(&before, &record(&[written("T.t", "name", "'Ada'")]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].to_string(), "m/a.py:15: the value '+49 170' that was written to res.partner.mobile is written nowhere");
    }

    #[test]
    fn value_under_another_name_arrives() {
        let before = record(&[written("T.t", "mobile", "'+49 170'"), written("T.t", "qty", "3.0")]);
        let after = record(&[written("T.t", "phone", "'+49 170'"), written("T.t", "quantity", "3.0")]);
        assert!(lost_values(&before, &after).is_empty());
        let grown = record(&[written("T.t", "state", "'unpaid'"), written("T.t", "x", "13.0")]);
        let paid = record(&[written("T.t", "kind", "'paid'"), written("T.t", "qty", "3.0")]);
        assert_eq!(lost_values(&paid, &grown).len(), 2, "a part of a word or of a number is another value");
        let joined = record(&[written("T.t", "comment", "'call +49 170 or 3.0'"), written("T.t", "q", "3.0")]);
        assert!(lost_values(&before, &joined).is_empty());
    }

    #[test]
    fn field_that_is_still_written_loses_nothing_unless_it_is_emptied() {
        let before = record(&[written("T.t", "code", "'KEY5'")]);
        assert!(lost_values(&before, &record(&[written("T.t", "code", "'KEY6'")])).is_empty());
        assert_eq!(lost_values(&before, &record(&[written("T.t", "code", "''")])).len(), 1);
    }

    #[test]
    fn texts_that_sql_was_to_write_are_followed() {
        let sql = |query: &str, values: &str| Written { odoo_model: SQL.to_owned(), ..written("T.t", query, values) };
        let before = record(&[sql("UPDATE res_partner SET ref = %s WHERE id = %s", "('KEY-5', 7)")]);
        let found = lost_values(&before, &record(&[written("T.t", "name", "'Ada'")]));
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().ends_with("the value 'KEY-5' that was written by SQL is written nowhere"), "{}", found[0]);
        let other_query = record(&[sql("UPDATE res_partner SET reference = %s WHERE id = %s", "['KEY-5', 7]")]);
        assert!(lost_values(&before, &other_query).is_empty());
        assert!(lost_values(&before, &record(&[written("T.t", "ref", "'KEY-5'")])).is_empty(), "Odoo writes it now");
        let ids = record(&[sql("DELETE FROM x WHERE id IN %s", "((7, 8),)")]);
        assert!(lost_values(&ids, &record(&[written("T.t", "name", "'Ada'")])).is_empty());
        assert_eq!(texts(r"('it\'s', 'ab', {'k': 'long \' one'})"), [r"'it\'s'", r"'long \' one'"]);
    }

    #[test]
    fn only_the_same_test_counts_and_only_values_that_tell() {
        let before = record(&[written("T.t", "mobile", "'+49 170'"), written("T.u", "a", "res.partner(3,)"), written("T.u", "b", "False")]);
        assert!(lost_values(&before, &record(&[written("T.u", "c", "'x'")])).is_empty(), "the first test did not run");
        let hook = record(&[written("loading", "name", "'Ada'")]);
        assert_eq!(lost_values(&hook, &Record::default()).len(), 1, "a hook runs whenever the addon is loaded");
    }
}
