//! Questions to what sources define that have one exact answer, through every door, over sources of our own.

use std::sync::Arc;

use odoo_agent::domain::FailureKind;
use odoo_agent::knowledge::index::{self, Options, Origin};
use odoo_agent::knowledge::{Defined, Embedder, HashEmbedder, Question};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{self, TestApp};

pub const FILES: &[(&str, &str)] = &[
    ("shop/__manifest__.py", "{'name': 'Shop', 'version': '19.0.1.0.0', 'depends': ['base'], 'data': ['v.xml']}"),
    (
        "shop/m.py",
        "class Mix(models.AbstractModel):\n    _name = 'shop.mixin'\n\n    def close(self):\n        return 1\n\n\nclass Desk(models.Model):\n    _name = 'shop.desk'\n    _inherit = ['shop.mixin']\n\n    note = fields.Char()\n\n    def close(self):\n        return super().close()\n",
    ),
    (
        "shop/v.xml",
        "<odoo><record id=\"desk\" model=\"ir.ui.view\"><field name=\"model\">shop.desk</field><field name=\"arch\" type=\"xml\"><form><field name=\"note\"/></form></field></record></odoo>",
    ),
    ("deep/__manifest__.py", "{'name': 'Deep', 'version': '19.0.1.0.0', 'depends': ['a_later'], 'data': ['v.xml']}"),
    (
        "deep/m.py",
        "class Desk(models.Model):\n    _inherit = 'shop.desk'\n\n    note = fields.Char(required=True)\n\n    def close(self):\n        return super().close()\n",
    ),
    (
        "deep/v.xml",
        "<odoo><record id=\"desk_deep\" model=\"ir.ui.view\"><field name=\"model\">shop.desk</field><field name=\"inherit_id\" ref=\"shop.desk\"/><field name=\"arch\" type=\"xml\"><field name=\"note\" position=\"after\"/></field></record></odoo>",
    ),
    // Before `deep` in the alphabet would be wrong: it is below it.
    ("a_later/__manifest__.py", "{'name': 'Later', 'version': '19.0.1.0.0', 'depends': ['shop'], 'data': ['v.xml']}"),
    ("a_later/m.py", "class Desk(models.Model):\n    _inherit = 'shop.desk'\n\n    def close(self):\n        return super().close()\n"),
    (
        "a_later/v.xml",
        "<odoo><record id=\"desk_wide\" model=\"ir.ui.view\"><field name=\"model\">shop.desk</field><field name=\"inherit_id\" ref=\"shop.desk\"/><field name=\"mode\">primary</field><field name=\"arch\" type=\"xml\"><field name=\"note\" position=\"after\"/></field></record></odoo>",
    ),
];

async fn indexed() -> TestApp {
    let test = support::app(&[], |_| {}).await;
    index(&test, FILES).await;
    test
}

