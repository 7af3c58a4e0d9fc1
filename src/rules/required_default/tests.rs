use crate::domain::ErrorClass::SchemaConstraint;
use crate::rules::testing_index::{candidates, first};

const TEXT: &str = "column \"x\" of relation \"res_partner\" contains null values";

fn python(definition: &str) -> String {
    format!("class A(models.Model):\n    _inherit = 'res.partner'\n    x = fields.{definition}\n")
}

fn after(definition: &str) -> Option<String> {
    first("required_default", &[("a.py", &python(definition))], "a.py", SchemaConstraint, TEXT)
}

#[test]
fn rows_that_exist_get_the_empty_value() {
    for (before, expected) in [
        ("Char(required=True)", "Char(required=True, default=\"\")"),
        ("Integer(\"X\", required=True)", "Integer(\"X\", required=True, default=0)"),
        (
            "Selection([(\"a\", \"A\"), (\"b\", \"B\")], required=True)",
            "Selection([(\"a\", \"A\"), (\"b\", \"B\")], required=True, default=\"a\")",
        ),
        ("Float(\n        required=True,\n    )", "Float(\n        required=True,\n        default=0.0,\n    )"),
    ] {
        assert_eq!(after(before), Some(python(expected)), "{before}");
    }
}

#[test]
fn what_has_no_empty_value_is_left() {
    for definition in [
        "Many2one('res.company', required=True)",
        "Char(required=True, default='a')",
        "Date(required=True)",
        "Char()",
        "Selection('_get', required=True)",
    ] {
        assert!(candidates(&[("a.py", &python(definition))], SchemaConstraint, TEXT).is_empty(), "{definition}");
    }
    assert!(candidates(&[("a.py", "_inherit = (")], SchemaConstraint, TEXT).is_empty());
}
