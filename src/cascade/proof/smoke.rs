//! What the smoke run says: what the addon can do after the patch, beside what it could do before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use crate::cascade::guard::pattern;
use crate::sandbox::{Check, Record};

/// The most failures that are named.
const MAX_NAMED: usize = 10;

/// Failures that lie in the code whatever the data: made-up records may well be such as nobody has, but a name that does not exist is wrong
/// for every record.
static OF_CODE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?x)^(?:NameError|UnboundLocalError|ImportError|ModuleNotFoundError|ParseError|QWebError|UndefinedColumn|UndefinedTable|UndefinedFunction|SyntaxError)\b
        |^AttributeError:.*'[a-z0-9_]+(?:\.[a-z0-9_]+)+'\ object\ has\ no\ attribute
        |^AttributeError:.*module\ '
        |Invalid\ field
        |^KeyError:\ '[a-z0-9_]+\.[a-z0-9_.]+'$
        |^TypeError:.*(?:unexpected\ keyword|required\ positional|required\ keyword|positional\ arguments?\ but)
        |does\ not\ exist\ in\ model|is\ not\ a\ valid\ action|cannot\ be\ located\ in",
    )
});

/// The comparison of two smoke runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::cascade) struct Smoke {
    /// What went well before, or was not there, and fails now. One line each.
    pub(in crate::cascade) broken: Vec<String>,
    /// What cannot be compared: a failure that lies in the code where there is no run before, or a check that was not tried again.
    /// One line each.
    pub(in crate::cascade) unknown: Vec<String>,
}

/// Compares the smoke runs before and after a patch. `before` is `None` where the addon could not be installed.
pub(in crate::cascade) fn compare(before: Option<&Record>, after: &Record) -> Smoke {
    let mut found = Smoke::default();
    // The recorder tries something in every addon that is installed: no check at all means that there was no smoke run.
    if after.smoke.is_empty() {
        found.unknown.push("the smoke run did not run after the patch".to_owned());
        return found;
    }
    let before = before.filter(|record| !record.smoke.is_empty());
    let key = |check: &Check| (check.name.clone(), check.low_rights);
    let known: BTreeMap<_, _> = before.iter().flat_map(|record| &record.smoke).map(|check| (key(check), check)).collect();
    for check in after.smoke.iter().filter(|check| is_failing(check)) {
        let was_left_out = before.is_some_and(|record| record.left_out.contains(&check.name));
        match known.get(&key(check)) {
            Some(old) if is_failing(old) => {}
            // A check that is new because of the patch has nothing to be compared with but must work.
            Some(_) => found.broken.push(told(check)),
            None if before.is_some() && !was_left_out => found.broken.push(told(check)),
            None if is_of_code(check) => found.unknown.push(told(check)),
            None => {}
        }
    }
    let tried: BTreeSet<_> = after.smoke.iter().filter(|check| !after.left_out.contains(&check.name)).map(key).collect();
    let gone = known.iter().filter(|(key, old)| old.error.is_none() && !tried.contains(key));
    found.unknown.extend(gone.map(|((name, _), _)| format!("smoke run: {name} went well before and was not tried after the patch")));
    found.broken.truncate(MAX_NAMED);
    found.unknown.truncate(MAX_NAMED);
    found
}

/// Whether a check failed for a reason that no user is meant to see.
fn is_failing(check: &Check) -> bool {
    check.error.is_some() && !check.meant
}

/// Whether it failed for a reason that lies in the code whatever the data.
fn is_of_code(check: &Check) -> bool {
    check.error.as_deref().is_some_and(|error| OF_CODE.is_match(error))
}

fn told(check: &Check) -> String {
    let user = if check.low_rights { " as a user with few rights" } else { "" };
    let error: String = check.error.as_deref().unwrap_or_default().lines().next().unwrap_or_default().chars().take(300).collect();
    format!("smoke run: {}{user}: {error}", check.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, error: Option<&str>, meant: bool) -> Check {
        Check { name: name.to_owned(), low_rights: false, path: None, error: error.map(str::to_owned), meant }
    }

    fn record(checks: &[Check]) -> Record {
        Record { smoke: checks.to_vec(), ..Record::default() }
    }

    #[test]
    fn only_what_worked_before_can_break() {
        let before = record(&[check("view a", None, false), check("view b", Some("KeyError: 'x'"), false)]);
        let after = record(&[
            check("view a", Some("KeyError: 'y'"), false),
            check("view b", Some("KeyError: 'x'"), false),
            check("view c", Some("UserError: no"), true),
        ]);
        assert_eq!(compare(Some(&before), &after).broken, ["smoke run: view a: KeyError: 'y'"]);
    }

    #[test]
    fn made_up_data_is_not_held_against_the_code() {
        let fails = |error: &str| compare(None, &record(&[check("call m.x", Some(error), false)])).unknown.len() == 1;
        for of_code in [
            "NameError: name 'x' is not defined",
            "AttributeError: 'res.partner' object has no attribute 'mobile'",
            "ValueError: Invalid field 'mobile' in 'res.partner'",
            "KeyError: 'hr.contract'",
            "TypeError: X.f() missing 1 required positional argument: 'a'",
            "ParseError: while parsing m/v.xml:3",
        ] {
            assert!(fails(of_code), "{of_code}");
        }
        for of_data in [
            "AttributeError: 'bool' object has no attribute 'year'",
            "ValueError: Expected singleton: m.x()",
            "KeyError: 'a'",
            "TypeError: '<' not supported",
        ] {
            assert!(!fails(of_data), "{of_data}");
        }
    }

    #[test]
    fn without_a_run_before_nothing_is_broken_but_unknown() {
        let after = record(&[check("create m.x", Some("ValueError: Invalid field 'y'\nmore"), false)]);
        let found = compare(None, &after);
        assert!(found.broken.is_empty());
        assert_eq!(found.unknown, ["smoke run: create m.x: ValueError: Invalid field 'y'"]);
        assert_eq!(compare(Some(&Record::default()), &after).unknown.len(), 1, "a run before that tried nothing is none");
    }

    #[test]
    fn check_that_was_not_tried_again_is_no_success() {
        let before = record(&[check("view a", None, false), check("view b", None, false), check("view c", Some("KeyError: 'x'"), false)]);
        assert_eq!(compare(Some(&before), &Record::default()).unknown, ["the smoke run did not run after the patch"]);
        let after = record(&[check("view a", None, false)]);
        assert_eq!(compare(Some(&before), &after).unknown, ["smoke run: view b went well before and was not tried after the patch"]);
        let slow =
            Record { left_out: vec!["view b".to_owned()], ..record(&[check("view a", None, false), check("view b", Some("8 s"), true)]) };
        assert_eq!(compare(Some(&before), &slow).unknown.len(), 1, "one that took too long was not tried to its end");
        let cut = Record { left_out: vec!["view d".to_owned()], ..before };
        let late = record(&[check("view a", None, false), check("view b", None, false), check("view d", Some("KeyError: 'y'"), false)]);
        assert!(compare(Some(&cut), &late).broken.is_empty(), "it is not known whether it worked before");
    }
}
