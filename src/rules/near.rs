//! Which of the names that exist is meant by one that does not.

use super::Case;
use super::words::is_word;

/// How much better the best name must be than the next, so that it is clearly the one.
const GAP: f64 = 0.02;
/// What a name that the addon itself brings, or uses in the same place, is worth on top.
const PREFERRED: f64 = 0.1;
/// The longest name that is compared: the comparison is quadratic.
const MAX_NAME: usize = 120;
/// Words that say nothing by themselves.
const JOINING: [&str; 4] = ["and", "of", "the", "by"];
/// How far below the best a further name may lie.
const FURTHER: f64 = 0.1;
/// How many are given.
const MOST: usize = 3;

/// The names that `wanted` may stand for, the likeliest first; none where nothing is near or where two are equally so.
pub(super) fn ranked<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>, preferred: impl Fn(&str) -> bool) -> Vec<&'a str> {
    let mut scored: Vec<(f64, &str)> = names
        .into_iter()
        .filter(|name| *name != wanted)
        .filter_map(|name| Some((likeness(wanted, name)? + if preferred(name) { PREFERRED } else { 0.0 }, name)))
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    let Some(best) = scored.first().map(|(score, _)| *score) else { return Vec::new() };
    if scored.get(1).is_some_and(|(second, _)| best - second < GAP) {
        return Vec::new();
    }
    scored.into_iter().take_while(|(score, _)| *score >= best - FURTHER).take(MOST).map(|(_, name)| name).collect()
}

/// Whether any of the names could be meant, be it that it cannot be told which.
pub(super) fn is_near<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> bool {
    names.into_iter().any(|name| name != wanted && likeness(wanted, name).is_some())
}

/// Why a name may not be the one that is meant by `wanted`; `None` if it is clearly a misspelling of it and no other name competes.
///
/// A letter too many, too few, wrong or swapped within a word is a misspelling where what is written is no word that is in use, so are other
/// capitals and underscores, and one for many. A number, the first letter of a word, or a whole word more or less tells names apart on
/// purpose: `street2`, `unpaid`.
pub(super) fn doubt<'a>(case: &Case<'_>, wanted: &str, name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    doubt_by(wanted, name, names, |word| is_word(case, wanted, word))
}

/// The same, where it is known of each word whether it is in use.
pub(super) fn doubt_by<'a>(
    wanted: &str,
    name: &str,
    names: impl IntoIterator<Item = &'a str>,
    is_word: impl Fn(&str) -> bool,
) -> Option<String> {
    let names: Vec<&str> = names.into_iter().collect();
    let is_one =
        |differs: fn(&str, &str) -> bool| differs(wanted, name) && !names.iter().any(|other| *other != name && differs(wanted, other));
    if is_spelling(wanted, name) || is_one(is_worded_alike) {
        return None;
    }
    let Some((written, meant)) = misspelt(wanted, name) else {
        return Some(format!("{name} is near {wanted}, but more than a misspelling of it."));
    };
    if !is_plural(written, meant) && is_word(written) {
        return Some(format!("{name} is near {wanted}, but `{written}` is a word that is in use and may be meant."));
    }
    let distance = strsim::osa_distance(wanted, name);
    let competes = |other: &str| {
        let close = other.len().abs_diff(wanted.len()) <= distance + 1 && other.len() <= MAX_NAME;
        let alike = close && other != name && other != wanted && likeness(wanted, other).is_some();
        alike && strsim::osa_distance(wanted, other) <= distance + 1 && !is_wrong_twice(wanted, other)
    };
    let other = names.iter().find(|other| competes(other))?;
    Some(format!("{wanted} may stand for {other} as well as for {name}."))
}

