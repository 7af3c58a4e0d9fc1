//! What was tried, as Markdown.

use std::collections::BTreeMap;

use chrono::Utc;

use super::case::Judged;
use crate::cli::bench::median;

/// The tables: a sum, a line for each rule, a line for each case that did not end as it should.
pub(super) fn render(judged: &[Judged]) -> String {
    let count = |is: &dyn Fn(&Judged) -> bool| judged.iter().filter(|one| is(one)).count();
    let (traps, twins) = (count(&|one| !one.is_twin), count(&|one| one.is_twin));
    let wrong = count(&Judged::is_wrong);
    let fixed = count(&|one| one.is_twin && one.is_right());
    let seconds = median(judged.iter().map(|one| one.seconds).collect());
    let mut lines = vec![
        format!(
            "Measured {} by `make bench-traps`, without a key: **{wrong} wrong *fixed* in {traps} traps and {twins} twins; {fixed} of {twins} twins fixed**, {seconds:.1} s each (median).",
            Utc::now().format("%Y-%m-%d")
        ),
        String::new(),
        "| rule | traps: right | wrong | proposed | ticket | twins: right | wrong | proposed | ticket |".to_owned(),
        "|---|---|---|---|---|---|---|---|---|".to_owned(),
    ];
    let mut rules: BTreeMap<&str, Vec<&Judged>> = BTreeMap::new();
    for one in judged {
        rules.entry(&one.rule).or_default().push(one);
    }
    for (rule, all) in rules {
        let row = |is_twin: bool| {
            let of = |is: &dyn Fn(&Judged) -> bool| all.iter().filter(|one| one.is_twin == is_twin && is(one)).count();
            let outcome = |wanted: &'static str| of(&move |one| one.outcome == wanted);
            let other = of(&|one| !matches!(one.outcome.as_str(), "fixed" | "proposed"));
            format!("{} | {} | {} | {other}", of(&Judged::is_right), of(&Judged::is_wrong), outcome("proposed"))
        };
        lines.push(format!("| `{rule}` | {} | {} |", row(false), row(true)));
    }
    let open: Vec<&Judged> = judged.iter().filter(|one| one.is_wrong() || (one.is_twin && !one.is_right())).collect();
    if !open.is_empty() {
        lines.extend([String::new(), "| not as it should be | outcome | by | why |".to_owned(), "|---|---|---|---|".to_owned()]);
        for one in open {
            let why: String = one.why.replace('|', "/").replace('\n', " ").chars().take(200).collect();
            let outcome = if one.is_wrong() { "**wrong**" } else { &one.outcome };
            lines.push(format!("| {}/{} | {outcome} | {} | {why} |", one.rule, one.name, one.source));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(rule: &str, is_twin: bool, outcome: &str, is_good: Option<bool>) -> Judged {
        let (rule, outcome) = (rule.to_owned(), outcome.to_owned());
        let source = format!("rule:{rule}+dangling?");
        Judged { rule, name: "n".to_owned(), is_twin, outcome, source, is_good, why: "a | b".to_owned(), seconds: 2.0 }
    }

    #[test]
    fn each_end_has_its_column() {
        let judged = [one("a", false, "fixed", Some(false)), one("a", true, "fixed", Some(true)), one("a", true, "proposed", Some(true))];
        let text = render(&judged);
        assert!(text.contains("**1 wrong *fixed* in 1 traps and 2 twins; 1 of 2 twins fixed**"), "{text}");
        assert!(text.contains("| `a` | 0 | 1 | 0 | 0 | 1 | 0 | 1 | 0 |"), "{text}");
        assert!(text.contains("| a/n | **wrong** |") && text.contains("| a/n | proposed | rule:a+dangling? | a / b |"), "{text}");
    }
}
