//! The text of a test, in the style of OCA's addons. Names come from the addon's own sources and were checked; nothing else gets in.

use std::fmt::Write;

use super::Scene;
use super::code::{Call, Shape};
use crate::rules::edit::python::quoted;

/// How many records a test makes at most.
const MAX_RECORDS: usize = 3;
/// The longest line that OCA's formatter leaves.
const WIDTH: usize = 88;

const IMPORT: &str = "from odoo.tests.common import TransactionCase\n";
const IMPORT_HTTP: &str = "from odoo.tests import HttpCase, tagged\n";

/// Makes records without knowing what other addons ask of them.
const MAKE: &str = r#"
    @classmethod
    def _make(cls, model_name, *names, **values):
        # Fields of other addons may be required as well: look which ones are.
        model = cls.env[model_name]
        required = [
            name
            for name, field in model._fields.items()
            if field.required
            and (field.inherited or (field.store and not field.compute))
            and name not in model._inherits.values()
        ]
        wanted = [name for name in (*required, *names) if name not in values]
        defaults = model.default_get(wanted)
        for name in wanted:
            if name not in defaults:
                values[name] = cls._value(model._fields[name])
        return model.create(values)

    @classmethod
    def _value(cls, field):
        if field.type == "many2one":
            comodel = cls.env[field.comodel_name]
            found = comodel.search([], limit=1)
            return (found or cls._make(field.comodel_name)).id
        if field.type == "selection":
            return next(iter(field.get_values(cls.env)), False)
        return {
            "char": f"Test {field.name}",
            "text": f"Test {field.name}",
            "html": f"Test {field.name}",
            "integer": 1,
            "float": 1.0,
            "monetary": 1.0,
            "date": "2026-01-01",
            "datetime": "2026-01-01 00:00:00",
        }.get(field.type, False)
"#;

/// What a test is made of besides what it does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting<'a> {
    /// The name of the class.
    pub(super) class: &'a str,
    /// The name of the method.
    pub(super) method: &'a str,
    /// What the sources say of the Odoo model.
    pub(super) shape: &'a Shape,
    /// Records to make.
    pub(super) records: usize,
    /// Whether fields that need no value get one, and records their lines.
    pub(super) filled: bool,
}

/// The whole file.
pub(super) fn test(scene: &Scene, setting: &Setting<'_>) -> String {
    let mut text = String::new();
    let Setting { class, method, .. } = *setting;
    let steps = steps(scene, setting);
    // Writing to a String cannot fail.
    let _ = match scene {
        Scene::Route { .. } => {
            write!(text, "{IMPORT_HTTP}\n\n@tagged(\"post_install\", \"-at_install\")\nclass {class}(HttpCase):\n")
        }
        _ => write!(text, "{IMPORT}\n\nclass {class}(TransactionCase):\n"),
    };
    let set_up = set_up(scene, setting);
    if !set_up.is_empty() {
        let _ = write!(text, "    @classmethod\n    def setUpClass(cls):\n        super().setUpClass()\n{set_up}");
    }
    if set_up.contains("cls._make(") || steps.contains("self._make(") || steps.contains("self._value(") {
        text.push_str(if set_up.is_empty() { MAKE.trim_start_matches('\n') } else { MAKE });
    }
    if !text.ends_with(":\n") {
        text.push('\n');
    }
    let _ = write!(text, "    def {method}(self):\n{steps}");
    text
}

/// The records, if the test starts from some.
fn set_up(scene: &Scene, setting: &Setting<'_>) -> String {
    let (odoo_model, wanted) = match scene {
        Scene::Method { odoo_model, call: Call::Records | Call::RecordsWith(_) | Call::Write, .. } | Scene::Report { odoo_model, .. } => {
            (odoo_model, true)
        }
        Scene::Method { odoo_model, call: Call::Api | Call::ApiWith(_), .. } | Scene::Cron { odoo_model, .. } => {
            (odoo_model, setting.filled || matches!(scene, Scene::Cron { .. }))
        }
        _ => return String::new(),
    };
    if setting.shape.is_abstract || !wanted {
        return String::new();
    }
    made("cls", odoo_model, setting)
}

