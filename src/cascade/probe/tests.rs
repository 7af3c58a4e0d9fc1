use super::*;
use crate::domain::ModuleName;
use std::path::Path;

fn fixture(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)
}

/// An addon of the fixtures.
pub(super) fn addon(name: &str) -> Addon {
    let root = fixture("addons");
    let mut files = Vec::new();
    let mut folders = vec![root.join(name)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                let path = entry.strip_prefix(&root).unwrap().to_str().unwrap().parse().unwrap();
                files.push((path, std::fs::read(&entry).unwrap()));
            }
        }
    }
    Addon::new(name.parse().unwrap(), files)
}

pub(super) fn log(name: &str) -> String {
    std::fs::read_to_string(fixture(&format!("logs/{name}.log"))).unwrap()
}

pub(super) fn error(name: &str) -> ErrorReport {
    let module: ModuleName = name.parse().unwrap();
    ErrorReport { module: Some(module), ..crate::odoo::reports(&log(name)).remove(0) }
}

fn of(name: &str) -> Vec<Probe> {
    probes(&error(name), &addon(name))
}

fn made(files: &[(&str, &str)]) -> Addon {
    Addon::new("m".parse().unwrap(), files.iter().map(|(path, text)| (path.parse().unwrap(), text.as_bytes().to_vec())))
}

fn raised(frames: &[(&str, u32, &str)], said: &str) -> ErrorReport {
    let frames: String = frames
        .iter()
        .map(|(file, line, function)| format!("  File \"/mnt/extra-addons/m/{file}\", line {line}, in {function}\n    x\n"))
        .collect();
    let head = "2026-11-22 18:58:03,295 56 ERROR prod odoo.http: Exception during request handling.\nTraceback (most recent call last):\n";
    crate::odoo::reports(&format!("{head}{frames}{said}\n")).remove(0)
}

#[test]
fn button_becomes_a_call_on_a_record() {
    let probes = of("p_run_button");
    assert_eq!(probes[0].what, "a test that calls action_close on records of p.run.desk");
    assert_eq!(probes[0].test, "p_run_button: TestPRunDeskActionClose.test_action_close");
    insta::assert_snapshot!(probes[0].patch(&addon("p_run_button")).unwrap().unified_diff());
}

#[test]
fn scheduled_action_is_run() {
    let probes = of("p_run_cron");
    assert_eq!(probes[0].kind, Kind::Cron);
    insta::assert_snapshot!(probes[0].text);
}

#[test]
fn page_is_asked_for() {
    let probes = of("p_run_route");
    assert_eq!((probes.len(), probes[0].kind), (1, Kind::Route));
    insta::assert_snapshot!(probes[0].text);
}

#[test]
fn report_is_rendered() {
    let probes = of("p_run_report");
    assert_eq!(probes[0].kind, Kind::Report);
    insta::assert_snapshot!(probes[0].text);
}

const LINES: &str = r#"from odoo import api, fields, models

class Order(models.Model):
    _name = "m.order"

    name = fields.Char()
    note = fields.Text(default="x")
    line_ids = fields.One2many("m.line", "order_id")
    total = fields.Float(compute="_compute_total", store=True)

    @api.depends("line_ids")
    def _compute_total(self):
        for order in self:
            order.total = order.line_ids.price

    def close(self):
        return self.name

    @api.model_create_multi
    def create(self, vals_list):
        return super().create(vals_list)

    def write(self, vals):
        return super().write(vals)

    def named(self, label):
        return self._inner(name)

    def _inner(self, name=None, *args, **kwargs):
        return name

    @api.model
    def refresh(self):
        return 1

    @staticmethod
    def nothing():
        return 1
"#;

fn first(function: &str, line: u32, said: &str) -> Option<Probe> {
    let addon = made(&[("m/models/order.py", LINES), ("m/tests/__init__.py", "from . import test_z\n")]);
    probes(&raised(&[("models/order.py", line, function)], said), &addon).into_iter().next()
}

#[test]
fn records_are_as_many_as_the_message_says() {
    let text = |said: &str| first("close", 17, said).unwrap().text;
    let made = |text: &str| text.matches("cls._make(\"m.order\"").count();
    assert_eq!(made(&text("ValueError: Expected singleton: m.order(6, 7)")), 2);
    assert_eq!(made(&text("ValueError: Expected singleton: m.order(1, 2, 3, 4, 5, 6)")), 3);
    assert_eq!(made(&text("ValueError: Expected singleton: m.line(6, 7)")), 1);
    let empty = text("ValueError: Expected singleton: m.order()");
    assert!(empty.contains("cls.records = cls.env[\"m.order\"]\n") && made(&empty) == 0, "{empty}");
}

#[test]
fn every_kind_of_method_has_its_call() {
    for (function, line, call) in [
        ("close", 17, "self.records.close()"),
        ("_compute_total", 14, "records.read([\"total\"])"),
        ("create", 21, "records = self._make(\"m.order\")"),
        ("write", 24, "self.records.write(self.records.copy_data()[0])"),
        ("refresh", 34, "self.env[\"m.order\"].refresh()"),
        ("_inner", 30, "self.records._inner()"),
    ] {
        let probe = first(function, line, "KeyError: 'x'").unwrap();
        assert!(probe.text.contains(call), "{function}: {}", probe.text);
    }
    assert!(first("named", 27, "KeyError: 'x'").is_none(), "it needs an argument that nobody knows");
    assert!(first("nothing", 38, "KeyError: 'x'").is_none());
    assert!(first("<lambda>", 17, "KeyError: 'x'").is_none());
}

