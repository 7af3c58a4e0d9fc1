use crate::domain::ErrorClass::CursorInTest;
use crate::domain::Location;
use crate::odoo::source::Index;
use crate::rules::testing::{addon, fixture, report};
use crate::rules::{Case, propose};

fn after(file: &str, python: &str, line: u32) -> Option<(String, String)> {
    let addon = addon(&[(file, python)]);
    let mut report = report(CursorInTest, "AssertionError: Cannot commit or rollback a cursor from inside a test, …");
    report.location = Some(Location { path: format!("m/{file}"), line: Some(line) });
    let case = Case { report: &report, addon: &addon, version: &"19.0".parse().unwrap(), index: Index::default() };
    let first = propose(&case).into_iter().next()?;
    Some((first.patch.changes()[0].after.clone(), first.name()))
}

#[test]
fn commit_goes() {
    let python =
        "class A(models.Model):\n    def run(self):\n        for one in self:\n            one.go()\n            self.env.cr.commit()\n";
    let mended = python.replace("            self.env.cr.commit()\n", "");
    assert_eq!(after("a.py", python, 5), Some((mended, "explicit_commit?".to_owned())));
    let alone = "def run(cr):\n    if cr:\n        cr.commit()\n    return 1\n";
    assert_eq!(after("a.py", alone, 3).unwrap().0, alone.replace("cr.commit()", "pass"));
}

#[test]
fn inside_of_a_write_it_goes_too_and_is_never_safe() {
    let python = "class A(models.Model):\n    @api.model_create_multi\n    def create(self, vals_list):\n        found = super().create(vals_list)\n        self.env.cr.commit()\n        return found\n";
    let mended = python.replace("        self.env.cr.commit()\n", "");
    assert_eq!(after("a.py", python, 5), Some((mended, "explicit_commit?".to_owned())));
    let check =
        "class A(models.Model):\n    @api.constrains('a', 'b')\n    def _check(self):\n        self._cr.commit()\n        self.go()\n";
    assert_eq!(after("a.py", check, 4).unwrap().1, "explicit_commit?");
    let helper = "def write(self):\n    self._cr.commit()\n    self.go()\n";
    assert_eq!(after("a.py", helper, 2).unwrap().1, "explicit_commit?");
}

#[test]
fn what_undoes_itself_gets_a_savepoint() {
    let before = "class A(models.Model):\n    def run(self):\n        for one in self:\n            try:\n                one.go()\n\n                # why\n                if one:\n                    one.stop()\n                self.env.cr.commit()\n            except UserError:\n                self.env.cr.rollback()\n            except Exception as error:\n                self.env.cr.rollback()\n                log(error)\n";
    let mended = "class A(models.Model):\n    def run(self):\n        for one in self:\n            try:\n                with self.env.cr.savepoint():\n                    one.go()\n\n                    # why\n                    if one:\n                        one.stop()\n            except UserError:\n                pass\n            except Exception as error:\n                log(error)\n";
    for line in [10, 12, 14] {
        assert_eq!(after("a.py", before, line), Some((mended.to_owned(), "explicit_commit?".to_owned())), "line {line}");
    }
}

#[test]
fn what_is_not_understood_stays() {
    for (file, python, line) in [
        ("a.py", "def f(self):\n    self.env.cr.rollback()\n", 2),
        ("a.py", "def f(self):\n    transaction.commit()\n", 2),
        ("a.py", "def f(self):\n    x = self.env.cr.commit()\n", 2),
        ("a.py", "def f(self):\n    self.env.cr.commit()\n", 1),
        ("tests/test_a.py", "def f(self):\n    self.env.cr.commit()\n", 2),
        ("a.py", "def f(self\n    self.env.cr.commit()\n", 2),
    ] {
        assert_eq!(after(file, python, line), None, "{python}");
    }
    // A text over several lines would change with its indentation; then only the commit goes.
    let text = "def f(cr):\n    try:\n        go('''a\n        b''')\n        cr.commit()\n    except E:\n        cr.rollback()\n";
    assert_eq!(after("a.py", text, 5).unwrap().0, text.replace("        cr.commit()\n", ""));
}

#[test]
fn one_that_fails_is_undone_alone() {
    let addon = fixture("explicit_commit", "sender");
    let mut report = report(CursorInTest, "");
    report.location = Some(Location { path: "sender/sender.py".to_owned(), line: Some(19) });
    let case = Case { report: &report, addon: &addon, version: &"19.0".parse().unwrap(), index: Index::default() };
    insta::assert_snapshot!(propose(&case)[0].patch.unified_diff());
}