fn made(by: &str, odoo_model: &str, setting: &Setting<'_>) -> String {
    let name = quoted(odoo_model);
    let target = if by == "cls" { "cls.records" } else { "records" };
    let optional = setting.shape.optional.iter().filter(|_| setting.filled);
    let arguments: Vec<String> = std::iter::once(name.clone()).chain(optional.map(|field| quoted(field))).collect();
    let one = called(&format!("{by}._make"), &arguments);
    let mut text = match setting.records {
        0 => format!("        {target} = {by}.env[{name}]\n"),
        n => format!("        {target} = {one}\n") + &format!("        {target} |= {one}\n").repeat(n.min(MAX_RECORDS) - 1),
    };
    if setting.filled && setting.records > 0 {
        let record = if setting.records == 1 { target.to_owned() } else { format!("{target}[:1]") };
        for (comodel, inverse) in &setting.shape.lines {
            // Two, for what goes wrong with several goes wrong with two.
            let line = format!("        {by}._make({}, {inverse}={record}.id)\n", quoted(comodel));
            text.push_str(&line.repeat(2));
        }
    }
    text
}

/// A call, on several lines if it is too long for one, as the formatter would have it.
fn called(function: &str, arguments: &[String]) -> String {
    let line = format!("{function}({})", arguments.join(", "));
    if line.len() + "        cls.records |= ".len() <= WIDTH {
        return line;
    }
    let lines: String = arguments.iter().map(|argument| format!("            {argument},\n")).collect();
    format!("{function}(\n{lines}        )")
}

/// The arguments of a call.
fn values(odoo_model: &str, call: &Call, made_up: bool) -> Vec<String> {
    match call {
        Call::RecordsWith(names) if !made_up => names.iter().map(|name| format!("self.records[:1].{name}")).collect(),
        Call::RecordsWith(names) | Call::ApiWith(names) => {
            names.iter().map(|name| format!("self._value(self.env[{}]._fields[{}])", quoted(odoo_model), quoted(name))).collect()
        }
        _ => Vec::new(),
    }
}

/// What the test does.
fn steps(scene: &Scene, setting: &Setting<'_>) -> String {
    let on_model = |odoo_model: &str| format!("self.env[{}]", quoted(odoo_model));
    match scene {
        Scene::Method { odoo_model, name, call } => match call {
            Call::Records if setting.shape.is_abstract => format!("        {}.{name}()\n", on_model(odoo_model)),
            Call::Records => format!("        self.records.{name}()\n"),
            Call::Api => format!("        {}.{name}()\n", on_model(odoo_model)),
            Call::RecordsWith(_) | Call::ApiWith(_) if setting.shape.is_abstract => {
                format!("        {}.{name}({})\n", on_model(odoo_model), values(odoo_model, call, true).join(", "))
            }
            Call::RecordsWith(_) => format!("        {}\n", called(&format!("self.records.{name}"), &values(odoo_model, call, false))),
            Call::ApiWith(_) => {
                format!("        {}\n", called(&format!("{}.{name}", on_model(odoo_model)), &values(odoo_model, call, true)))
            }
            Call::Create => made("self", odoo_model, setting) + "        self.assertTrue(records)\n",
            Call::Write => "        self.assertTrue(self.records.write(self.records.copy_data()[0]))\n".to_owned(),
            Call::Read(field) => {
                made("self", odoo_model, setting)
                    + "        records.invalidate_recordset()\n"
                    + &format!("        self.assertEqual(len(records.read([{}])), len(records))\n", quoted(field))
            }
        },
        Scene::Cron { xml_id, .. } => {
            format!("        cron = self.env.ref({})\n        cron.with_user(cron.user_id).ir_actions_server_id.run()\n", quoted(xml_id))
        }
        Scene::Report { name, .. } => {
            let name = quoted(name);
            format!(
                "        reports = self.env[\"ir.actions.report\"]\n        html, _kind = reports._render_qweb_html({name}, self.records.ids)\n        self.assertTrue(html)\n"
            )
        }
        Scene::Template { key } => format!("        self.assertTrue(self.env[\"ir.qweb\"]._render({}))\n", quoted(key)),
        Scene::Route { path, needs_user, .. } => {
            let user = if *needs_user { "        self.authenticate(\"admin\", \"admin\")\n" } else { "" };
            format!("{user}        response = self.url_open({})\n        self.assertLess(response.status_code, 500)\n", quoted(path))
        }
    }
}