/// Whether a name is the other one with the ending that Odoo gives to a field of one record, and no other name is it with another ending:
/// `partner` for `partner_id`, where there is no `partner_ids`.
pub(super) fn lacks_ending<'a>(wanted: &str, name: &str, names: impl IntoIterator<Item = &'a str>) -> bool {
    let is_it = |name: &str, ending: &str| name.strip_suffix(ending) == Some(wanted);
    is_it(name, "_id") && !names.into_iter().any(|other| is_it(other, "_ids"))
}

/// Whether a name differs in several of its words, each of which would have to be misspelt.
fn is_wrong_twice(wanted: &str, other: &str) -> bool {
    let (ours, theirs) = (words(wanted), words(other));
    ours.len() == theirs.len() && ours.iter().zip(&theirs).filter(|(one, other)| one != other).count() > 1
}

/// Whether a name is the other one with a few letters wrong, and not one with more words.
pub(super) fn is_slip_of(wanted: &str, name: &str) -> bool {
    wanted.len() <= MAX_NAME && name.len() <= MAX_NAME && (is_spelling(wanted, name) || slips(wanted, name).is_some())
}

/// Whether two names are the same but for capitals and underscores.
pub(super) fn is_spelling(wanted: &str, name: &str) -> bool {
    let letters = |name: &str| name.replace('_', "").to_ascii_lowercase();
    letters(wanted) == letters(name)
}

/// Whether two names are the same but for words that join others: `sales_and_purchases`, `sales_purchases`.
fn is_worded_alike(wanted: &str, name: &str) -> bool {
    let telling =
        |name: &'_ str| -> Vec<String> { words(name).into_iter().filter(|word| !JOINING.contains(word)).map(str::to_owned).collect() };
    let (ours, theirs) = (telling(wanted), telling(name));
    ours.len() > 1 && ours == theirs
}

/// Below this length a word is taken to be one, where nothing is known of the words that are in use.
pub(super) const SHORT: usize = 4;
/// The shortest word that may be misspelt: of a single letter nothing can be told.
const SHORTEST: usize = 2;

/// The word that is written and the one that is meant, if just one word differs, by one letter.
fn misspelt<'n>(wanted: &'n str, name: &'n str) -> Option<(&'n str, &'n str)> {
    if wanted.len() > MAX_NAME || name.len() > MAX_NAME || strsim::osa_distance(wanted, name) != 1 {
        return None;
    }
    let (ours, theirs) = (words(wanted), words(name));
    if ours.len() != theirs.len() {
        // A word came apart or two grew together: `order_ line`, `res.partn.er`.
        return None;
    }
    let mut differ = ours.iter().zip(&theirs).filter(|(one, other)| one != other);
    let (Some((one, other)), None) = (differ.next(), differ.next()) else { return None };
    let digits = |word: &str| word.chars().filter(char::is_ascii_digit).collect::<String>();
    let swapped = one.chars().count() == other.chars().count() && {
        let (mut one, mut other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
        one.sort_unstable();
        other.sort_unstable();
        one == other
    };
    let (shorter, longer) = (one.chars().count().min(other.chars().count()), one.chars().count().max(other.chars().count()));
    // `id` and `ids`, `a` and `an`: one of them is not the other, misspelt.
    let long = shorter >= SHORTEST && longer > SHORTEST && (!is_plural(one, other) || shorter > SHORTEST);
    let is_slip = long && digits(one) == digits(other) && (swapped || one.chars().next() == other.chars().next());
    is_slip.then_some((*one, *other))
}

/// Whether two words are one and many of the same.
fn is_plural(one: &str, other: &str) -> bool {
    one.strip_suffix('s') == Some(other) || other.strip_suffix('s') == Some(one)
}

