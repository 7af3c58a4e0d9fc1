//! How good answers are, by answers that are known: nDCG, MRR and recall at ten.

use serde::Deserialize;

use crate::knowledge::{Filters, Hit};

/// The places that count.
const PLACES: usize = 10;

/// A query with its known answers.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Asked {
    pub(super) text: String,
    #[serde(default)]
    pub(super) filters: Filters,
    #[serde(default)]
    pub(super) family: String,
    pub(super) answers: Vec<Answer>,
}

/// A known answer: of grade 2 what must be found, of grade 1 what is near it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    grade: i32,
    kind: String,
    r#ref: Option<String>,
    module: Option<String>,
    path: String,
    start_line: i32,
    end_line: i32,
}

/// nDCG, MRR and recall of one query, or of many.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Score {
    pub(super) ndcg: f64,
    pub(super) mrr: f64,
    pub(super) recall: f64,
}

impl Score {
    pub(super) fn mean(scores: &[Self]) -> Self {
        let of = |get: fn(&Self) -> f64| scores.iter().map(get).sum::<f64>() / scores.len().max(1) as f64;
        Self { ndcg: of(|score| score.ndcg), mrr: of(|score| score.mrr), recall: of(|score| score.recall) }
    }
}

/// A module is found by its name; what has a `ref` by that; else the path must end alike, and the lines overlap by at least half of the
/// shorter of the two.
fn is_hit(hit: &Hit, answer: &Answer) -> bool {
    if let Some(wanted) = &answer.r#ref {
        return hit.r#ref == *wanted;
    }
    if answer.kind == "module" {
        return hit.module == answer.module;
    }
    let path = hit.path.as_deref().unwrap_or_default();
    let alike = path.ends_with(&answer.path) || (!path.is_empty() && answer.path.ends_with(&format!("/{}", path.trim_start_matches('/'))));
    let (first, last) = (hit.start_line.unwrap_or(0), hit.end_line.unwrap_or(0));
    let common = last.min(answer.end_line) - first.max(answer.start_line) + 1;
    let shorter = (last - first).min(answer.end_line - answer.start_line) + 1;
    alike && common > 0 && 2 * common >= shorter
}

fn gain(grade: i32) -> f64 {
    f64::exp2(f64::from(grade)) - 1.0
}

fn discounted(gains: impl Iterator<Item = f64>) -> f64 {
    gains.zip(2_u32..).map(|(gain, place)| gain / f64::from(place).log2()).sum()
}

/// What the answers to a query are worth.
pub(super) fn score(asked: &Asked, hits: &[Hit]) -> Score {
    let answers = &asked.answers;
    let modules = answers.iter().any(|answer| answer.kind == "module");
    let mut seen = Vec::new();
    // Of modules each counts once.
    let top = hits.iter().filter(|hit| {
        !modules
            || (!seen.contains(&&hit.module) && {
                seen.push(&hit.module);
                true
            })
    });
    let mut found = vec![false; answers.len()];
    let (mut gains, mut first) = (Vec::new(), None);
    for (place, hit) in top.take(PLACES).enumerate() {
        let new: Vec<usize> = (0..answers.len()).filter(|nth| !found[*nth] && is_hit(hit, &answers[*nth])).collect();
        new.iter().for_each(|nth| found[*nth] = true);
        gains.push(new.iter().map(|nth| gain(answers[*nth].grade)).fold(0.0, f64::max));
        if first.is_none() && new.iter().any(|nth| answers[*nth].grade == 2) {
            first = Some(place);
        }
    }
    let mut best: Vec<f64> = answers.iter().map(|answer| gain(answer.grade)).collect();
    best.sort_by(|a, b| b.total_cmp(a));
    let ideal = discounted(best.into_iter().take(PLACES));
    let right = answers.iter().filter(|answer| answer.grade == 2).count();
    let hit = answers.iter().zip(&found).filter(|(answer, found)| answer.grade == 2 && **found).count();
    Score {
        ndcg: if ideal > 0.0 { discounted(gains.into_iter()) / ideal } else { 0.0 },
        mrr: first.map_or(0.0, |place| 1.0 / (place as f64 + 1.0)),
        recall: if right > 0 { hit as f64 / right.min(PLACES) as f64 } else { 0.0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(module: &str, path: &str, lines: (i32, i32), name: &str) -> Hit {
        Hit {
            score: 1.0,
            why: String::new(),
            doc_type: "core".to_owned(),
            kind: "method".to_owned(),
            module: Some(module.to_owned()),
            version: None,
            also: vec![],
            path: Some(path.to_owned()),
            symbol: None,
            odoo_model: None,
            start_line: Some(lines.0),
            end_line: Some(lines.1),
            r#ref: name.to_owned(),
            title: String::new(),
            text: String::new(),
        }
    }

    fn asked(answers: &str) -> Asked {
        serde_json::from_str(&format!("{{\"text\": \"t\", \"answers\": {answers}}}")).unwrap()
    }

    #[test]
    fn half_of_the_lines_are_enough() {
        let asked = asked(r#"[{"grade": 2, "path": "odoo/addons/a/m.py", "start_line": 10, "end_line": 19}]"#);
        let of = |path, lines| score(&asked, &[hit("x", "b/other.py", (1, 2), ""), hit("a", path, lines, "")]);
        let second = of("a/m.py", (15, 30));
        assert_eq!((second.mrr, second.recall), (0.5, 1.0));
        assert!((second.ndcg - 1.0 / 3_f64.log2()).abs() < 1e-9);
        assert_eq!(of("a/m.py", (16, 30)), Score::default());
        assert_eq!(of("b/m.py", (10, 19)), Score::default());
    }

    #[test]
    fn modules_count_once() {
        let asked = asked(r#"[{"grade": 1, "kind": "module", "module": "b"}, {"grade": 2, "kind": "module", "module": "a"}]"#);
        let hits = [hit("c", "", (0, 0), ""), hit("c", "", (0, 0), ""), hit("a", "", (0, 0), "")];
        let found = score(&asked, &hits);
        assert_eq!((found.mrr, found.recall), (0.5, 1.0));
    }

    #[test]
    fn named_errors_are_found_by_their_names() {
        let asked = asked(r#"[{"grade": 2, "ref": "e1"}, {"grade": 2, "ref": "e2"}]"#);
        let found = score(&asked, &[hit("a", "", (0, 0), "e2")]);
        assert_eq!((found.mrr, found.recall), (1.0, 0.5));
        assert_eq!(score(&asked, &[]), Score::default());
        assert_eq!(Score::mean(&[]), Score::default());
    }
}
