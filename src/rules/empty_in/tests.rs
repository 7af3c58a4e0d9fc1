use crate::domain::ErrorClass::SqlInvalid;
use crate::domain::Location;
use crate::odoo::source::Index;
use crate::rules::testing::{addon, fixture, report};
use crate::rules::{Candidate, Case, propose};

const TEXT: &str = "psycopg2.errors.SyntaxError: syntax error at or near \")\"\nLINE 1: SELECT id FROM t WHERE id IN ()\n                                    ^";

fn found(python: &str, line: u32, text: &str) -> Vec<Candidate> {
    let addon = addon(&[("a.py", python)]);
    let mut report = report(SqlInvalid, text);
    report.location = Some(Location { path: "m/a.py".to_owned(), line: Some(line) });
    propose(&Case { report: &report, addon: &addon, version: &"19.0".parse().unwrap(), index: Index::default() })
}

fn method(body: &str) -> String {
    format!("class A(models.Model):\n    def f(self, names):\n        {}\n", body.replace('\n', "\n        "))
}

/// The body after the first candidate, and its name.
fn after(body: &str, line: u32) -> Option<(String, String)> {
    let first = found(&method(body), line, TEXT).into_iter().next()?;
    Some((first.patch.changes()[0].after.clone(), first.name()))
}

#[test]
fn ids_become_an_array() {
    for (before, mended, line) in [
        (
            "self.env.cr.execute(\"SELECT id FROM t WHERE id IN %s\", (tuple(self.ids),))",
            "self.env.cr.execute(\"SELECT id FROM t WHERE id = ANY(%s)\", (list(self.ids),))",
            3,
        ),
        (
            "self._cr.execute(\n    '''SELECT id\n    FROM t WHERE a = %s AND b not in %s''',\n    [1, self.child_ids._ids],\n)",
            "self._cr.execute(\n    '''SELECT id\n    FROM t WHERE a = %s AND b != ALL(%s)''',\n    [1, list(self.child_ids._ids)],\n)",
            3,
        ),
        (
            "cr.execute('SELECT %(a)s WHERE id in %(ids)s', {'a': 1, 'ids': tuple(self.ids)})",
            "cr.execute('SELECT %(a)s WHERE id = ANY(%(ids)s)', {'a': 1, 'ids': list(self.ids)})",
            3,
        ),
        (
            "query = \"SELECT 1 WHERE id IN %s\"\nids = tuple(self.ids)\ncr.execute(query, (ids,))",
            "query = \"SELECT 1 WHERE id = ANY(%s)\"\nids = tuple(self.ids)\ncr.execute(query, (list(ids),))",
            5,
        ),
        (
            "query = SQL('SELECT 1 WHERE id IN %s', tuple(self.ids))\nself.env.cr.execute(query)",
            "query = SQL('SELECT 1 WHERE id = ANY(%s)', list(self.ids))\nself.env.cr.execute(query)",
            4,
        ),
    ] {
        assert_eq!(after(before, line), Some((method(mended), "empty_in".to_owned())), "{before}");
    }
}

#[test]
fn ids_in_a_variable_are_ids() {
    let sure = |before: &str| after(before, 3 + u32::try_from(before.matches('\n').count()).unwrap()).unwrap().1 == "empty_in";
    assert!(sure("lost = self.filtered('lost').ids\ncr.execute('SELECT 1 WHERE id IN %s', (tuple(lost),))"));
    assert!(!sure("lost = self.mapped('name')\ncr.execute('SELECT 1 WHERE id IN %s', (tuple(lost),))"));
    assert!(!sure("lost = self.ids\nlost.append('a')\ncr.execute('SELECT 1 WHERE id IN %s', (tuple(lost),))"));
    assert!(!sure("lost = self.ids\nlost = names\ncr.execute('SELECT 1 WHERE id IN %s', (tuple(lost),))"));
}

#[test]
fn values_of_unknown_type_are_not_sure() {
    for (before, mended) in [
        ("cr.execute('SELECT 1 WHERE a IN %s', (tuple(names),))", "cr.execute('SELECT 1 WHERE a = ANY(%s)', (list(names),))"),
        ("cr.execute('SELECT 1 WHERE a IN %s', (names,))", "cr.execute('SELECT 1 WHERE a = ANY(%s)', (list(names),))"),
        (
            "cr.execute('SELECT 1 WHERE a IN %s', (tuple(n.x for n in names),))",
            "cr.execute('SELECT 1 WHERE a = ANY(%s)', (list(n.x for n in names),))",
        ),
    ] {
        assert_eq!(after(before, 3), Some((method(mended), "empty_in?".to_owned())), "{before}");
    }
}

#[test]
fn what_is_not_literal_is_left() {
    for body in [
        "cr.execute('SELECT 1 WHERE a IN (%s)', (tuple(self.ids),))",
        "cr.execute('SELECT 1 WHERE (a, b) IN %s', (tuple(self.ids),))",
        "cr.execute('SELECT 1 WHERE a IN %s' % (tuple(self.ids),))",
        "cr.execute(f'SELECT {names} WHERE a IN %s', (tuple(self.ids),))",
        "cr.execute('SELECT 1 WHERE a IN %s AND b = %s', (tuple(self.ids),))",
        "cr.execute('SELECT 1 WHERE a IN %s', params)",
        "cr.execute('SELECT 1 WHERE a IN %s', (*names,))",
        "cr.execute('SELECT 1 WHERE a IN %s AND b LIKE %d', (tuple(self.ids), 1))",
        "cr.execute('SELECT 1 WHERE a IN %s', (self.ids or [0],))",
        "cr.execute('SELECT 1 WHERE a IN %(x)s OR b IN %(x)s', {'x': tuple(self.ids)})",
        "cr.execute('SELECT 1 WHERE a = %s', (tuple(self.ids),))",
    ] {
        assert_eq!(after(body, 3), None, "{body}");
    }
    let shared = "query = 'SELECT 1 WHERE a IN %s'\nif names:\n    query += ' LIMIT 1'\ncr.execute(query, (tuple(self.ids),))";
    assert_eq!(after(shared, 6), None);
}

#[test]
fn other_errors_and_lines_are_left() {
    let python = method("cr.execute('SELECT 1 WHERE a IN %s', (tuple(self.ids),))");
    assert!(found(&python, 3, "syntax error at or near \")\"\nLINE 1: SELECT (").is_empty());
    assert!(found(&python, 1, TEXT).is_empty());
    assert!(found("cr.execute(", 1, TEXT).iter().all(|candidate| candidate.rule != "empty_in"));
}

#[test]
fn every_condition_of_the_statement_follows() {
    let addon = fixture("empty_in", "totals");
    let mut report = report(SqlInvalid, TEXT);
    report.location = Some(Location { path: "totals/totals.py".to_owned(), line: Some(17) });
    let case = Case { report: &report, addon: &addon, version: &"19.0".parse().unwrap(), index: Index::default() };
    insta::assert_snapshot!(propose(&case)[0].patch.unified_diff());
}
