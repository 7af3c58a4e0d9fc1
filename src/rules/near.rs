//! Which of the names that exist is meant by one that does not.

/// How much better the best name must be than the next, so that it is clearly the one.
const GAP: f64 = 0.02;
/// What a name that the addon itself brings, or uses in the same place, is worth on top.
const PREFERRED: f64 = 0.1;
/// The longest name that is compared: the comparison is quadratic.
const MAX_NAME: usize = 120;
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

/// How alike two names are, 0 to 1; `None` if neither is a slip of the other.
fn likeness(wanted: &str, name: &str) -> Option<f64> {
    if wanted.is_empty() || name.is_empty() || wanted.len() > MAX_NAME || name.len() > MAX_NAME {
        return None;
    }
    let (distance, length) = (strsim::osa_distance(wanted, name), wanted.chars().count().max(name.chars().count()));
    #[expect(clippy::cast_precision_loss, reason = "lengths of names")]
    let ratio = |part: usize, whole: usize| part as f64 / whole as f64;
    // One letter in a short name, one more for every six in a long one; the first letter of a very short name is hardly ever wrong.
    let short = wanted.chars().count() <= 3;
    let slip = distance <= 1 + wanted.chars().count() / 6 && (!short || wanted.chars().next() == name.chars().next()) && wanted.len() > 2;
    let slip = slip.then(|| 1.0 - ratio(distance, length));
    let words = words_left_out(wanted, name).then(|| 0.7 + 0.25 * ratio(wanted.len().min(name.len()), length));
    match (slip, words) {
        (Some(slip), Some(words)) => Some(slip.max(words)),
        (one, other) => one.or(other),
    }
}

/// Whether one has all words of the other in their order: `state_id` and `product_state_id`. Words that stand everywhere do not count.
fn words_left_out(a: &str, b: &str) -> bool {
    let words = |name: &str| name.split(['_', '.']).filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let (mut few, mut many) = (words(a), words(b));
    if few.len() > many.len() {
        std::mem::swap(&mut few, &mut many);
    }
    let telling = |word: &String| {
        word.len() > 2
            && !matches!(word.as_str(), "ids" | "name" | "model" | "view" | "form" | "list" | "tree" | "group" | "action" | "menu")
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
        ] {
            assert_eq!(best(wanted, &[right, others[0], others[1]]), Some(right), "{wanted}");
        }
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
        assert_eq!(best("stat_a", &["stat_b", "stat_c"]), None);
        assert_eq!(ranked("stat_a", ["stat_b", "stat_c"], |name| name == "stat_c"), ["stat_c", "stat_b"]);
    }
}
