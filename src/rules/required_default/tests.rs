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
        ("Boolean(required=True)", "Boolean(required=True, default=False)"),
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

/// The summary and the files after the first candidate of an addon with this version and these other files.
fn filled(version: &str, definition: &str, more: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
    let (manifest, python) = (format!("{{\n    'name': 'M',\n    'version': {version},\n}}\n"), python(definition));
    let files = [&[("__manifest__.py", manifest.as_str()), ("a.py", &python)], more].concat();
    let first = candidates(&files, SchemaConstraint, TEXT).into_iter().next().unwrap();
    assert_eq!(first.name(), "required_default?");
    let files = first.patch.changes().iter().map(|change| (change.path.within_module().to_owned(), change.after.clone()));
    (first.summary, files.collect())
}

#[test]
fn script_fills_the_column_before_an_upgrade() {
    let (_, files) = filled("'19.0.2.1.3'", "Integer(required=True)", &[]);
    let text = |name: &str| files.iter().find(|(path, _)| path == name).unwrap().1.as_str();
    assert_eq!(text("__manifest__.py"), "{\n    'name': 'M',\n    'version': '19.0.2.2.0',\n}\n");
    assert!(text("a.py").contains("default=0"));
    insta::assert_snapshot!(text("migrations/19.0.2.2.0/pre-migration.py"));
    let short = filled("\"1.0\"", "Char(required=True)", &[]).1;
    assert!(short.iter().any(|(path, text)| path == "migrations/19.0.1.1/pre-migration.py" && text.contains("(\"\",)")));
    assert!(short.iter().any(|(_, text)| text.contains("'version': \"1.1\"")));
}

#[test]
fn without_a_script_the_default_alone_comes_next() {
    let all =
        candidates(&[("__manifest__.py", "{'version': '19.0.1.0.0'}"), ("a.py", &python("Float(required=True)"))], SchemaConstraint, TEXT);
    assert_eq!(all.iter().map(|one| one.patch.changes().len()).collect::<Vec<_>>(), [3, 1]);
}

#[test]
fn no_script_where_sql_or_the_version_is_not_known() {
    for (version, definition, more, why) in [
        ("'19.0.1.0.0'", "Char(required=True, translate=True)", None, "SQL does not know"),
        ("'19.0.1.0.0'", "Float(required=True, company_dependent=True)", None, "SQL does not know"),
        ("'18.0.1.0.0'", "Char(required=True)", None, "version"),
        ("VERSION", "Char(required=True)", None, "version"),
        ("'19.0.1.0.0'", "Char(required=True)", Some("migrations/19.0.1.0.1/post-migration.py"), "version"),
        ("'1.0.0'", "Char(required=True)", Some("upgrades/1.1.0/pre-x.py"), "version"),
    ] {
        let more: Vec<_> = more.into_iter().map(|path| (path, "")).collect();
        let (summary, files) = filled(version, definition, &more);
        assert_eq!(files.len(), 1, "{version} {definition}");
        assert!(summary.contains(why), "{summary}");
    }
    let (_, files) =
        filled("'19.0.1.0.0'", "Char(required=True)", &[("migrations/18.0.9.0.0/pre-a.py", ""), ("migrations/19.0.1.0.0/post-b.py", "")]);
    assert_eq!(files.len(), 3, "scripts that have run or are for another series do not matter");
}