#[test]
fn arguments_that_are_called_as_fields_take_their_values() {
    let text = "from odoo import api, fields, models\n\n\nclass Seat(models.Model):\n    _name = \"m.seat\"\n    room = fields.Char(required=True)\n\n    def book(self, room):\n        return self.filtered(lambda seat: seat.room == room)\n\n    @api.model\n    def make(self, room):\n        return self.create({\"room\": room})\n";
    let addon = made(&[("m/models/seat.py", text)]);
    let of = |line| {
        probes(&raised(&[("models/seat.py", line, if line < 11 { "book" } else { "make" })], "KeyError: 'x'"), &addon).remove(0).text
    };
    assert!(of(9).contains("self.records.book(self.records[:1].room)"));
    let made = of(13);
    assert!(made.contains("self._value(self.env[\"m.seat\"]._fields[\"room\"])") && made.contains("def _value("), "{made}");
}

#[test]
fn second_probe_fills_fields_and_lines() {
    let addon = made(&[("m/models/order.py", LINES)]);
    let error = raised(&[("models/order.py", 14, "_compute_total")], "ValueError: Expected singleton: m.line(6, 7)");
    let probes = probes(&error, &addon);
    assert_eq!(probes.len(), 2);
    insta::assert_snapshot!(probes[1].text);
}

#[test]
fn inner_frame_is_called_where_the_outer_cannot_be() {
    let addon = made(&[("m/models/order.py", LINES)]);
    let error = raised(&[("models/order.py", 27, "named"), ("models/order.py", 30, "_inner")], "KeyError: 'x'");
    assert!(probes(&error, &addon)[0].text.contains("self.records._inner()"));
}

#[test]
fn inner_frame_is_not_called_past_the_conditions_of_the_outer() {
    let addon = made(&[("m/models/order.py", LINES)]);
    let said = |said: &str| probes(&raised(&[("models/order.py", 17, "close"), ("models/order.py", 30, "_inner")], said), &addon);
    let calls_inner = |probes: Vec<Probe>| probes.iter().any(|probe| probe.text.contains("._inner()"));
    assert!(calls_inner(said("NameError: name 'json' is not defined")));
    assert!(calls_inner(said("AttributeError: 'res.users' object has no attribute 'groups_id'")));
    assert!(!calls_inner(said("AttributeError: 'bool' object has no attribute 'upper'")));
    assert!(!calls_inner(said("KeyError: 'x'")));
}

#[test]
fn errors_of_loading_and_of_tests_get_no_probe() {
    let addon = made(&[("m/models/order.py", LINES), ("m/tests/test_a.py", "x = 1\n")]);
    let load = raised(&[("../odoo/modules/loading.py", 1, "load_module_graph"), ("models/order.py", 17, "close")], "KeyError: 'x'");
    let test = raised(&[("tests/test_a.py", 1, "test_a"), ("models/order.py", 17, "close")], "KeyError: 'x'");
    let user = raised(&[("models/order.py", 17, "close")], "odoo.exceptions.UserError: no");
    for error in [load, test, user] {
        assert_eq!(probes(&error, &addon), []);
    }
}

#[test]
fn nothing_of_a_hostile_log_gets_into_a_test() {
    let evil = "x\"); import os; os.system(\"id\") #";
    let sources = LINES.replace("m.order", "m.order\\\"]; import os");
    for (addon, error) in [
        (made(&[("m/models/order.py", LINES)]), raised(&[("models/order.py", 17, evil)], &format!("KeyError: {evil}"))),
        (
            made(&[("m/models/order.py", LINES)]),
            raised(&[("models/order.py", 17, "close")], &format!("ValueError: Expected singleton: {evil}(1,{evil})")),
        ),
        (made(&[("m/models/order.py", LINES)]), raised(&[(&format!("models/order.py/../{evil}"), 17, "close")], "KeyError: 'x'")),
        (
            made(&[("m/models/order.py", LINES)]),
            raised(&[], &format!("odoo.addons.base.models.ir_qweb.QWebError: Error\n    Template: {evil}\n")),
        ),
        (made(&[("m/models/order.py", &sources)]), raised(&[("models/order.py", 17, "close")], "KeyError: 'x'")),
    ] {
        let error = ErrorReport { module: Some("m".parse().unwrap()), ..error };
        for probe in probes(&error, &addon) {
            assert!(!probe.text.contains("import os") && !probe.what.contains("os."), "{}", probe.text);
            assert!(crate::rules::edit::python::Source::parse(&probe.text).is_some(), "{}", probe.text);
        }
    }
}

#[test]
fn garbage_makes_no_probe() {
    for text in ["class A(models.Model):\n    _name = 1\n    def f(self): pass\n", "def f(: \n", "\u{feff}class", ""] {
        let addon = made(&[("m/a.py", text)]);
        assert_eq!(probes(&raised(&[("a.py", 3, "f")], "KeyError: 'x'"), &addon), [], "{text}");
    }
    let deep: Vec<_> = (0..400).map(|_| ("models/order.py", 0, "close")).collect();
    assert!(probes(&raised(&deep, "RecursionError: deep"), &made(&[("m/models/order.py", LINES)])).len() <= MAX_PROBES);
}
