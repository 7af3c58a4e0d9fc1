//! The forms in which the same error arrives: loggers, shippers, terminals, series and languages.

use serde_json::json;

use super::*;
use crate::domain::Subclass;

const TRACE: &str = "Traceback (most recent call last):\n  File \"/opt/custom/shop/models/a.py\", line 3, in go\n    self.name\nValueError: Expected singleton: res.partner(6, 7)";

fn head(level: &str, logger: &str) -> String {
    format!("2026-01-31 12:00:00,123 7 {level} prod {logger}: ")
}

fn plain() -> String {
    format!("{}Exception during request handling.\n{TRACE}\n", head("ERROR", "odoo.http"))
}

/// Each line in a wrapper.
fn each(text: &str, wrap: impl Fn(&str) -> String) -> String {
    text.lines().map(|line| wrap(line) + "\n").collect()
}

#[test]
fn every_form_is_the_same_error() {
    let record = json!({
        "asctime": "2026-01-31 12:00:00,123", "process": 7, "levelname": "ERROR", "dbname": "prod", "name": "odoo.http",
        "message": "Exception during request handling.", "exc_info": TRACE,
    });
    let ecs = json!({
        "@timestamp": "2026-01-31T12:00:00.123Z", "log.level": "error", "log.logger": "odoo.http",
        "message": "Exception during request handling.", "error.stack_trace": TRACE,
    });
    let gelf = json!({
        "version": "1.1", "host": "h", "short_message": "Exception during request handling.", "full_message": format!("Exception during request handling.\n{TRACE}"),
        "timestamp": 1_769_860_800.123, "level": 3, "_logger_name": "odoo.http", "_pid": 7,
    });
    let plain = plain();
    let expected = reports(&plain).remove(0);
    assert_eq!((expected.class, expected.subclass.unwrap().as_str()), (C::ExpectedSingleton, "several"));
    for (form, log) in [
        ("json", record.to_string()),
        ("json after plain lines", format!("{}Odoo version 19.0\n{record}\n", head("INFO", "odoo"))),
        ("json array", json!([record, {"a": 1}]).to_string()),
        ("printed json", serde_json::to_string_pretty(&record).unwrap()),
        ("ecs", ecs.to_string()),
        ("gelf", gelf.to_string()),
        (
            "docker json-file",
            each(&plain, |line| json!({"log": format!("{line}\n"), "stream": "stderr", "time": "2026-01-31T12:00:00.123Z"}).to_string()),
        ),
        ("json in docker's", json!({"log": format!("{record}\n"), "stream": "stderr", "time": "2026-01-31T12:00:00.123Z"}).to_string()),
        (
            "journald json",
            each(&plain, |line| json!({"MESSAGE": line, "PRIORITY": "6", "_PID": "7", "SYSLOG_IDENTIFIER": "odoo"}).to_string()),
        ),
        (
            "journald json with colours",
            each(&plain, |line| json!({"MESSAGE": line.bytes().collect::<Vec<u8>>(), "PRIORITY": "6"}).to_string()),
        ),
        ("journald short", each(&plain, |line| format!("Jan 31 12:00:00 host odoo[7]: {line}"))),
        ("journald iso", each(&plain, |line| format!("2026-01-31T12:00:00+0100 host odoo[7]: {line}"))),
        ("docker compose", each(&plain, |line| format!("web-1  | {line}"))),
        ("docker compose, json", format!("web-1  | {record}\n")),
        ("docker logs -t", each(&plain, |line| format!("2026-01-31T12:00:00.123456789Z {line}"))),
        ("kubernetes", each(&plain, |line| format!("2026-01-31T12:00:00.123456789Z stderr F {line}"))),
        ("crlf", plain.replace('\n', "\r\n")),
        ("colours", plain.replace("ERROR", "\u{1b}[1;31m\u{1b}[1;49mERROR\u{1b}[0m").replace("Traceback", "\u{1b}[31mTraceback")),
        ("byte order mark", format!("\u{feff}{plain}")),
        ("trace alone", TRACE.to_owned()),
        ("end of a trace", TRACE.split_once('\n').unwrap().1.to_owned()),
        ("older logger", plain.replace("odoo.http", "odoo.addons.base.models.ir_http")),
    ] {
        let all = reports(&log);
        assert_eq!(all.len(), 1, "{form}: {log}");
        assert_eq!(
            (&all[0].fingerprint, all[0].class, named(&all[0])),
            (&expected.fingerprint, expected.class, named(&expected)),
            "{form}"
        );
        assert_eq!((module(&all[0]), place(&all[0]).as_str()), ("shop", "shop/models/a.py:3"), "{form}");
    }
}