pub async fn index(test: &TestApp, files: &[(&str, &str)]) {
    let dir = support::temp_dir();
    for (path, text) in files {
        let file = dir.path().join("addons").join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let tree = support::tree(dir.path(), Origin::Custom);
    let options =
        Options { tenant: support::tenant("acme"), embedder: Some(Arc::new(Embedder::Hash(HashEmbedder))), progress: Arc::new(|_| {}) };
    index::run(&test.app.db, &tree, &options).await.unwrap();
}

async fn asked(test: &TestApp, tenant: &str, kind: &str, name: &str) -> Vec<Defined> {
    let question: Question = serde_json::from_value(json!({ "kind": kind, "name": name, "version": "19.0" })).unwrap();
    test.app.defined(&support::tenant(tenant), &question).await.unwrap()
}

fn modules(found: &[Defined]) -> Vec<&str> {
    found.iter().map(|defined| defined.module.as_str()).collect()
}

#[tokio::test]
async fn overrides_come_in_loading_order() {
    let test = indexed().await;
    let found = asked(&test, "acme", "method", "shop.desk.close").await;
    assert_eq!(modules(&found), ["shop", "shop", "a_later", "deep"]);
    // What a mixin gives comes before what the Odoo model itself says.
    assert_eq!((found[0].symbol.as_deref(), found[1].symbol.as_deref()), (Some("Mix.close"), Some("Desk.close")));
    assert!(found[3].text.contains("def close") && found[3].path == "deep/m.py" && found[3].line == 6, "{found:?}");
    assert_eq!(modules(&asked(&test, "acme", "field", "shop.desk.note").await), ["shop", "deep"]);
    assert_eq!(modules(&asked(&test, "acme", "owner", "shop.desk").await), ["shop"]);
}

#[tokio::test]
async fn combined_view_has_its_parts_only() {
    let test = indexed().await;
    // A primary view is no part of the one that it starts from, and has that one as its beginning.
    assert_eq!(modules(&asked(&test, "acme", "view", "shop.desk").await), ["shop", "deep"]);
    assert_eq!(modules(&asked(&test, "acme", "view", "deep.desk_deep").await), ["shop", "deep"]);
    assert_eq!(modules(&asked(&test, "acme", "view", "a_later.desk_wide").await), ["shop", "deep", "a_later"]);
    assert!(asked(&test, "acme", "view", "shop.nothing").await.is_empty());
}

/// Odoo refuses such views, but anybody may have them in a folder.
#[tokio::test]
async fn views_in_a_circle_come_to_an_end() {
    let test = support::app(&[], |_| {}).await;
    let view = |id: &str, of: &str, mode: &str| {
        format!(
            "<record id=\"{id}\" model=\"ir.ui.view\"><field name=\"model\">a.b</field><field name=\"inherit_id\" ref=\"{of}\"/>\
             <field name=\"mode\">{mode}</field><field name=\"arch\" type=\"xml\"><form/></field></record>"
        )
    };
    let views = [view("a", "b", "primary"), view("b", "a", "primary"), view("c", "d", "extension"), view("d", "c", "extension")];
    let file = format!("<odoo>{}</odoo>", views.concat());
    index(&test, &[("loop/__manifest__.py", "{'name': 'Loop', 'data': ['v.xml']}"), ("loop/v.xml", &file)]).await;
    for name in ["loop.a", "loop.b", "loop.c"] {
        assert_eq!(asked(&test, "acme", "view", name).await.len(), 2, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_answers_the_same_and_names_what_is_wrong() {
    let door = crate::knowledge::door().await;
    index(&door.test, FILES).await;
    let get = async |tenant: &str, query: &str| crate::knowledge::get(&door, tenant, &format!("definitions?{query}")).await;
    let (status, answer) = get("acme", "kind=method&name=shop.desk.close&version=19.0").await;
    assert_eq!((status, answer["definitions"].as_array().unwrap().len()), (StatusCode::OK, 4), "{answer}");
    let (status, answer) = get("other", "kind=method&name=shop.desk.close").await;
    assert_eq!((status, &answer["definitions"]), (StatusCode::OK, &json!([])));
    let long = format!("kind=view&name={}", "x".repeat(5_000));
    for query in
        ["", "kind=view", "kind=views&name=a.b", "kind=method&name=close", "kind=view&name=a.b&version=19", "kind=view&name=%00", &long]
    {
        let (status, answer) = get("acme", query).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {answer}");
        assert!(answer["detail"].as_str().is_some_and(|text| !text.is_empty()), "{answer}");
    }
}

#[tokio::test]
async fn other_tenants_have_no_definitions() {
    let test = indexed().await;
    for (kind, name) in [("method", "shop.desk.close"), ("field", "shop.desk.note"), ("owner", "shop.desk"), ("view", "shop.desk")] {
        assert!(asked(&test, "other", kind, name).await.is_empty(), "{kind}");
    }
    let output = test.command(&["defined", "owner", "shop.desk", "--tenant", "acme", "--json"]).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["definitions"][0]["path"], "shop/m.py");
}

#[tokio::test]
async fn garbage_names_are_refused_or_unknown() {
    let test = support::app(&[], |_| {}).await;
    for (kind, name) in [("method", "close".to_owned()), ("field", ".x".to_owned()), ("view", String::new()), ("owner", "x".repeat(10_000))]
    {
        let question: Question = serde_json::from_value(json!({ "kind": kind, "name": name })).unwrap();
        assert!(test.app.defined(&support::tenant("acme"), &question).await.is_err(), "{kind}");
    }
    for name in ["'; drop table runs; --", "\u{0}", "%", "ä.ö"] {
        let question: Question = serde_json::from_value(json!({ "kind": "owner", "name": name })).unwrap();
        let found = test.app.defined(&support::tenant("acme"), &question).await;
        assert!(found.as_ref().map_or_else(|error| error.kind == FailureKind::BadInput, Vec::is_empty), "{name:?}: {found:?}");
    }
}
