use crate::domain::ErrorClass::SchemaConstraint;
use crate::rules::testing_index::first;

fn after(sql: &str, column: &str) -> Option<String> {
    let text = format!("column \"{column}\" does not exist");
    let files = [("__manifest__.py", "{'depends': ['base']}"), ("a.py", &*python(sql))];
    first("constraint_column", &files, "a.py", SchemaConstraint, &text)
}

fn python(sql: &str) -> String {
    format!(
        "class A(models.Model):\n    _inherit = 'res.partner'\n    amount = fields.Integer()\n    _c = models.Constraint(\"{sql}\", \"amout\")\n"
    )
}

#[test]
fn near_column_is_meant() {
    assert_eq!(after("check(amout > 0)", "amout"), Some(python("check(amount > 0)")));
}

#[test]
fn constraint_of_nothing_goes() {
    let expected = python("").split_once("    _c").map(|(before, _)| before.to_owned());
    assert_eq!(after("check(zzz > 0)", "zzz"), expected);
    assert_eq!(after("check(amount > 0)", "zzz"), None);
}