#[test]
fn translated_texts_keep_their_class() {
    // Structure and class are the same in every language; the words are those of Spanish, French and German.
    for (exception, class, sub, object) in [
        (
            "odoo.exceptions.AccessError: No tiene permisos para acceder a los registros 'Parámetro del sistema' (ir.config_parameter).\n\nEsta operación está permitida para los siguientes grupos:\n\t- Rol / Administrador",
            C::AccessDenied,
            "acl",
            "model=ir.config_parameter",
        ),
        (
            "odoo.exceptions.AccessError: Oh oh, on dirait que vous êtes tombé sur des enregistrements top secret.\n\nDésolé, portal (id=8) n'a pas accès 'lecture' à :\n- Contact (res.partner)\n",
            C::AccessDenied,
            "rule",
            "model=res.partner",
        ),
        (
            "odoo.exceptions.AccessError: Oh oh, on dirait que vous êtes tombé sur des enregistrements top secret.\n\nDésolé, portal (id=8) n'a pas accès 'lecture' à :\n- Contact, Azur (res.partner: 3, company=A)\n",
            C::AccessDenied,
            "rule",
            "model=res.partner",
        ),
        (
            "odoo.exceptions.MissingError: Der Datensatz existiert nicht oder wurde gelöscht.\n(Datensatz: res.partner(999999,), Benutzer: 1)",
            C::RecordMissing,
            "deleted",
            "model=res.partner",
        ),
        (
            "psycopg2.errors.UniqueViolation: llave duplicada viola restricción de unicidad «res_users_login_key»\nDETALLE:  Ya existe la llave (login)=(x).",
            C::DataConstraint,
            "unique",
            "model=res.users field=login name=res_users_login_key",
        ),
        (
            "psycopg2.errors.NotNullViolation: Null-Wert in Spalte »name« von Relation »res_currency« verletzt Not-Null-Constraint",
            C::DataConstraint,
            "not_null",
            "model=res.currency field=name",
        ),
    ] {
        let report = raised(exception);
        assert_eq!((report.class, report.subclass.unwrap().as_str(), named(&report).as_str()), (class, sub, object), "{exception}");
    }
    for (view, said) in [
        ("El campo \"nope_x\" no existe en el modelo \"res.partner\"", "model=res.partner field=nope_x view=x xmlid=p_field.v1"),
        ("Le champ « nope_x » n'existe pas dans le modèle « res.partner »", "model=res.partner field=nope_x view=x xmlid=p_field.v1"),
    ] {
        let text = fixture("p_field").replace("Field \"nope_x\" does not exist in model \"res.partner\"", view);
        let first = reports(&text).remove(0);
        assert_eq!((first.class, named(&first).as_str()), (C::ViewUnknownField, said), "{view}");
    }
}

#[test]
fn only_the_last_try_counts() {
    let query =
        format!("{}bad query: UPDATE x\nERROR: could not serialize access due to concurrent update\n\n", head("ERROR", "odoo.sql_db"));
    let retry =
        |left: u32| format!("{}SerializationFailure, {left} tries left, try again in 0.2 sec...\n", head("INFO", "odoo.service.model"));
    let tries: String = (1..=4).rev().map(|left| format!("{query}{}", retry(left))).collect();
    assert!(reports(&tries).is_empty());
    let last = format!(
        "{query}{}Exception\nTraceback (most recent call last):\n  File \"/opt/custom/shop/models/a.py\", line 3, in go\n    x\npsycopg2.errors.SerializationFailure: could not serialize access due to concurrent update\n",
        head("ERROR", "odoo.http")
    );
    let all = occurrences(&format!("{tries}{last}"));
    let [(report, 1)] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!(
        (report.class, report.subclass.unwrap().as_str(), report.fault),
        (C::Infrastructure, "serialization", Fault::Infrastructure)
    );
}