/// How alike two names are, 0 to 1; `None` if neither is a slip of the other.
fn likeness(wanted: &str, name: &str) -> Option<f64> {
    if wanted.is_empty() || name.is_empty() || wanted.len() > MAX_NAME || name.len() > MAX_NAME {
        return None;
    }
    let length = wanted.chars().count().max(name.chars().count());
    #[expect(clippy::cast_precision_loss, reason = "lengths of names")]
    let ratio = |part: usize, whole: usize| part as f64 / whole as f64;
    let slip = slips(wanted, name).map(|letters| 1.0 - ratio(letters, length));
    let kept = ratio(wanted.len().min(name.len()), length);
    // A short name of an Odoo model is the beginning of many.
    let left_out = words_left_out(wanted, name) && (kept >= 0.7 || !name.contains('.'));
    let words = if reordered(wanted, name) { Some(0.9) } else { left_out.then_some(0.7 + 0.25 * kept) };
    match (slip, words) {
        (Some(slip), Some(words)) => Some(slip.max(words)),
        (one, other) => one.or(other),
    }
}

/// How many letters are wrong, if each word is the same, a slip or a synonym of the one in its place: `form` is no slip of `list`.
fn slips(wanted: &str, name: &str) -> Option<usize> {
    let (ours, theirs) = (words(wanted), words(name));
    if ours.len() != theirs.len() {
        // A dot, an underscore or a few letters too many.
        let distance = strsim::osa_distance(wanted, name);
        return (distance <= 1 + wanted.chars().count() / 10 && wanted.chars().count() > 3).then_some(distance);
    }
    let letters: Option<Vec<usize>> = ours.iter().zip(&theirs).map(|(one, other)| slip(one, other)).collect();
    letters.map(|letters| letters.iter().sum())
}

/// The same for one word: one letter, one more for every six. The first letter of a very short word is hardly ever wrong.
fn slip(one: &str, other: &str) -> Option<usize> {
    let synonyms = |a: &str, b: &str| matches!((a, b), ("tree", "list") | ("list", "tree"));
    if one == other {
        return Some(0);
    }
    if synonyms(one, other) {
        return Some(1);
    }
    // Cut short: `categ` for `category`.
    if one.len().min(other.len()) > 2 && (one.starts_with(other) || other.starts_with(one)) {
        return Some(1);
    }
    let (distance, length) = (strsim::osa_distance(one, other), one.chars().count());
    let likely = length > 3 || (length > 1 && one.chars().next() == other.chars().next());
    (likely && distance <= 1 + length / 6).then_some(distance)
}

/// Whether they have the same words in another order.
fn reordered(a: &str, b: &str) -> bool {
    let (mut a, mut b) = (words(a), words(b));
    a.sort_unstable();
    b.sort_unstable();
    a.len() > 1 && a == b
}

fn words(name: &str) -> Vec<&str> {
    name.split(['_', '.']).filter(|word| !word.is_empty()).collect()
}

