//! What: a file that Python cannot read is mended by one token: a colon, a comma, a bracket, a quote, a keyword, an indentation.
//!
//! Why: Python names the line; near it there are few single changes after which the whole file can be read.
//! Before: `if not record.name`. After: `if not record.name:`.
//! Several changes may do: the likeliest come first, and what is not read by a parser afterwards is not proposed.
//! Safe only where Python itself asks for that token, no other change near the line does, and names, numbers and texts stay as they are.
//! Of several the first may be right; the others are only shown. Safe is also the one that alone keeps every token and gives what the
//! indentation or the brackets around ask for: a single statement under a head is what belongs in it, and only a comma stands before a pair of a
//! dictionary, before a named argument, or between the only two arguments of what takes two.
//! Since: any Odoo.

mod guesses;

use std::collections::BTreeSet;

use regex::Regex;

use super::edit::apply;
use super::edit::python::Source;
use super::frames::places;
use super::{Case, Proposal, Rule, change, graded, hint, proposal};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "python_syntax", classes: ErrorClass::ALL, since: 0, propose };

/// The largest file that is tried: each guess is read by a parser.
const MAX_TEXT: usize = 128 * 1024;
/// The most guesses that are tried.
const MAX_TRIED: usize = 300;
/// The most that are proposed: each costs a run.
const MAX_PROPOSED: usize = 4;

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let text = &case.report.text;
    let Ok(pattern) = Regex::new(r"(?:Syntax|Indentation|Tab)Error: ([^\n]+)") else { return Vec::new() };
    let Some(message) = pattern.captures_iter(text).last().map(|found| found[1].to_owned()) else { return Vec::new() };
    let broken = |text: &str| text.len() <= MAX_TEXT && Source::parse(text).is_none();
    let mut found: Vec<_> = places(case.report, case.addon).into_iter().filter(|place| place.innermost || broken(place.text)).collect();
    found.sort_by_key(|place| !broken(place.text));
    let place = found.first().map(|place| (place.path, place.text, place.line));
    // A manifest is read as a text without a name.
    let manifest = || {
        let line = Regex::new(r#"File "<unknown>", line (\d{1,7})"#).ok()?.captures_iter(text).last()?[1].parse().ok()?;
        let path = case.addon.texts("py").find(|(path, text)| path.within_module() == "__manifest__.py" && broken(text))?;
        Some((path.0, path.1, line))
    };
    let Some((path, before, line)) = place.or_else(manifest) else { return Vec::new() };
    if before.len() > MAX_TEXT {
        return Vec::new();
    }
    // Python is stricter than the parser in places; then only what the message itself asks for is proposed.
    let strict = !broken(before);
    let guesses = guesses::of(before, line as usize, &message, strict);
    let asked = guesses::asked(before, line as usize, &message);
    // A guess that was not tried could be a second one that does.
    let all_tried = guesses.len() <= MAX_TRIED;
    let mut seen = BTreeSet::new();
    let determined = guesses::determined(before, line as usize, &message);
    if let Some((after, what)) = determined.filter(|(after, _)| Source::parse(after).is_some() && words(before) == words(after)) {
        let summary = format!("{path} cannot be read at line {line} ({message}): {what}.");
        return proposal(summary, vec![change(path, before, after)]);
    }
    let tried = guesses.into_iter().take(MAX_TRIED).enumerate();
    let after = tried.filter_map(|(at, (edits, what))| Some((apply(before, edits)?, what, at < asked)));
    let mended = after.filter(|(after, ..)| Source::parse(after).is_some() && seen.insert(after.clone()));
    let found: Vec<_> = mended.take(MAX_PROPOSED).collect();
    let sure = matches!(found.as_slice(), [(_, _, true)]) && all_tried && !strict;
    let several = found.len() > 1;
    let proposals = found.into_iter().enumerate().flat_map(|(at, (after, what, _))| {
        let summary = format!("{path} cannot be read at line {line} ({message}): {what}.");
        let doubt = if several {
            Some("Several changes near the line let Python read the file.")
        } else if !sure {
            Some("Python does not ask for this change, or others could not all be tried.")
        } else {
            (words(before) != words(&after)).then_some("It changes a word, not only punctuation.")
        };
        let changes = vec![change(path, before, after)];
        match doubt {
            Some(doubt) if at > 0 => hint(summary, doubt, changes),
            doubt => graded(summary, doubt.map(str::to_owned), changes),
        }
    });
    proposals.collect()
}