#[test]
fn older_series_say_it_otherwise() {
    for (exception, class, sub, object) in [
        (
            "odoo.exceptions.AccessError: Due to security restrictions, you are not allowed to access 'Contact' (res.partner) records.",
            C::AccessDenied,
            "rule",
            "model=res.partner",
        ),
        ("ValueError: Invalid field res.partner.zzz in leaf ('zzz', '=', 1)", C::FieldInvalid, "domain", "model=res.partner field=zzz"),
        (
            "ValueError: <class 'NameError'>: \"name 'zzz' is not defined\" while evaluating\n'zzz.id'",
            C::DatabaseCode,
            "server_action",
            "name=zzz",
        ),
        (
            "odoo.addons.base.models.qweb.QWebException: 'NoneType' object has no attribute 'x'\nTraceback (most recent call last):\n  File \"<template>\", line 1, in template_1\nAttributeError: 'NoneType' object has no attribute 'x'\n\nError to render compiling AST\nAttributeError: 'NoneType' object has no attribute 'x'\nTemplate: sale.doc\nPath: /t/p",
            C::QwebRender,
            "attribute",
            "view=sale.doc name=AttributeError: 'NoneType' object has no attribute 'x'",
        ),
        (
            "odoo.exceptions.ValidationError: The operation cannot be completed:\n- Create/update: a mandatory field is not set.\n- Delete: another model requires the record being deleted.\n\nModel: Currency (res.currency)\nField: Currency (name)\n",
            C::DataConstraint,
            "not_null",
            "model=res.currency field=name",
        ),
        (
            "AssertionError: Cannot commit or rollback a cursor from inside a test, this will lead to a broken cursor",
            C::CursorInTest,
            "commit",
            "method=commit",
        ),
        ("TypeError: 'NoneType' object is not iterable", C::NoneValue, "iteration", "method=go"),
        ("KeyError: product.state(5,)", C::KeyMissing, "record", "model=product.state method=go"),
        (
            "ValueError: Compute method failed to assign product.state(5,).count",
            C::ComputeUnassigned,
            "unassigned",
            "model=product.state field=count",
        ),
        ("RecursionError: maximum recursion depth exceeded", C::Recursion, "calls", "method=go"),
        ("psycopg2.errors.DeadlockDetected: deadlock detected", C::Infrastructure, "deadlock", "name=DeadlockDetected"),
        ("OSError: [Errno 98] Address already in use", C::Infrastructure, "port", "name=OSError"),
    ] {
        let report = raised(exception);
        assert_eq!(
            (report.class, report.subclass.map(Subclass::as_str), named(&report).as_str()),
            (class, Some(sub), object),
            "{exception}"
        );
    }
}

#[test]
fn code_under_test_is_the_place_and_not_the_test() {
    let text = format!(
        "{}ERROR: TestA.test_x\nTraceback (most recent call last):\n  File \"/mnt/extra/shop/tests/test_a.py\", line 9, in test_x\n    order.go()\n  File \"/mnt/extra/shop/models/a.py\", line 3, in go\n    helper(self)\n  File \"/mnt/extra/shop/tests/common.py\", line 4, in helper\n    1 / 0\nZeroDivisionError: division by zero\n",
        head("ERROR", "odoo.addons.shop.tests.test_a")
    );
    assert_eq!(place(&reports(&text)[0]), "shop/models/a.py:3");
}

#[test]
fn owner_of_the_addon_is_told() {
    use crate::domain::Owner;
    for (folder, owner, at) in [
        ("/opt/custom/shop", Owner::Custom, "shop/models/a.py:3"),
        ("/opt/server-tools/auditlog", Owner::Oca, "auditlog/models/a.py:3"),
        ("/opt/venv/lib/python3.12/site-packages/odoo/addons/auditlog", Owner::Oca, "auditlog/models/a.py:3"),
        ("/usr/lib/python3/dist-packages/odoo/addons/sale", Owner::Core, "sale/models/a.py:3"),
        ("/usr/lib/python3.13", Owner::Unknown, "-"),
    ] {
        let report = reports(&plain().replace("/opt/custom/shop", folder)).remove(0);
        assert_eq!((report.owner, place(&report).as_str()), (owner, at), "{folder}");
        assert_eq!(report.is_actionable(), matches!(owner, Owner::Custom | Owner::Oca), "{folder}");
    }
}

#[test]
fn reports_stored_before_there_were_subclasses_still_load() {
    let mut stored = serde_json::to_value(&reports(&plain())[0]).unwrap();
    for new in ["subclass", "owner"] {
        stored.as_object_mut().unwrap().remove(new).unwrap();
    }
    let report: ErrorReport = serde_json::from_value(stored).unwrap();
    assert_eq!((report.class, report.subclass), (C::ExpectedSingleton, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nearly_json_is_read_without_panic(
        parts in proptest::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\n", "\"", "\\", "null", "1e999", "-1", "\"log\"", "\"message\"", "\"MESSAGE\"", "\"short_message\"", "\"full_message\"",
            "\"level\"", "\"levelname\"", "\"exc_info\"", "\"time\"", "\"\\ud800\"", "web-1  | ", "{\"log\": \"ValueError: x\\n\", \"stream\": \"s\"}\n", "é",
        ]), 0..60)
    ) {
        reports(&parts.concat());
    }

    #[test]
    fn any_words_in_json_are_read_without_panic(message in ".{0,80}", trace in "(?s).{0,200}", level in ".{0,8}") {
        reports(&json!({"message": message, "exc_info": trace, "level": level, "name": message}).to_string());
        reports(&json!({"log": trace, "stream": level}).to_string());
    }

    #[test]
    fn any_bare_text_is_read_without_panic(name in "[A-Za-z.]{0,20}", said in "(?s).{0,200}") {
        reports(&format!("{name}Error: {said}"));
        reports(&format!("## {name} => {name}Error: {said}\n    cause: builtins {name} {said}"));
    }
}
