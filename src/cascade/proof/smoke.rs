//! What the smoke run says: what the addon can do after the patch, beside what it could do before.

use std::collections::BTreeMap;
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
    /// What fails now for a reason that lies in the code, where there is no run before to compare with. One line each.
    pub(in crate::cascade) unknown: Vec<String>,
}

/// Compares the smoke runs before and after a patch. `before` is `None` where the addon could not be installed.
pub(in crate::cascade) fn compare(before: Option<&Record>, after: &Record) -> Smoke {
    let failing = after.smoke.iter().filter(|check| is_failing(check));
    match before.filter(|record| !record.smoke.is_empty()) {
        None => Smoke { unknown: failing.filter(|check| is_of_code(check)).map(told).take(MAX_NAMED).collect(), ..Smoke::default() },
        Some(before) => {
            let known: BTreeMap<_, _> = before.smoke.iter().map(|check| ((&check.name, check.low_rights), check)).collect();
            let broken = failing.filter(|check| known.get(&(&check.name, check.low_rights)).is_none_or(|old| !is_failing(old)));
            Smoke { broken: broken.map(told).take(MAX_NAMED).collect(), ..Smoke::default() }
        }
    }
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
}
