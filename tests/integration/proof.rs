//! What a proof means besides that the error is gone, end to end: on small addons, with patches of (a stand-in for) Claude.

#![expect(clippy::unwrap_used, reason = "the helpers are tests too, though clippy knows only functions that say so")]

use serde_json::{Value, json};

use crate::support::claude::{FakeClaude, Script, Usage};
use crate::support::{self, TestApp};

/// One change of the answer: in this file, this text becomes that.
type Edit = (&'static str, &'static str, &'static str);

const MANIFEST: &str =
    "{'name': 'p_card', 'version': '19.0.1.0.0', 'license': 'LGPL-3', 'author': 'x', 'depends': ['base'], 'data': [DATA]}\n";
/// Its value is no number, which the test below shows.
const MODEL: &str = r#"from odoo import models

GREETING = "Hello"


class Partner(models.Model):
    _inherit = "res.partner"

    def _greeting(self):
        return GREETING

    def _make_card(self):
        values = {"name": self._greeting()}
        if self.env.context.get("card_of_years"):
            values["color"] = int("ten") + 1
        else:
            values["color"] = int("ten")
        return self.create(values)
"#;
const TEST: &str = r#"from odoo.tests.common import TransactionCase


class TestCard(TransactionCase):
    def test_card(self):
        self.assertTrue(self.env["res.partner"]._make_card().name)
"#;

struct Shop {
    test: TestApp,
    fake: FakeClaude,
    folder: tempfile::TempDir,
}

impl Shop {
    async fn open(files: &[(&str, &str)]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shop = Self { test: support::app(&[], |_| {}).await, fake: FakeClaude::start().await, folder: support::temp_dir() };
        for (path, text) in files {
            let path = shop.folder.path().join("p_card").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        shop
    }

    /// An addon that makes a partner of a value that is no number, with its test.
    async fn of_cards() -> Self {
        Self::open(&[
            ("__manifest__.py", &MANIFEST.replace("DATA", "")),
            ("__init__.py", "from . import models\n"),
            ("models.py", MODEL),
            ("tests/__init__.py", "from . import test_card\n"),
            ("tests/test_card.py", TEST),
        ])
        .await
    }

    /// What becomes of the error of this log when Claude answers with these edits.
    async fn answered(&self, log: &str, edits: &[Edit]) -> Value {
        let edit = |(path, find, replace): &Edit| json!({ "path": format!("p_card/{path}"), "find": find, "replace": replace });
        let edits: Vec<Value> = edits.iter().map(edit).collect();
        let answer = json!({ "cause": "`ten` is no number.", "fixable": true, "edits": edits, "summary": "Write the number." });
        // What is no fix is asked about again; the same answer is no other one.
        for _ in 0..4 {
            self.fake.reply(Script::Ok(answer.clone(), Usage::default()));
        }
        let path = self.folder.path().join("odoo.log");
        std::fs::write(&path, log).unwrap();
        let args = ["fix", "--json", "--log", path.to_str().unwrap(), "--addons", self.folder.path().to_str().unwrap()];
        let mut command = self.test.command(&args);
        command.env("ANTHROPIC_API_KEY", "sk-ant-test").env("ANTHROPIC_BASE_URL", &self.fake.url);
        let result = support::json(&tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap());
        assert_eq!(result["source"], "claude", "{result:#}");
        result
    }
}

/// The error as production has it.
fn log_of_cards() -> String {
    let line = MODEL.lines().position(|line| line.ends_with("= int(\"ten\")")).unwrap() + 1;
    format!(
        "2026-11-22 18:58:03,295 56 ERROR live odoo.http: Exception during request handling.\nTraceback (most recent call last):\n\
         \u{20} File \"/mnt/extra/p_card/models.py\", line {line}, in _make_card\n    values[\"color\"] = int(\"ten\")\n\
         ValueError: invalid literal for int() with base 10: 'ten'\n"
    )
}

/// Mends both branches.
const MENDS: Edit = (
    "models.py",
    "int(\"ten\") + 1\n        else:\n            values[\"color\"] = int(\"ten\")",
    "11\n        else:\n            values[\"color\"] = 10",
);
/// Mends the one that the test runs.
const MENDS_ONE: Edit =
    ("models.py", "            values[\"color\"] = int(\"ten\")\n        return", "            values[\"color\"] = 10\n        return");

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn patch_that_drops_a_value_is_a_proposal_with_that_loss() {
    let shop = Shop::of_cards().await;
    let drops = (
        "models.py",
        "            values[\"color\"] = int(\"ten\")\n        return",
        "            values.pop(\"color\", None)\n        return",
    );
    let result = shop.answered(&log_of_cards(), &[drops]).await;
    assert_eq!((&result["outcome"], &result["grade"]), (&"proposed".into(), &"proven".into()), "{result:#}");
    assert_eq!(result["applicability"], "unsafe", "{result:#}");
    let losses = result["losses"].as_array().unwrap();
    let is_named = |loss: &Value| loss["place"]["path"] == "p_card/models.py" && loss["what"].as_str().unwrap().contains("color");
    assert!(losses.iter().any(is_named), "{result:#}");
    let body = result["ticket"]["body"].as_str().unwrap();
    assert!(losses.iter().all(|loss| body.contains(loss["what"].as_str().unwrap())), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hunk_that_nothing_runs_is_named_and_leaves_it_consistent() {
    let shop = Shop::of_cards().await;
    // Both branches stand close together, and only one of them has a test.
    let result = shop.answered(&log_of_cards(), &[MENDS]).await;
    assert_eq!((&result["outcome"], &result["grade"]), (&"proposed".into(), &"consistent".into()), "{result:#}");
    let hunk = &result["hunks"][0];
    assert_eq!((&hunk["path"], &hunk["exercised"]), (&"p_card/models.py".into(), &Value::Null), "{result:#}");
    let told = format!("nothing ran the change at p_card/models.py:{}", hunk["line"]);
    assert!(texts(&result["reservations"]).iter().any(|why| why.contains(&told)), "{result:#}");
    assert!(result["confidence"].as_f64().unwrap() <= 0.5, "{result:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn needless_hunk_is_dropped_and_the_rest_is_the_fix() {
    let shop = Shop::of_cards().await;
    let needless = ("models.py", "GREETING = \"Hello\"", "GREETING = \"Good day\"");
    let result = shop.answered(&log_of_cards(), &[needless, MENDS_ONE]).await;
    // What is left changes what is written only for the branch that failed.
    assert_eq!((&result["outcome"], &result["grade"]), (&"fixed".into(), &"proven".into()), "{result:#}");
    let patch = result["patch"].as_str().unwrap();
    assert!(patch.contains("+            values[\"color\"] = 10") && !patch.contains("Good day"), "{patch}");
    let hunks = result["hunks"].as_array().unwrap();
    assert_eq!((hunks.len(), &hunks[0]["need"]), (1, &"needed".into()), "{result:#}");
}

/// A record rule whose domain cannot be read.
const RULE: &str = r#"<odoo>
    <record id="card_rule" model="ir.rule">
        <field name="name">Cards</field>
        <field name="model_id" ref="base.model_res_partner_category"/>
        <field name="domain_force">[('color', '=', int('ten'))]</field>
    </record>
</odoo>
"#;

#[tokio::test(flavor = "multi_thread")]
async fn patch_that_the_guard_holds_back_is_run_and_becomes_a_proven_proposal() {
    let shop = Shop::open(&[("__manifest__.py", &MANIFEST.replace("DATA", "'rules.xml'")), ("__init__.py", ""), ("rules.xml", RULE)]).await;
    let log = "2026-11-22 19:06:12,120 401 CRITICAL t odoo.service.server: Failed to initialize database `t`. \n\
               Traceback (most recent call last):\n\
               \u{20} File \"/usr/lib/python3/dist-packages/odoo/tools/convert.py\", line 599, in _tag_root\n    f(rec)\n\
               odoo.tools.convert.ParseError: while parsing /mnt/extra/p_card/rules.xml:2\n\
               Invalid domain: ValueError(\"invalid literal for int() with base 10: 'ten'\") while evaluating\n\
               \"[('color', '=', int('ten'))]\"\n\n\
               View error context:\n'-no context-'\n\n";
    let result = shop.answered(log, &[("rules.xml", "int('ten')", "10")]).await;
    assert_eq!((&result["outcome"], &result["grade"]), (&"proposed".into(), &"proven".into()), "{result:#}");
    assert_eq!((&result["applicability"], &result["applied"]), (&"unsafe".into(), &Value::Null), "{result:#}");
    let reservations = texts(&result["reservations"]);
    assert!(reservations.iter().any(|why| why.contains("rules.xml") && why.contains("rule")), "{result:#}");
    let body = result["ticket"]["body"].as_str().unwrap();
    assert!(reservations.iter().all(|why| body.contains(why)), "{body}");
}
