//! What an error names, found in sources that were indexed: the rules that may have refused, the template that was to be rendered, the field.

#![expect(clippy::unwrap_used, reason = "the helpers are tests too, though clippy knows only functions that say so")]

use std::path::Path;
use std::sync::Arc;

use odoo_agent::knowledge::index::{self, Options, Origin};
use odoo_agent::knowledge::{Filters, Hit, Query};

use crate::support::{self, TestApp};

fn write(root: &Path, path: &str, text: &str) {
    let file = root.join("addons").join(path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

fn manifest(depends: &str) -> String {
    format!("{{'name': 'x', 'version': '19.0.1.0.0', 'depends': [{depends}]}}\n")
}

/// An application that knows these files; `shop` is there, and `late`, which depends on it.
async fn knowing(files: &[(&str, &str)]) -> TestApp {
    let test = support::app(&[], |_| {}).await;
    let dir = support::temp_dir();
    write(dir.path(), "shop/__manifest__.py", &manifest("'base'"));
    write(dir.path(), "late/__manifest__.py", &manifest("'shop'"));
    for (path, text) in files {
        write(dir.path(), path, text);
    }
    let tree = support::tree(dir.path(), Origin::Core);
    let options = Options { tenant: support::tenant("default"), embedder: None, progress: Arc::new(|_| {}) };
    odoo_agent::tenants::ensure(&test.app.db, &options.tenant).await.unwrap();
    index::run(&test.app.db, &tree, &options).await.unwrap();
    test
}

async fn found(test: &TestApp, text: &str) -> Vec<Hit> {
    let filters = Filters { version: Some("19.0".to_owned()), ..Filters::default() };
    let query = Query { text: text.to_owned(), filters, limit: 10 };
    test.app.search(&support::tenant("default"), &query).await.unwrap().to_vec()
}

/// Where the answers of a kind stand.
fn places(hits: &[Hit], kind: &str) -> Vec<String> {
    let place = |hit: &Hit| format!("{}:{}-{}", hit.path.as_deref().unwrap(), hit.start_line.unwrap(), hit.end_line.unwrap());
    hits.iter().filter(|hit| hit.kind == kind).map(place).collect()
}

fn rule(id: &str, of: &str, domain: &str, more: &str) -> String {
    let about = if of.is_empty() {
        String::new()
    } else {
        format!("<field name=\"name\">{id} rule</field><field name=\"model_id\" ref=\"model_{of}\"/>")
    };
    format!("<record id=\"{id}\" model=\"ir.rule\">{about}\n<field name=\"domain_force\">{domain}</field>{more}</record>\n")
}

fn data(records: &[String]) -> String {
    format!("<odoo>\n{}</odoo>\n", records.concat())
}

fn refused(operation: &str, of: &str, more: &str) -> String {
    format!(
        "Traceback (most recent call last):\nodoo.exceptions.AccessError: Uh-oh! Looks like you have stumbled upon some top-secret records.\n\n\
         Sorry, Ann (id=7) doesn't have '{operation}' access to:\n- Thing ({of})\n\n{more}\n"
    )
}

#[tokio::test]
async fn rules_that_may_refuse_come_first() {
    let company = "[('company_id', 'in', company_ids)]";
    let own = "[('user_id', '=', user.id)]";
    let only_read = "<field name=\"perm_write\" eval=\"False\"/><field name=\"perm_unlink\" eval=\"False\"/>";
    let shop = data(&[
        rule("company", "shop_order", company, ""),
        rule("all", "shop_order", "[(1, '=', 1)]", ""),
        "<record id=\"x\" model=\"res.groups\">\n<field name=\"name\">X</field>\n</record>\n".to_owned(),
        rule("readers", "shop_order", own, only_read),
        "<record id=\"y\" model=\"res.groups\">\n<field name=\"name\">Y</field>\n</record>\n".to_owned(),
        rule("own", "shop_order", own, ""),
    ]);
    let late = data(&[rule("shop.all", "", "[('state', '=', 'done')]", "")]);
    let class = "from odoo import fields, models\n\n\nclass Express(models.Model):\n    _name = 'shop.express'\n    _inherits = {'shop.order': 'order_id'}\n";
    let test = knowing(&[("shop/security/rules.xml", &shop), ("late/security/rules.xml", &late), ("shop/models/express.py", class)]).await;
    let places_of = async |text: String| places(&found(&test, &text).await, "rule");

    let order = places_of(refused("unlink", "shop.order", "")).await;
    assert_eq!(
        order,
        ["shop/security/rules.xml:14-15", "late/security/rules.xml:2-3", "shop/security/rules.xml:2-5", "shop/security/rules.xml:9-10"]
    );
    let companies = "This seems to be a multi-company issue, you might be able to access the record by switching to the company: A.";
    assert_eq!(places_of(refused("read", "shop.order", companies)).await[0], "shop/security/rules.xml:2-5");
    let blamed = places_of(refused("read", "shop.order", "Blame the following rules:\n- all rule")).await;
    // It allowed everything until another addon changed it.
    assert_eq!(blamed[..2], ["late/security/rules.xml:2-3", "shop/security/rules.xml:4-5"]);
    // Who may not see what it delegates to may not see it.
    assert_eq!(places_of(refused("unlink", "shop.express", "")).await, order);
}

const RENDERING: &str = "Traceback (most recent call last):\n  File \"<12>\", line 8, in template_shop_label_12_content\nTypeError: 'NoneType' object cannot be \
    interpreted as an integer\n\nThe above exception was the direct cause of the following exception:\n\nTraceback (most recent call last):\n  File \
    \"/odoo/addons/base/models/ir_qweb.py\", line 850, in _render_iterall\n    raise QWebError(qweb_error_info) from error\n\
    odoo.addons.base.models.ir_qweb.QWebError: Error while rendering the template:\n    TypeError: 'NoneType' object cannot be interpreted as an \
    integer\n    Template: shop.label\n    Reference: 12\n    Path: /t/t\n    Element: <t t-foreach=\"range(pages)\" t-as=\"page\"/>\n";

#[tokio::test]
async fn templates_lead_to_what_was_rendered() {
    let sheet = |id: &str, before: &str| {
        format!("<template id=\"{id}\">\n<t t-call=\"web.layout\"><div>{before}<t t-call=\"shop.label\"/></div></t>\n</template>\n")
    };
    let shop = data(&[
        "<template id=\"label\">\n<p/>\n</template>\n".to_owned(),
        sheet("plain", ""),
        sheet("priced", "<t t-set=\"price\" t-value=\"1\"/>"),
        "<template id=\"nothing\">\n<t t-call=\"web.layout\"/>\n</template>\n".to_owned(),
    ]);
    let late = "<odoo>\n<template id=\"more\" inherit_id=\"shop.label\">\n<p position=\"after\"><t t-foreach=\"range(pages)\" t-as=\"page\"/></p>\n</template>\n</odoo>\n";
    let test = knowing(&[("shop/views/labels.xml", &shop), ("late/views/labels.xml", late)]).await;

    // It was the one that was to be rendered.
    let itself = format!("{RENDERING}    From: (12, '/t/t', '<t t-foreach=\"range(pages)\" t-as=\"page\"/>')\n");
    assert_eq!(places(&found(&test, &itself).await, "template")[..2], ["shop/views/labels.xml:2-4", "late/views/labels.xml:2-4"]);
    // Two call it; one of them has it where it was.
    let called = format!(
        "{RENDERING}    From: (30, '/t/t', '<t t-call=\"web.layout\"/>')\n          (30, '/t/t/div/t[2]', '<t t-call=\"shop.label\"/>')\n          \
         (12, '/t/t', '<t t-foreach=\"range(pages)\" t-as=\"page\"/>')\n"
    );
    let hits = found(&test, &called).await;
    assert_eq!(places(&hits, "template")[..3], ["shop/views/labels.xml:8-10", "shop/views/labels.xml:2-4", "late/views/labels.xml:2-4"]);
    assert!(hits[0].why.contains("was to be rendered") && hits[0].why.contains("shop.priced"), "{}", hits[0].why);
}

#[tokio::test]
async fn name_inside_of_a_view_leads_to_the_view() {
    let view = "<odoo>\n<record id=\"form\" model=\"ir.ui.view\">\n<field name=\"model\">shop.order</field>\n<field name=\"arch\" type=\"xml\"><form>\
        <template id=\"hint\">Yes</template></form></field>\n</record>\n</odoo>\n";
    let test = knowing(&[("shop/views/form.xml", view)]).await;
    let text = "Traceback (most recent call last):\nodoo.exceptions.MissingError: Template not found: 'shop.hint' (website: None)";
    assert_eq!(places(&found(&test, text).await, "view"), ["shop/views/form.xml:2-5"]);
    let other = text.replace("shop.hint", "shop.100%_hint");
    assert!(found(&test, &other).await.iter().all(|hit| !hit.why.contains("element")));
}

#[tokio::test]
async fn named_field_is_shown_with_its_neighbours() {
    let mut order = "from odoo import fields, models\n\n\nclass Order(models.Model):\n    _name = 'shop.order'\n".to_owned();
    (0..90).for_each(|n| order.push_str(&format!("    f{n} = fields.Char(required=True)\n")));
    let express = "from odoo import fields, models\n\n\nclass Express(models.Model):\n    _name = 'shop.express'\n    _inherits = {'shop.order': 'order_id'}\n    \
        f70 = fields.Char()\n";
    let test = knowing(&[("shop/models/order.py", &order), ("late/models/express.py", express)]).await;
    let null = |table: &str| {
        format!(
            "Traceback (most recent call last):\npsycopg2.errors.NotNullViolation: null value in column \"f70\" of relation \"{table}\" violates not-null \
             constraint\nDETAIL:  Failing row contains (1, null)."
        )
    };
    let hits = found(&test, &null("shop_order")).await;
    assert_eq!(places(&hits, "class")[0], "shop/models/order.py:61-91");
    assert!(hits[0].text.starts_with("    f55 = ") && hits[0].text.ends_with("f85 = fields.Char(required=True)"), "{}", hits[0].text);
    let missing = "Traceback (most recent call last):\nAttributeError: 'shop.express' object has no attribute 'f70'";
    assert_eq!(places(&found(&test, missing).await, "class"), ["late/models/express.py:4-7", "shop/models/order.py:61-91"]);
}

#[tokio::test]
async fn constraints_lead_to_their_declaration() {
    let order = "from odoo import fields, models\n\n\nclass Order(models.Model):\n    _name = 'shop.order'\n\n    code = fields.Char(compute='_compute_code')\n\n    \
        def _compute_code(self):\n        pass\n\n    _code_uniq = models.Constraint('unique(code)', 'Twice.')\n";
    let line = "from odoo import fields, models\n\n\nclass Line(models.Model):\n    _name = 'shop.order.line'\n    _sql_constraints = [('code_check', 'check(1=1)',         'No.')]\n\n    def a(self):\n        pass\n\n    order_id = fields.Many2one('shop.order')\n";
    let test = knowing(&[("shop/models/order.py", order), ("shop/models/line.py", line)]).await;
    let first = async |said: &str| {
        let hits = found(&test, &format!("Traceback (most recent call last):\n{said}")).await;
        format!("{} {}", places(&hits[..1], &hits[0].kind).concat(), hits[0].why)
    };
    for (said, place) in [
        (
            "psycopg2.errors.UniqueViolation: duplicate key value violates unique constraint \"shop_order_code_uniq\"",
            "order.py:12-12 declares",
        ),
        (
            "psycopg2.errors.CheckViolation: new row for relation \"shop_order_line\" violates check constraint \"shop_order_line_code_check\"",
            "line.py:4-6 declares",
        ),
        (
            "psycopg2.errors.ForeignKeyViolation: update or delete on table \"shop_order\" violates foreign key constraint \
             \"shop_order_line_order_id_fkey\" on table \"shop_order_line\"",
            "line.py:11-11 defines",
        ),
        ("psycopg2.errors.UndefinedTable: relation \"shop_order_line\" does not exist", "line.py:4-6 makes"),
        ("ValueError: Compute method failed to assign shop.order(5,).code", "order.py:9-10 defines the method"),
        ("AssertionError: Field x.y.order_id with unknown comodel_name 'shop.order.line'", "line.py:4-6 makes"),
    ] {
        let answer = first(said).await;
        assert!(answer.starts_with(&format!("shop/models/{place}")), "{said}\n{answer}");
    }
}
