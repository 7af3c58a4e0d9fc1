//! Addons that a description fits: what it says beyond that it describes an addon, and who stands near the best answers.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use sqlx::Row;
use uuid::Uuid;

use super::found::Candidate;
use super::words::Term;
use crate::db::{DbError, TenantTx};
use crate::knowledge::{chunk, lexical};

/// How many of the best answers say in which area of the business the description is at home.
const BEST: usize = 10;
/// How many of the best may be moved up: what is far behind stays there.
const MOVED: usize = 40;
/// What it counts, beside the best score, to be of the area that all of the best are of: it puts in order those that fit about as well.
const AT_HOME: f32 = 0.1;

/// What a number counts beside a word.
const DESIGNATOR: f32 = 4.0;

/// What any description of an addon says. Few addons have it in their names or code, so it would be taken for rare, and for telling.
#[rustfmt::skip]
const ANNOUNCING: &[&str] = &[
    "add", "adding", "addon", "allow", "app", "enable", "extend", "extension", "feature", "functionality", "introduce", "module", "odoo",
    "provide",
];
static ANNOUNCING_TERMS: LazyLock<HashSet<i32>> = LazyLock::new(|| ANNOUNCING.iter().filter_map(|word| lexical::term(word)).collect());

/// The terms that tell addons apart; all of them where there are no others.
pub(super) fn telling(terms: &[Term]) -> Vec<Term> {
    let telling = terms.iter().filter(|term| !ANNOUNCING_TERMS.contains(&term.number));
    let telling: Vec<Term> = telling.map(|term| Term { weight: term.weight * worth(&term.word), ..term.clone() }).collect();
    if telling.is_empty() { terms.to_vec() } else { telling }
}

/// A number of several digits is the name of a form or a standard, if it is no year: `296` and `216` are two, however much else they share.
fn worth(word: &str) -> f32 {
    let is_year = word.len() == 4 && (word.starts_with("19") || word.starts_with("20"));
    if word.len() > 2 && !is_year && word.bytes().all(|byte| byte.is_ascii_digit()) { DESIGNATOR } else { 1.0 }
}

/// Moves those up that are of the same area as the best: of two that fit as well, the likelier one is at home where the others are.
pub(super) async fn at_home(tx: &mut TenantTx, mut found: Vec<Candidate>) -> Result<Vec<Candidate>, DbError> {
    let ids: Vec<Uuid> = found.iter().take(MOVED).map(|candidate| candidate.id).collect();
    let rows = sqlx::query(
        "select k.id, m.detail ->> 'category' as category, m.detail ->> 'website' as website
           from knowledge k join knowledge_modules m on m.source_id = k.source_id and m.module = k.module where k.id = any($1)",
    )
    .bind(&ids)
    .fetch_all(tx.conn())
    .await?;
    let mut areas = HashMap::new();
    for row in rows {
        areas.insert(row.try_get("id")?, Area::of(row.try_get("category")?, row.try_get("website")?));
    }
    nearby(&mut found, &areas);
    Ok(found)
}

/// Where an addon is at home.
#[derive(Debug, Clone, Default, PartialEq)]
struct Area {
    /// What its manifest calls the area of the business.
    category: Option<String>,
    /// The repository that it comes from, where its manifest says so.
    repository: Option<String>,
}

impl Area {
    fn of(category: Option<&str>, website: Option<&str>) -> Self {
        let named = |text: &str| Some(text.trim().trim_end_matches('/').to_lowercase()).filter(|text| !text.is_empty());
        Self { category: category.and_then(named), repository: website.and_then(chunk::repository).and_then(named) }
    }

    fn is_shared(&self, other: &Self) -> bool {
        let same = |one: &Option<String>, two: &Option<String>| one.is_some() && one == two;
        same(&self.category, &other.category) || same(&self.repository, &other.repository)
    }
}

fn nearby(found: &mut [Candidate], areas: &HashMap<Uuid, Area>) {
    let Some(best) = found.first().map(|candidate| candidate.score) else { return };
    // What fits far better than others says more about where to look than they do.
    let votes: Vec<(Uuid, f32)> = found.iter().take(BEST).map(|candidate| (candidate.id, candidate.score.max(0.0).powi(4))).collect();
    let total = votes.iter().map(|(_, vote)| vote).sum::<f32>();
    if total <= 0.0 {
        return;
    }
    for candidate in found.iter_mut() {
        let Some(area) = areas.get(&candidate.id) else { continue };
        let shares = |id: &Uuid| *id == candidate.id || areas.get(id).is_some_and(|other| area.is_shared(other));
        let share = votes.iter().filter(|(id, _)| shares(id)).map(|(_, vote)| vote).sum::<f32>() / total;
        candidate.score += AT_HOME * best * share;
    }
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
}

#[cfg(test)]
mod tests {
    use super::super::words::terms;
    use super::*;

    #[test]
    fn what_every_description_says_does_not_count() {
        let said = |text: &str| telling(&terms(&[(text, 1.0)])).into_iter().map(|term| term.word).collect::<Vec<_>>();
        assert_eq!(said("This module allows you to add pickup points"), ["pickup", "points"]);
        assert_eq!(said("Odoo modules"), ["odoo", "modules"]);
        assert!(said("").is_empty());
        let weights: Vec<f32> = telling(&terms(&[("Form 296 of 2015, part 12", 1.0)])).into_iter().map(|term| term.weight).collect();
        assert_eq!(weights, [1.0, DESIGNATOR, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn area_of_the_best_decides_between_equals() {
        let of = |number: u128, score: f32| Candidate::new(Uuid::from_u128(number), score, "");
        let sales = Area::of(Some("Sales/Sales "), None);
        let stock = Area::of(Some("Inventory"), Some("https://github.com/OCA/stock-logistics-workflow/"));
        let carrier = Area::of(None, Some("https://github.com/oca/stock-logistics-workflow/tree/19.0"));
        let areas = HashMap::from([1, 2, 3, 4].map(|number| {
            let area = if number == 4 {
                carrier.clone()
            } else if number == 2 {
                sales.clone()
            } else {
                stock.clone()
            };
            (Uuid::from_u128(number), area)
        }));
        let mut found = vec![of(1, 0.9), of(2, 0.5), of(3, 0.5), of(4, 0.45)];
        nearby(&mut found, &areas);
        assert_eq!(found.iter().map(|candidate| candidate.id.as_u128()).collect::<Vec<_>>(), [1, 3, 4, 2]);
        let mut far = vec![of(2, 0.9), of(1, 0.7), of(3, 0.2)];
        nearby(&mut far, &areas);
        assert_eq!(far[0].id.as_u128(), 2, "{far:?}");
        nearby(&mut Vec::new(), &areas);
        nearby(&mut [of(9, 0.0)], &areas);
    }

    #[test]
    fn those_without_an_area_share_none() {
        assert!(!Area::of(None, None).is_shared(&Area::default()));
        assert!(!Area::of(Some(" "), Some("https://www.odoo.com")).is_shared(&Area::of(Some(""), Some("https://www.odoo.com"))));
    }
}