/// Whether one has all words of the other in their order: `state_id` and `product_state_id`. Words that stand everywhere do not count.
fn words_left_out(a: &str, b: &str) -> bool {
    let (mut few, mut many) = (words(a), words(b));
    if few.len() > many.len() {
        std::mem::swap(&mut few, &mut many);
    }
    let telling = |word: &&str| {
        word.len() > 2 && !matches!(*word, "ids" | "name" | "model" | "view" | "form" | "list" | "tree" | "group" | "action" | "menu")
    };
    let mut rest = many.iter();
    few.len() < many.len() && few.iter().any(telling) && few.iter().all(|word| rest.any(|other| other == word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(wanted: &str, names: &[&'static str]) -> Option<&'static str> {
        ranked(wanted, names.iter().copied(), |_| false).first().copied()
    }

    #[test]
    fn slips_are_seen_through() {
        for (wanted, right, others) in [
            ("sate", "state", ["name", "type"]),
            ("state_id", "product_state_id", ["partner_id", "company_id"]),
            ("sales_and_purchases", "sales_purchases", ["contact_addresses", "internal_notes"]),
            ("partner", "partner_id", ["name", "category_id"]),
            ("emial", "email", ["mobile", "phone"]),
            ("res.partnr", "res.partner", ["res.users", "res.partner.bank"]),
            ("res.partner.category_id", "res.partner.id_category", ["res.partner", "res.partner.bank"]),
            ("categ_id", "category_id", ["partner_id", "company_id"]),
            ("template_list_view", "template_tree_view", ["template_form_view", "template_kanban_view"]),
        ] {
            assert_eq!(best(wanted, &[right, others[0], others[1]]), Some(right), "{wanted}");
        }
    }

    #[test]
    fn only_a_clear_misspelling_is_certain() {
        let names =
            ["decimal_places", "amount_total", "street", "street2", "state", "date_start", "date_stop", "tax_id", "tax_ids", "name"];
        for (wanted, name) in [
            ("decimal_place", "decimal_places"),
            ("amount_toatl", "amount_total"),
            ("amounttotal", "amount_total"),
            ("amount_totl", "amount_total"),
            ("sate", "state"),
            ("date_strt", "date_start"),
            ("nme", "name"),
            ("dat_start", "date_start"),
        ] {
            assert_eq!(doubt_by(wanted, name, names, |_| false), None, "{wanted}");
        }
        for (wanted, name) in [
            ("street3", "street2"),
            ("tax", "tax_id"),
            ("tax_i", "tax_id"),
            ("total", "amount_total"),
            ("untax_id", "tax_id"),
            ("fame", "name"),
        ] {
            assert!(doubt_by(wanted, name, names, |_| false).is_some(), "{wanted}");
        }
        assert_eq!(
            doubt_by("linex", "lines", ["liner", "lines"], |_| false).as_deref(),
            Some("linex may stand for liner as well as for lines.")
        );
    }

    #[test]
    fn word_that_is_in_use_may_be_meant() {
        let names = ["price_max", "price_net", "fee", "fees", "date_end", "date_send"];
        let in_use = |word: &str| matches!(word, "tax" | "lines" | "fees");
        assert_eq!(doubt_by("price_mx", "price_max", names, in_use), None);
        assert!(doubt_by("price_tax", "price_max", names, in_use).is_some());
        assert!(doubt_by("price_tax", "price_tex", ["price_tex"], in_use).is_some());
        assert_eq!(doubt_by("order_lines", "order_line", ["order_line"], in_use), None, "one for many");
        assert_eq!(doubt_by("dat_end", "date_end", names, in_use), None, "date_send would be two slips");
    }

    #[test]
    fn words_that_join_others_tell_no_names_apart() {
        let doubt = |wanted, names: &[&'static str]| doubt_by(wanted, names[0], names.iter().copied(), |_| true);
        assert_eq!(doubt("sales_and_purchases", &["sales_purchases", "notes"]), None);
        assert!(doubt("sales_and_purchases", &["sales_purchases", "sales_of_purchases"]).is_some(), "two are worded alike");
        assert!(doubt("sales_and_purchases", &["sales", "notes"]).is_some());
        assert!(lacks_ending("partner", "partner_id", ["partner_id", "partner_issued_id"]));
        assert!(!lacks_ending("tax", "tax_id", ["tax_id", "tax_ids"]) && !lacks_ending("depot", "to_depot_id", ["to_depot_id"]));
    }

    #[test]
    fn strangers_are_not_meant() {
        for (wanted, names) in [
            ("nope_x", ["name", "type"]),
            ("zzz_id", ["tz_offset", "user_id"]),
            ("zzz", ["ref", "vat"]),
            ("x", ["y", "z"]),
            ("", ["a", "b"]),
        ] {
            assert_eq!(best(wanted, &names), None, "{wanted}");
        }
        assert_eq!(best(&"a".repeat(MAX_NAME + 1), &["a"]), None);
    }

    #[test]
    fn two_that_are_equally_near_are_none() {
        assert_eq!(best("staten", &["stated", "states"]), None);
        assert!(is_near("staten", ["stated", "states"]));
        assert_eq!(ranked("staten", ["stated", "states"], |name| name == "states"), ["states", "stated"]);
    }
}