/// The names, numbers and texts of a file without what stands between them.
fn words(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Location;
    use crate::rules::testing::{addon, report};

    fn candidates(text: &str, line: u32, error: &str) -> Vec<crate::rules::Candidate> {
        let addon = addon(&[("a.py", text)]);
        let mut report = report(ErrorClass::PythonSyntax, error);
        report.location = Some(Location { path: "m/a.py".to_owned(), line: Some(line) });
        crate::rules::propose(&Case { report: &report, addon: &addon, version: &"19.0".parse().unwrap(), index: Default::default() })
    }

    fn all(text: &str, line: u32, error: &str) -> Vec<String> {
        candidates(text, line, error).iter().map(|candidate| candidate.patch.changes()[0].after.clone()).collect()
    }

    #[test]
    fn one_token_is_enough() {
        for (before, line, error, after) in [
            ("if a\n    b()\n", 1, "SyntaxError: expected ':'", "if a:\n    b()\n"),
            ("class A(B)  # c\n    b = 1\n", 1, "SyntaxError: expected ':'", "class A(B):  # c\n    b = 1\n"),
            ("x = f(a, g(b)\ny = 1\n", 1, "SyntaxError: '(' was never closed", "x = f(a, g(b))\ny = 1\n"),
            ("if f(a:\n    b()\n", 1, "SyntaxError: invalid syntax", "if f(a):\n    b()\n"),
            ("x = f(\n    a,\n\ny = 1\n", 1, "SyntaxError: '(' was never closed", "x = f(\n    a,\n)\n\ny = 1\n"),
            ("x = [1, 2\ny = 1\n", 1, "SyntaxError: '[' was never closed", "x = [1, 2]\ny = 1\n"),
            ("x = f(a))\n", 1, "SyntaxError: unmatched ')'", "x = f(a)\n"),
            ("x = f(a]\n", 1, "SyntaxError: closing parenthesis ']' does not match opening parenthesis '('", "x = f(a)\n"),
            ("x = f('a)\n", 1, "SyntaxError: unterminated string literal (detected at line 1)", "x = f('a')\n"),
            (
                "x = {\n    'a': 1\n    'b': 2,\n}\n",
                2,
                "SyntaxError: invalid syntax. Perhaps you forgot a comma?",
                "x = {\n    'a': 1,\n    'b': 2,\n}\n",
            ),
            ("def f():\n    retrun a\n", 2, "SyntaxError: invalid syntax", "def f():\n    return a\n"),
            ("form a import b\n", 1, "SyntaxError: invalid syntax", "from a import b\n"),
            (
                "if a = 1:\n    b()\n",
                1,
                "SyntaxError: invalid syntax. Maybe you meant '==' or ':=' instead of '='?",
                "if a == 1:\n    b()\n",
            ),
            (
                "def f():\nreturn 1\n",
                2,
                "IndentationError: expected an indented block after function definition on line 1",
                "def f():\n    return 1\n",
            ),
            ("def f():\n    a = 1\n      b = 2\n", 3, "IndentationError: unexpected indent", "def f():\n    a = 1\n    b = 2\n"),
            (
                "if a:\n        b = 1\n    c = 2\nd = 1\n",
                3,
                "IndentationError: unindent does not match any outer indentation level",
                "if a:\n        b = 1\n        c = 2\nd = 1\n",
            ),
            ("x = a\u{a0}+ b\n", 1, "SyntaxError: invalid non-printable character U+00A0", "x = a + b\n"),
        ] {
            assert_eq!(all(before, line, error).first().map(String::as_str), Some(after), "{before}");
        }
    }

    #[test]
    fn sure_is_only_the_one_token_that_python_asks_for() {
        for (text, line, error) in [
            ("if a\n    b()\n", 1, "SyntaxError: expected ':'"),
            ("def f():\nreturn 1\n", 2, "IndentationError: expected an indented block after function definition on line 1"),
            (
                "def f():\n    if a:\n    raise E(\n        b\n    )\n\nc = 1\n",
                3,
                "IndentationError: expected an indented block after 'if' statement on line 2",
            ),
            ("x = max(a.b c.d)\n", 1, "SyntaxError: invalid syntax. Perhaps you forgot a comma?"),
            ("x = f(a b=1)\n", 1, "SyntaxError: invalid syntax. Perhaps you forgot a comma?"),
            ("x = {\n    'a': 1\n    'b': 2,\n}\n", 2, "SyntaxError: invalid syntax. Perhaps you forgot a comma?"),
            (
                "def f(self):\n    for record in self:\n        if not record.time_ids\n            raise E(\n                self.env._(\"At least one\")\n            )\n",
                3,
                "SyntaxError: expected ':'",
            ),
        ] {
            let found = candidates(text, line, error);
            let sure: Vec<bool> = found.iter().map(crate::rules::Candidate::is_safe).collect();
            let texts: Vec<_> = found.iter().map(|candidate| &candidate.patch.changes()[0].after).collect();
            assert_eq!(sure, [true], "{texts:#?}");
        }
        for (text, line, error) in [
            // The generic guess, even if it is the only one.
            ("form a import b\n", 1, "SyntaxError: invalid syntax"),
            ("def f():\n    retrun a\n", 2, "SyntaxError: invalid syntax"),
            // Several places.
            ("class A(B)  # c\n    b = 1\n", 1, "SyntaxError: expected ':'"),
            (
                "def f(self):\n    for record in self.filtered(lambda r: r.name)\n        record.line_ids.unlink()\n",
                2,
                "SyntaxError: expected ':'",
            ),
            ("x = f(a, g(b)\ny = 1\n", 1, "SyntaxError: '(' was never closed"),
            ("x = [1, 2\ny = 1\n", 1, "SyntaxError: '[' was never closed"),
            ("if a:\nb = 1\nc = 2\n", 2, "IndentationError: expected an indented block after 'if' statement on line 1"),
            ("x = min(a b, c)\n", 1, "SyntaxError: invalid syntax. Perhaps you forgot a comma?"),
            ("x = f(a b)\n", 1, "SyntaxError: invalid syntax. Perhaps you forgot a comma?"),
            // What is wrong is said, not what was meant.
            ("x = f(a))\n", 1, "SyntaxError: unmatched ')'"),
            ("x = f('a)\n", 1, "SyntaxError: unterminated string literal (detected at line 1)"),
            ("x = a\u{a0}+ b\n", 1, "SyntaxError: invalid non-printable character U+00A0"),
            ("def f():\n    a = 1\n      b = 2\n", 3, "IndentationError: unexpected indent"),
            ("if a = 1:\n    b()\n", 1, "SyntaxError: invalid syntax. Maybe you meant '==' or ':=' instead of '='?"),
        ] {
            let found = candidates(text, line, error);
            assert!(!found.is_empty() && found.iter().all(|candidate| !candidate.is_safe()), "{text}");
        }
    }

    #[test]
    fn what_is_no_syntax_error_is_left() {
        assert!(all("if a\n", 1, "NameError: name 'a'").is_empty());
        assert!(all("(((((((\n", 1, "SyntaxError: '(' was never closed").is_empty());
        assert!(all("x = 1\n", 1, "SyntaxError: invalid syntax").is_empty());
    }

    #[test]
    fn manifest_is_found_without_its_name() {
        let manifest = "{\n    'name': 'm',\n    'data': ['a.xml'\n}\n";
        let addon = addon(&[("__manifest__.py", manifest), ("__init__.py", "")]);
        let text =
            "File \"<unknown>\", line 4\n    }\nSyntaxError: closing parenthesis '}' does not match opening parenthesis '[' on line 3";
        let found = crate::rules::testing::candidates(&addon, ErrorClass::PythonSyntax, text);
        assert_eq!(found[0].patch.changes()[0].after, manifest.replace("'a.xml'", "'a.xml']"));
    }
}
