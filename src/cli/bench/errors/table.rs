//! What was tried, as Markdown.

use std::collections::BTreeMap;

use chrono::Utc;

use super::Tried;
use super::labels::Labels;
use super::read::Read;
use crate::cli::bench::median;

impl Tried {
    fn text(&self, key: &str) -> &str {
        self.result.as_ref().and_then(|result| result[key].as_str()).unwrap_or("-")
    }

    fn class(&self) -> &str {
        self.result.as_ref().and_then(|result| result["error"]["class"].as_str()).unwrap_or("-")
    }

    /// Source of the patch.
    pub(super) fn source(&self) -> &str {
        self.text("source")
    }

    /// The patch as a diff, empty if there is none.
    pub(super) fn patch(&self) -> &str {
        self.result.as_ref().and_then(|result| result["patch"].as_str()).unwrap_or_default()
    }

    /// Whether it was called fixed.
    pub(super) fn is_fixed(&self) -> bool {
        self.text("outcome") == "fixed"
    }

    fn is_proposed(&self) -> bool {
        self.text("outcome") == "proposed"
    }

    fn place(&self) -> String {
        match self.result.as_ref().map(|result| &result["error"]["location"]) {
            Some(serde_json::Value::String(place)) => place.clone(),
            Some(place) if place.is_object() => place["path"].as_str().unwrap_or("-").to_owned(),
            _ => "-".to_owned(),
        }
    }
}

/// The tables: a sum, a line for each class, a line for each case.
pub(super) fn render(read: &[Read], tried: &[Tried], labels: &Labels) -> String {
    let fixed = tried.iter().filter(|case| case.is_fixed()).count();
    let proposed = tried.iter().filter(|case| case.is_proposed()).count();
    let judged: Vec<bool> = tried.iter().filter_map(|case| labels.is_right(case)).collect();
    let wrong = judged.iter().filter(|right| !**right).count();
    let seconds = median(tried.iter().map(|case| case.seconds).collect());
    let mut lines = vec![
        format!(
            "Measured {} by `odoo-agent bench errors`, without a key: **{fixed} of {} fixed**, {wrong} wrong of the {} that have a label, {proposed} proposed, {seconds:.1} s each (median).",
            Utc::now().format("%Y-%m-%d"),
            tried.len(),
            judged.len()
        ),
        String::new(),
        "| read | right in class, sub-class and named object | wrong | ms each |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    for table in read {
        let wrong = if table.wrong.is_empty() { "-".to_owned() } else { table.wrong.join(", ") };
        let each = table.seconds * 1000.0 / table.rows.max(1) as f64;
        lines.push(format!("| {} | {} of {} | {wrong} | {each:.2} |", table.what, table.rows - table.wrong.len(), table.rows));
    }
    lines.extend([String::new(), "| class | cases | fixed | proposed | seconds (median) |".to_owned(), "|---|---|---|---|---|".to_owned()]);
    let mut classes: BTreeMap<&str, Vec<&Tried>> = BTreeMap::new();
    for case in tried {
        classes.entry(case.class()).or_default().push(case);
    }
    for (class, cases) in classes {
        let fixed = cases.iter().filter(|case| case.is_fixed()).count();
        let proposed = cases.iter().filter(|case| case.is_proposed()).count();
        let seconds = median(cases.iter().map(|case| case.seconds).collect());
        lines.push(format!("| `{class}` | {} | {fixed} | {proposed} | {seconds:.1} |", cases.len()));
    }
    lines.extend([String::new(), "| case | class | outcome | by | where | seconds |".to_owned(), "|---|---|---|---|---|---|".to_owned()]);
    for case in tried {
        let outcome = match (case.is_fixed(), labels.is_right(case)) {
            (true, Some(false)) => "**wrong**",
            (true, _) => "**fixed**",
            (false, _) => case.text("outcome"),
        };
        let source = case.source();
        lines.push(format!("| {} | `{}` | {outcome} | {source} | {} | {:.1} |", case.name, case.class(), case.place(), case.seconds));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fixed_and_proposed_are_counted_apart() {
        let case = |name: &str, outcome: &str, grade: &str| Tried {
            name: name.to_owned(),
            result: Some(
                json!({ "outcome": outcome, "grade": grade, "source": "rule:r", "error": { "class": "c", "location": "m/a.py:1" } }),
            ),
            seconds: 2.0,
        };
        let read = Read { what: "logs", rows: 3, wrong: vec!["p_x".to_owned()], seconds: 0.003 };
        let tried = [
            case("a", "fixed", "proven"),
            case("b", "ticket", "refuted"),
            case("d", "proposed", "proven"),
            Tried { name: "c".to_owned(), result: None, seconds: 0.0 },
        ];
        let text = render(&[read], &tried, &Labels::default());
        assert!(text.contains("**1 of 4 fixed**, 0 wrong of the 0 that have a label, 1 proposed"), "{text}");
        assert!(text.contains("| logs | 2 of 3 | p_x | 1.00 |"), "{text}");
        assert!(text.contains("| `c` | 3 | 1 | 1 | 2.0 |") && text.contains("| b | `c` | ticket | rule:r | m/a.py:1 | 2.0 |"), "{text}");
    }
}
