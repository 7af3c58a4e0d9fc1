//! What people see.

use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use super::Exit;

const ADDED: Style = AnsiColor::Green.on_default();
const REMOVED: Style = AnsiColor::Red.on_default();
const PLACE: Style = AnsiColor::Cyan.on_default();
const NAME: Style = Style::new().bold();

/// A line on stderr. A closed stderr is no reason to fail.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", clean(text));
}

/// A line on stdout, as it is.
pub fn out(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Log text may hold terminal escapes; they must not reach a person's terminal.
pub fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// How a command ends that shows a result: done only if the error is fixed or a person has accepted the patch, and what was to be written is
/// written and still there.
pub fn exit_of(result: &Value) -> Exit {
    let is_held_back = result["not_applied"].is_string() || result["rolled_back"].is_object();
    let is_right = result["outcome"] == "fixed" || result["approved"].is_object();
    if is_right && !is_held_back { Exit::Done } else { Exit::NotProven }
}

/// The result of a fix for a person: what, how sure, the patch, the evidence.
pub fn result(result: &Value) {
    let color = std::io::stdout().is_terminal();
    let text = |value: &Value| clean(value.as_str().unwrap_or("-"));
    out(&format!("outcome     {}", text(&result["outcome"])));
    out(&format!("error       {} in {}", text(&result["error"]["class"]), text(&result["error"]["module"])));
    out(&format!("            {}", text(&result["error"]["title"])));
    out(&format!("where       {}", text(&result["error"]["location"])));
    if !result["source"].is_null() {
        let origin = result["origin"].as_str().map(|who| format!(", made by {}", clean(who))).unwrap_or_default();
        out(&format!("fix         {}{origin}: {}", text(&result["source"]), text(&result["summary"])));
        out(&format!(
            "grade       {}, confidence {:.2}{}",
            text(&result["grade"]),
            result["confidence"].as_f64().unwrap_or(0.0),
            counts(result)
        ));
    }
    judgement(result).iter().for_each(|line| out(line));
    let proof = &result["verification"];
    if proof.is_object() {
        out(&format!("before      {}", run(&proof["before"])));
        out(&format!("after       {}", run(&proof["after"])));
        out(&format!("verified    in {:.1} s of sandbox time", proof["seconds"].as_f64().unwrap_or(0.0)));
    }
    out(&format!("cost        ${:.4}", result["cost"]["usd"].as_f64().unwrap_or(0.0)));
    if !result["why"].is_null() {
        out(&format!("why         {}", text(&result["why"])));
    }
    if result["ticket"].is_object() {
        out(&format!("ticket      {}", text(&result["ticket"]["id"])));
    }
    if let Some(backups) = result["applied"]["backups"].as_array() {
        out(&format!("applied     with {} backup(s)", backups.len()));
    }
    if result["approved"].is_object() {
        out(&format!("approved    {} by {}", text(&result["approved"]["at"]), text(&result["approved"]["by"])));
    }
    if let Some(digest) = result["digest"].as_str() {
        out(&format!("digest      {}", clean(digest)));
    }
    if result["rolled_back"].is_object() {
        out(&format!("rolled back {} by {}", text(&result["rolled_back"]["at"]), text(&result["rolled_back"]["by"])));
    }
    if let Some(patch) = result["patch"].as_str() {
        out("");
        out(diff(&clean(patch), color).trim_end());
    }
}

/// What the confidence is made of.
fn counts(result: &Value) -> String {
    let counts = &result["confidence_counts"];
    if !counts.is_object() {
        return String::new();
    }
    format!(" ({} of {} cases right, {} good and {} bad outcomes)", counts["right"], counts["tried"], counts["good"], counts["bad"])
}

/// What a person has to weigh: how safe the patch is, what it loses, what nothing ran.
fn judgement(result: &Value) -> Vec<String> {
    let text = |value: &Value| clean(value.as_str().unwrap_or("-"));
    let place = |value: &Value, line: &Value| match line.as_u64() {
        Some(line) => format!("{}:{line}", text(value)),
        None => text(value),
    };
    let each = |key: &str| result[key].as_array().into_iter().flatten();
    let mut lines = Vec::new();
    if let Some(applicability) = result["applicability"].as_str() {
        lines.push(format!("safety      {}", clean(applicability)));
    }
    lines.extend(each("losses").map(|loss| {
        let at = &loss["place"];
        format!("loses       {}: {}", place(&at["path"], &at["line"]), text(&loss["what"]))
    }));
    lines.extend(each("reservations").map(|why| format!("not sure    {}", text(why))));
    let idle = each("hunks").filter(|hunk| hunk["exercised"].is_null());
    lines.extend(idle.map(|hunk| format!("not run     {}", place(&hunk["path"], &hunk["line"]))));
    lines
}

fn run(run: &Value) -> String {
    if !run.is_object() {
        return "not run".to_owned();
    }
    let installed = if run["installed"].as_bool() == Some(true) { "installed" } else { "not installed" };
    let failed = run["failed_tests"].as_array().map_or(0, Vec::len);
    let errors = run["errors"].as_array().map_or(0, Vec::len);
    let first = run["errors"][0]["title"].as_str().map(|title| format!(": {}", clean(title))).unwrap_or_default();
    format!("{installed}, {} tests, {failed} failing, {errors} error(s){first} ({} s)", run["tests"], run["seconds"])
}

/// A unified diff, coloured for a terminal.
pub fn diff(patch: &str, color: bool) -> String {
    if !color {
        return patch.to_owned();
    }
    let styled = |line: &str| {
        let style = match line.as_bytes() {
            [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => NAME,
            [b'+', ..] => ADDED,
            [b'-', ..] => REMOVED,
            [b'@', ..] => PLACE,
            _ => return format!("{line}\n"),
        };
        format!("{style}{line}{style:#}\n")
    };
    patch.lines().map(styled).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn terminal_escapes_do_not_pass() {
        assert_eq!(clean("a\u{1b}[2J\u{7}b\nc"), "a[2Jb\nc");
    }

    #[test]
    fn only_a_fix_that_stands_ends_well() {
        let exit = |more: &[(&str, Value)]| {
            let mut result = json!({ "outcome": "fixed", "not_applied": null });
            more.iter().for_each(|(key, value)| result[*key] = value.clone());
            exit_of(&result)
        };
        assert_eq!(exit(&[]), Exit::Done);
        assert_eq!(exit(&[("outcome", json!("proposed")), ("approved", json!({}))]), Exit::Done);
        for bad in [("outcome", json!("proposed")), ("outcome", json!("ticket")), ("not_applied", json!("x")), ("rolled_back", json!({}))] {
            assert_eq!(exit(std::slice::from_ref(&bad)), Exit::NotProven, "{bad:?}");
        }
    }

    #[test]
    fn losses_and_doubts_are_shown() {
        let lines = judgement(&json!({
            "applicability": "unsafe",
            "losses": [{ "kind": "value", "place": { "path": "m/a.py", "line": 7 }, "what": "the number is lost" }],
            "reservations": ["the model is wider"],
            "hunks": [{ "path": "m/a.py", "line": 3, "exercised": null }, { "path": "m/b.py", "line": 4, "exercised": "test T.t" }],
        }));
        let expected =
            ["safety      unsafe", "loses       m/a.py:7: the number is lost", "not sure    the model is wider", "not run     m/a.py:3"];
        assert_eq!(lines, expected);
        assert!(judgement(&json!({ "outcome": "ticket" })).is_empty());
    }

    #[test]
    fn diff_is_coloured_by_line() {
        let colored = diff("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n", true);
        assert!(colored.contains("\u{1b}[31m-a") && colored.contains("\u{1b}[32m+b"));
        assert_eq!(diff("+b\n", false), "+b\n");
    }
}
