mod forms;
mod table;

use proptest::prelude::*;

use super::super::mask;
use super::*;
use crate::domain::{ErrorClass as C, Fault};

fn fixture(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/fixtures/logs/{name}.log", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The object, only what it names: `model=res.partner field=x`.
fn named(report: &ErrorReport) -> String {
    let object = &report.object;
    let parts = [
        ("model", &object.model),
        ("field", &object.field),
        ("method", &object.method),
        ("view", &object.view),
        ("xmlid", &object.xmlid),
        ("name", &object.name),
    ];
    let parts: Vec<_> = parts.iter().filter_map(|(label, value)| Some(format!("{label}={}", value.as_deref()?))).collect();
    parts.join(" ")
}

fn place(report: &ErrorReport) -> String {
    report.location.as_ref().map_or("-".to_owned(), ToString::to_string)
}

fn module(report: &ErrorReport) -> &str {
    report.module.as_ref().map_or("-", |module| module.as_str())
}

/// Log, class, place, object of the error that it is about. The module is the name of the log.
#[rustfmt::skip]
const PROBES: &[(&str, C, &str, &str)] = &[
    ("p_act", C::ExternalIdMissing, "p_act/v.xml:3", "model=ir.ui.view xmlid=p_act.nothing"),
    ("p_attrs", C::ViewAttrsRemoved, "p_attrs/v.xml:3", "view=x"),
    ("p_badxml", C::XmlSyntax, "p_badxml/v.xml:1", "name=xmlParseEntityRef: no name"),
    ("p_button", C::ViewInvalidAction, "p_button/v.xml:3", "model=res.partner method=action_zzz view=x xmlid=p_button.v1"),
    ("p_comodel", C::FieldReferenceBroken, "-", "model=res.partner field=x_id name=zzz.model"),
    ("p_constrains", C::SchemaConstraint, "-", "field=zzz"),
    ("p_cron", C::FieldInvalid, "p_cron/v.xml:1", "model=ir.cron field=numbercall xmlid=p_cron.m"),
    ("p_csv", C::CsvInvalid, "p_csv/security/ir.model.access.csv", "field=Model xmlid=model_zzz_model name=p_csv/security/ir.model.access.csv"),
    ("p_dep", C::DependencyMissing, "p_dep/__manifest__.py", "name=not_existing_mod"),
    ("p_depends", C::FieldReferenceBroken, "-", "model=res.partner field=x method=_cx name=zzz_f"),
    ("p_field", C::ViewUnknownField, "p_field/v.xml:3", "model=res.partner field=nope_x view=x xmlid=p_field.v1"),
    ("p_fieldpos", C::ViewAnchorMissing, "p_fieldpos/v.xml:3", "model=res.partner field=mobile view=x xmlid=p_fieldpos.v1 name=<field name=\"mobile\">"),
    ("p_groupsid", C::FieldInvalid, "p_groupsid/v.xml:1", "model=ir.actions.act_window field=groups_id xmlid=p_groupsid.m"),
    ("p_hook", C::HookSignature, "p_hook/__init__.py", "method=ph"),
    ("p_import", C::ImportName, "p_import/__init__.py:1", "name=odoo.addons.http_routing.models.ir_http.slug"),
    ("p_import2", C::ImportName, "p_import2/__init__.py:1", "name=odoo.tests.common.SavepointCase"),
    ("p_import3", C::ImportOwnPackage, "p_import3/__init__.py:1", "name=odoo.addons.p_import3.models"),
    ("p_import4", C::ImportName, "p_import4/__init__.py:1", "name=odoo.exceptions.Warning"),
    ("p_import5", C::ImportName, "p_import5/__init__.py:1", "name=odoo.registry"),
    ("p_indent", C::PythonSyntax, "p_indent/__init__.py:2", "name=expected an indented block after function definition on line 1"),
    ("p_inh", C::ModelMissing, "-", "model=sale.order"),
    ("p_menu", C::ExternalIdMissing, "p_menu/v.xml:1", "xmlid=p_menu.none"),
    ("p_missfile", C::DataFileMissing, "p_missfile/__manifest__.py", "name=views/nofile.xml"),
    ("p_model", C::ModelMissing, "p_model/v.xml:1", "model=zzz.model xmlid=p_model.m"),
    ("p_nameerr", C::NameUndefined, "p_nameerr/__init__.py:4", "name=fields"),
    ("p_noacl", C::AccessRulesMissing, "-", "model=p.noacl"),
    ("p_o2m", C::FieldReferenceBroken, "-", "model=res.partner field=x_ids name=zzz_id"),
    ("p_pydep", C::ExternalDependencyMissing, "p_pydep/__manifest__.py", "name=not_existing_lib_x"),
    ("p_recfield", C::FieldInvalid, "p_recfield/v.xml:1", "model=res.groups field=category_id xmlid=p_recfield.m"),
    ("p_ref", C::ExternalIdMissing, "p_ref/v.xml:1", "model=res.partner.category xmlid=sale.nope"),
    ("p_related", C::FieldReferenceBroken, "-", "model=res.partner field=x name=zzz"),
    ("p_reqcol", C::SchemaConstraint, "-", "model=res.partner field=x_req"),
    ("p_returns", C::AttributeMissing, "p_returns/__init__.py:4", "method=multi name=odoo.api.multi"),
    ("p_rng", C::XmlSchema, "p_rng/v.xml:1", "name=record"),
    ("p_search", C::ViewInvalid, "p_search/v.xml:3", "view=x name=group/@expand"),
    ("p_sqlc", C::SqlConstraintsIgnored, "-", ""),
    ("p_syntax", C::PythonSyntax, "p_syntax/__init__.py:1", "name=invalid syntax"),
    ("p_test", C::AttributeMissing, "p_test/tests/test_a.py:7", "model=res.partner method=nope name=TestA.test_err"),
    ("p_tree", C::ViewTypeTree, "p_tree/v.xml:3", "name=tree"),
    ("p_ver", C::ManifestVersion, "p_ver/__manifest__.py", ""),
    ("p_xpath", C::ViewAnchorMissing, "p_xpath/v.xml:3", "model=res.partner field=mobile view=x xmlid=p_xpath.v1 name=<xpath expr=\"//field[@name='mobile']\">"),
];

#[test]
fn every_probe_is_read() {
    for (log, class, at, object) in PROBES {
        let all = reports(&fixture(log));
        let first = &all[0];
        assert_eq!((first.class, module(first), place(first).as_str(), named(first).as_str()), (*class, *log, *at, *object), "{log}");
        assert_eq!(first.odoo_version.as_ref().unwrap().as_str(), "19.0", "{log}");
    }
}

#[test]
fn probes_hold_nothing_else() {
    // The one probe whose fault Odoo does not report.
    assert_eq!(reports(&fixture("p_kanban")).iter().map(|report| report.class).collect::<Vec<_>>(), [C::ManifestVersion]);
    for (log, _, _, _) in PROBES {
        let others: Vec<_> = reports(&fixture(log)).into_iter().skip(1).collect();
        let expected: &[C] = match *log {
            "p_import2" => &[C::Other],
            "p_sqlc" => &[C::AccessRulesMissing],
            "p_test" => &[C::TestFailure],
            _ => &[],
        };
        assert_eq!(others.iter().map(|report| report.class).collect::<Vec<_>>(), expected, "{log}");
    }
}

#[test]
fn load_failure_is_one_report_with_its_reasons() {
    let all = reports(&fixture("p_csv"));
    assert_eq!(all.iter().filter(|report| report.level != "WARNING").count(), 1);
    assert!(all[0].text.contains("violates not-null constraint"));
    assert!(!all[0].text.contains("172, null"), "the row is masked");
}

#[test]
fn failing_tests_come_first_and_summaries_are_none() {
    let all = reports(&fixture("installed_update_runs_tests"));
    let names: Vec<_> = all.iter().map(|report| (report.class, named(report))).collect();
    assert_eq!(
        names,
        [
            (C::AttributeMissing, "model=res.partner method=nope name=TestA.test_err".to_owned()),
            (C::TestFailure, "name=TestA.test_fail".to_owned()),
            (C::DependencyMissing, "name=p_noacl".to_owned()),
        ]
    );
    assert_eq!(all[1].title, "TestA.test_fail: AssertionError: 1 != 2");
    assert!(all[..2].iter().all(ErrorReport::is_actionable));
}

#[test]
fn same_error_elsewhere_has_the_same_fingerprint() {
    for (log, class, _, _) in PROBES.iter().filter(|(_, class, _, _)| *class != C::ManifestVersion) {
        let sandbox = fixture(log);
        let production = sandbox
            .replace("/p/addons", "/opt/prod/custom")
            .replace("/usr/lib/python3/dist-packages/odoo/", "/opt/venv/lib/python3.12/site-packages/odoo/")
            .replace("v.xml:3", "v.xml:9")
            .replace("ir.ui.view(253,)", "ir.ui.view(7001,)")
            .replace(" t odoo", " live odoo")
            .replace("2026-11-22", "2025-01-07");
        let (here, there) = (&reports(&sandbox)[0], &reports(&production)[0]);
        assert_eq!((here.fingerprint.as_str(), *class), (there.fingerprint.as_str(), there.class), "{log}");
    }
}

#[test]
fn bare_traceback_has_the_same_fingerprint() {
    // What people paste: from `Traceback` on, no head, no line about what was loaded.
    for log in ["p_tree", "p_xpath", "p_groupsid", "p_attrs", "p_badxml", "p_nameerr", "p_import3"] {
        let whole = fixture(log);
        let pasted = &whole[whole.find("Traceback").unwrap()..whole.rfind("\n2026-11-22 19").or_else(|| whole.rfind("\n2026")).unwrap()];
        let pasted = &pasted[..pasted.find("\n2026").unwrap_or(pasted.len())];
        assert_eq!(reports(pasted)[0].fingerprint, reports(&whole)[0].fingerprint, "{log}");
    }
}

#[test]
fn another_name_is_another_fingerprint() {
    let log = fixture("p_field");
    assert_ne!(reports(&log)[0].fingerprint, reports(&log.replace("nope_x", "nope_y"))[0].fingerprint);
}

#[test]
fn stored_text_can_be_read_again() {
    for (log, ..) in PROBES {
        let first = &reports(&fixture(log))[0];
        // A test, an error or a warning alone does not tell what was being loaded.
        if first.level == "CRITICAL" {
            assert_eq!(reports(&first.text)[0].fingerprint, first.fingerprint, "{log}");
        }
    }
}

const HEAD: &str = "2026-11-22 18:58:03,295 56 ERROR shop ";

fn raised(exception: &str) -> ErrorReport {
    let text = format!(
        "{HEAD}odoo.http: Exception during request handling.\nTraceback (most recent call last):\n  File \"/opt/custom/shop/models/a.py\", line 3, in go\n    self.x()\n{exception}\n"
    );
    reports(&text).remove(0)
}

#[test]
fn errors_of_users_are_classified() {
    for (exception, class, fault, object) in [
        ("ValueError: Expected singleton: res.partner(6, 7)", C::ExpectedSingleton, Fault::Code, "model=res.partner method=go"),
        (
            "odoo.exceptions.MissingError: Record does not exist or has been deleted.\n(Record: res.partner(999999,), User: 1)",
            C::RecordMissing,
            Fault::Data,
            "model=res.partner",
        ),
        (
            "AttributeError: 'res.partner' object has no attribute 'zzz'",
            C::AttributeMissing,
            Fault::Code,
            "model=res.partner field=zzz method=zzz name=res.partner.zzz",
        ),
        (
            "ValueError: Invalid field res.partner.zzz in condition ('zzz', '=', 1)",
            C::FieldInvalid,
            Fault::Code,
            "model=res.partner field=zzz",
        ),
        ("ValueError: Invalid field 'zzz' on model 'res.partner'", C::FieldInvalid, Fault::Code, "model=res.partner field=zzz"),
        (
            "TypeError: BaseModel.search() got an unexpected keyword argument 'count'",
            C::CallArguments,
            Fault::Code,
            "method=search name=count",
        ),
        (
            "psycopg2.errors.UniqueViolation: duplicate key value violates unique constraint \"res_users_login_key\"\nDETAIL:  Key (login)=(dd@x) already exists.",
            C::DataConstraint,
            Fault::Data,
            "model=res.users field=login name=res_users_login_key",
        ),
        (
            "psycopg2.errors.UndefinedColumn: column \"zzz\" does not exist\nLINE 1: select zzz",
            C::SchemaOutdated,
            Fault::MissingUpgrade,
            "field=zzz name=zzz",
        ),
        (
            "psycopg2.errors.SyntaxError: syntax error at or near \")\"\nLINE 1: in ()",
            C::SqlInvalid,
            Fault::Code,
            "method=go name=near \")\"",
        ),
        (
            "psycopg2.errors.SerializationFailure: could not serialize access due to concurrent update",
            C::Infrastructure,
            Fault::Infrastructure,
            "name=SerializationFailure",
        ),
        (
            "odoo.exceptions.AccessError: You are not allowed to create 'System Parameter' (ir.config_parameter) records.",
            C::AccessDenied,
            Fault::Configuration,
            "model=ir.config_parameter",
        ),
        (
            "odoo.exceptions.AccessError: Private methods (such as 'res.partner._x') cannot be called remotely.",
            C::AccessDenied,
            Fault::Configuration,
            "model=res.partner method=_x",
        ),
        ("odoo.exceptions.ValidationError: You cannot create recursive Partner hierarchies.", C::UserMessage, Fault::User, ""),
        ("ValueError: NameError(\"name 'zzz' is not defined\") while evaluating\n'zzz.id'", C::DatabaseCode, Fault::Data, "name=zzz"),
        (
            "odoo.addons.base.models.ir_qweb.QWebError: Error while rendering the template:\n    KeyError: 'rec'\n    Template: base.tt\n    Reference: 253",
            C::QwebRender,
            Fault::Code,
            "field=rec view=base.tt name=KeyError: 'rec'",
        ),
        ("ModuleNotFoundError: No module named 'xlrd'", C::ImportModule, Fault::Code, "name=xlrd"),
        ("ZeroDivisionError: division by zero", C::Calculation, Fault::Code, "method=go"),
    ] {
        let report = raised(exception);
        assert_eq!((report.class, report.fault, named(&report).as_str()), (class, fault, object), "{exception}");
        assert_eq!((module(&report), place(&report).as_str()), ("shop", "shop/models/a.py:3"), "{exception}");
    }
}

#[test]
fn translated_anchor_is_recognised() {
    let text = fixture("p_xpath")
        .replace("Element '", "El elemento '")
        .replace("cannot be located in parent view", "no se puede localizar en la vista padre");
    assert_eq!(reports(&text)[0].class, C::ViewAnchorMissing);
}

#[test]
fn query_and_its_exception_are_one_report() {
    let said = "null value in column \"name\" of relation \"res_currency\" violates not-null constraint";
    let query = format!("{HEAD}odoo.sql_db: bad query: b'INSERT'\nERROR: {said}\nDETAIL:  Failing row contains (1, x).\n");
    let text = format!(
        "{query}{HEAD}odoo.http: Exception\nTraceback (most recent call last):\n  File \"/opt/custom/shop/models/a.py\", line 3, in go\n    x\npsycopg2.errors.NotNullViolation: {said}\n"
    );
    let all = reports(&text);
    assert_eq!(all.iter().map(|report| report.class).collect::<Vec<_>>(), [C::DataConstraint]);
    // Alone it is an error of its own.
    assert_eq!(reports(&query)[0].class, C::DataConstraint);
}

#[test]
fn retried_conflict_is_no_error() {
    let text = format!(
        "{HEAD}odoo.sql_db: bad query: b'UPDATE'\nERROR: could not serialize access due to concurrent update\n\n2026-11-22 18:58:03,299 56 INFO shop odoo.service.model: SERIALIZATION_FAILURE, 4 tries left, try again in 0.2 sec...\n"
    );
    assert!(reports(&text).is_empty());
}

#[test]
fn secrets_do_not_get_into_a_report() {
    let report = raised("ValueError: connection to postgresql://odoo:hunter2@db/x failed for jane@example.com, password='hunter2'");
    let all = serde_json::to_string(&report).unwrap();
    assert!(!all.contains("hunter2") && !all.contains("jane@"), "{all}");
}

#[test]
fn report_is_bounded() {
    let report = raised(&format!("ValueError: {}", "x ".repeat(200_000)));
    assert!(report.text.len() <= 48 * 1024 && report.title.len() <= 200);
    assert!(serde_json::to_string(&report).unwrap().len() < 100 * 1024);
}

#[test]
fn huge_logs_are_read_in_linear_time() {
    let log = fixture("p_csv").repeat(200);
    let started = std::time::Instant::now();
    reports(&log);
    mask(&log);
    // A debug build on a busy machine reads this in a few seconds; a quadratic reader would take minutes.
    assert!(started.elapsed().as_secs() < 60);
}

/// A probe with some of its bytes replaced, removed or doubled.
fn mutated() -> impl Strategy<Value = String> {
    let edits = proptest::collection::vec((any::<prop::sample::Index>(), 0..40usize, ".{0,12}"), 1..12);
    (0..PROBES.len(), edits).prop_map(|(n, edits)| {
        let mut log = fixture(PROBES[n].0);
        for (at, len, by) in edits {
            let start = log.floor_char_boundary(at.index(log.len()));
            let end = log.ceil_char_boundary((start + len).min(log.len()));
            log.replace_range(start..end, &by);
        }
        log
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_read_without_panic(text in "(?s).{0,400}") {
        reports(&text);
        mask(&text);
    }

    #[test]
    fn any_mutation_is_read_without_panic(log in mutated()) {
        for report in reports(&log) {
            prop_assert!(report.text.len() <= 48 * 1024 && report.title.len() <= 200);
        }
    }

    #[test]
    fn words_of_a_log_in_any_order_are_read(
        parts in proptest::collection::vec(prop::sample::select(vec![
            "2026-11-22 18:58:03,295 56 ERROR t odoo.x: ", "2026-11-22 18:58:03,295 56 CRITICAL ? odoo.service.server: ", "Traceback (most recent call last):",
            "\n", "  File \"/p/addons/a/b.py\", line 3, in f", "    x()", "odoo.tools.convert.ParseError: while parsing /p/addons/a/v.xml:1", "View error context:",
            "ERROR: A.b", "KeyError: 'a.b'", "bad query: b'x'", "DETAIL:  Failing row contains (", "Loading module a", "(", "'", "\"", "é", "\u{1b}[31m", "\r",
        ]), 0..60)
    ) {
        reports(&parts.concat());
    }
}
