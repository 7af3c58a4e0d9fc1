use crate::domain::ErrorClass::DataConstraint;
use crate::rules::testing_index::{candidates, first};

const TEXT: &str = "psycopg2.errors.NotNullViolation: null value in column \"code\" of relation \"m_state\" violates not-null constraint";

fn data(first: &str, second: &str) -> String {
    format!(
        "<odoo>\n    <record id=\"state_draft\" model=\"m.state\">\n        <field name=\"code\">{first}</field>\n    </record>\n    <record id=\"state_done\" model=\"m.state\">\n        <field name=\"code\">{second}</field>\n    </record>\n    <record id=\"state_end\" model=\"m.state\">\n        <field name=\"name\">End</field>\n    </record>\n</odoo>\n"
    )
}

#[test]
fn neighbours_tell_the_value() {
    let before = data("draft", "done");
    let expected = before.replace("<field name=\"name\">", "<field name=\"code\">end</field>\n        <field name=\"name\">");
    assert_eq!(first("required_value", &[("v.xml", &before)], "v.xml", DataConstraint, TEXT), Some(expected));
}

#[test]
fn value_that_the_code_names_is_safe() {
    let data = data("draft", "done");
    let is_safe = |python: &str| candidates(&[("v.xml", &data), ("a.py", python)], DataConstraint, TEXT)[0].is_safe();
    assert!(is_safe("x = {'draft': 1, 'done': 2, 'end': 3}\n"));
    assert!(!is_safe("x = {'draft': 1, 'done': 2, 'last': 3}\n"));
    assert!(!is_safe("x = 1\n"), "two neighbours may agree by chance");
}

#[test]
fn names_that_are_shown_are_told_as_well() {
    let data = "<odoo><record id=\"s_draft\" model=\"m.state\"><field name=\"code\">Draft</field></record><record id=\"s_in_work\" model=\"m.state\"><field name=\"code\">In work</field></record><record id=\"s_put_away\" model=\"m.state\"><field name=\"name\">x</field></record></odoo>";
    let expected = data.replace("<field name=\"name\">", "<field name=\"code\">Put away</field><field name=\"name\">");
    assert_eq!(first("required_value", &[("v.xml", data)], "v.xml", DataConstraint, TEXT), Some(expected));
}

#[test]
fn neighbours_that_disagree_tell_nothing() {
    for (one, two) in [("draft", "finished"), ("1", "2"), ("draft", "")] {
        assert!(candidates(&[("v.xml", &data(one, two))], DataConstraint, TEXT).is_empty(), "{one} {two}");
    }
}
