//! The linter in the sandbox: what it gives back, and that its fixes count only with a proof.

use odoo_agent::cascade::Observed;
use odoo_agent::domain::{Patch, RelPath};
use odoo_agent::odoo::Addon;
use odoo_agent::sandbox::{Limits, LintRun};
use serde_json::Value;

use crate::support::sandbox::{engine, open, owner, test};
use crate::support::{self, temp_dir};

const MANIFEST: &str = "{'name': 'x', 'version': '19.0.1.0.0', 'license': 'LGPL-3', 'author': 'x', 'depends': ['base'], 'data': ['v.xml']}";
/// Odoo 17 renamed an attribute of calendars.
const CALENDAR: &str = r#"<calendar date_start="create_date" quick_add="0"><field name="name"/></calendar>"#;
const TREE: &str = r#"<tree><field name="name"/></tree>"#;

fn addon(name: &str, arch: &str, more: &[(&str, &str)]) -> Addon {
    let view = format!(
        r#"<?xml version="1.0"?>
<odoo>
    <record id="v" model="ir.ui.view">
        <field name="name">v</field>
        <field name="model">res.partner</field>
        <field name="arch" type="xml">
            {arch}
        </field>
    </record>
</odoo>
"#
    );
    let files = [("__manifest__.py", MANIFEST), ("__init__.py", ""), ("v.xml", &view)].into_iter().chain(more.iter().copied());
    let files = files.map(|(path, text)| (format!("{name}/{path}").parse::<RelPath>().unwrap(), text.as_bytes().to_vec()));
    Addon::new(name.parse().unwrap(), files)
}

async fn lint(addon: &Addon) -> LintRun {
    let mut sandbox = open(&engine(Limits::default()).await, &owner()).await;
    let run = sandbox.lint(addon).await.unwrap().expect("the image has the linter");
    sandbox.close().await.unwrap();
    run
}

#[tokio::test]
async fn linter_gives_a_patch_that_odoo_accepts() {
    let mut sandbox = open(&engine(Limits::default()).await, &owner()).await;
    let broken = addon("lint_a", TREE, &[]);
    assert!(!Observed::read(&test(&mut sandbox, &broken).await).is_clean());
    let run = sandbox.lint(&broken).await.unwrap().expect("the image has the linter");
    assert_eq!(run.changes.iter().map(|change| change.path.as_str()).collect::<Vec<_>>(), ["lint_a/v.xml"]);
    assert!(run.changes[0].after.contains("<list>") && run.changes[0].after.contains("</list>"));
    let found = run.findings.iter().find(|finding| finding.mended).unwrap();
    assert_eq!((found.rule.as_str(), found.path.as_str(), found.line), ("U1801", "lint_a/v.xml", 7));
    let mended = broken.with(&Patch::new(run.changes).unwrap());
    assert!(Observed::read(&test(&mut sandbox, &mended).await).is_clean());
    // The sandbox goes on after it, and what is mended stays as it is.
    assert_eq!(sandbox.lint(&mended).await.unwrap().unwrap().changes, []);
    sandbox.close().await.unwrap();
}

#[tokio::test]
async fn addon_cannot_switch_the_linter_off() {
    let settings = "[tool.odoo-lint]\nignore = [\"U1801\"]\nexclude = [\"*\"]\ntarget-version = \"16.0\"\n";
    let own = "ignore = [\"U1801\"]\nexclude = [\"*\"]\ntarget-version = \"16.0\"\n";
    let run = lint(&addon("lint_a", TREE, &[("pyproject.toml", settings), ("odoo-lint.toml", own), (".ignore", "*\n")])).await;
    assert_eq!(run.changes.len(), 1);
}

#[tokio::test]
async fn linter_survives_garbage() {
    let broken = [("a.py", "def (:\n\u{0}"), ("i18n/de.po", "msgid \"\nmsgstr"), ("b.csv", "\"a\n\n,,,"), ("c.py", "")];
    let run = lint(&addon("lint_a", "<tree><field <<", &broken)).await;
    assert_eq!(run.changes, []);
    assert!(run.findings.iter().any(|finding| finding.path == "lint_a/v.xml" && !finding.mended), "{:?}", run.findings);
}

/// The error that a real run of this addon shows, handed to `fix`.
async fn fix(broken: &Addon) -> Value {
    let mut sandbox = open(&engine(Limits::default()).await, &owner()).await;
    let log = test(&mut sandbox, broken).await.log;
    sandbox.close().await.unwrap();
    let dir = temp_dir();
    let addons = dir.path().join("addons");
    for (path, bytes) in broken.files() {
        let file = addons.join(path.as_str());
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
    std::fs::write(dir.path().join("odoo.log"), log).unwrap();
    let app = support::app(&[], |_| {}).await;
    let (log, addons) = (dir.path().join("odoo.log").display().to_string(), addons.display().to_string());
    let mut command = app.command(&["fix", "--json", "--log", &log, "--addons", &addons]);
    support::json(&tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap())
}

#[tokio::test]
async fn fix_that_only_the_linter_knows_is_proven() {
    let result = fix(&addon("lint_b", CALENDAR, &[])).await;
    assert_eq!((&result["outcome"], &result["grade"]), (&"fixed".into(), &"proven".into()), "{result:#}");
    assert_eq!(result["source"], "rule:odl", "{result:#}");
    assert!(result["patch"].as_str().unwrap().contains("quick_create"), "{result:#}");
}

#[tokio::test]
async fn fix_that_leaves_the_error_is_not_taken() {
    // The view would be mended, but is not even reached: the error is another.
    let result = fix(&addon("lint_c", TREE, &[("__init__.py", "undefined_name()\n")])).await;
    assert_eq!(result["outcome"], "ticket", "{result:#}");
    assert_ne!(result["grade"], "proven");
    assert!(result["why"].as_str().unwrap().contains("One candidate was tried; it was not proven"), "{result:#}");
    assert_eq!(result["patch"], Value::Null, "a ticket with a patch about something else would mislead: {result:#}");
}
