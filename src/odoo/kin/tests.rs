use proptest::prelude::*;

use super::super::reports;
use super::*;

/// A frame: file, function, source line.
type At = (&'static str, &'static str, &'static str);

const HTTP: At = ("/opt/odoo/odoo/http.py", "_serve_db", "return self._transactioning()");
const CRON: At = ("/opt/odoo/addons/base/models/ir_cron.py", "_callback", "self.env[model].run(self.code)");
const ROUTE: At = ("/opt/custom/shop/controllers/main.py", "order", "return request.env['shop.order'].confirm()");
const WIZARD: At = ("/opt/custom/shop/wizard/confirm.py", "run", "self.order_ids.confirm()");
const CONFIRM: At = ("/opt/custom/shop/models/order.py", "confirm", "self._check_stock(values['qty'])");
const CANCEL: At = ("/opt/custom/shop/models/order.py", "cancel", "self._check_stock(values['qty'])");
const CORE_WRITE: At = ("/opt/odoo/odoo/models.py", "write", "field.write(self, value)");
const CORE_CREATE: At = ("/opt/odoo/odoo/models.py", "create", "field.write(self, value)");
const SAYS: At = ("/opt/custom/shop/models/order.py", "_check", "raise UserError(_('There is nothing in stock'))");
const SAYS_OTHER: At = ("/opt/custom/shop/models/order.py", "_check", "raise UserError(_('There is too much in stock'))");
const SAYS_LONG: At = ("/opt/custom/shop/models/order.py", "_check", "raise UserError(");
const SAYS_VALUE: At = ("/opt/custom/shop/models/order.py", "_check", "raise UserError(_('%s is not in stock', name))");
const SAYS_MESSAGE: At = ("/opt/custom/shop/models/order.py", "_check", "raise UserError(message)");

/// The one error of a log that holds this traceback.
fn error(frames: &[At], last: &str) -> ErrorReport {
    let mut log =
        "2026-11-22 18:58:03,295 56 ERROR live odoo.http: Exception during request handling.\nTraceback (most recent call last):\n"
            .to_owned();
    for (line, (file, function, source)) in frames.iter().enumerate() {
        log.push_str(&format!("  File \"{file}\", line {}, in {function}\n    {source}\n", line + 7));
    }
    log.push_str(last);
    log.push('\n');
    let mut all = reports(&log);
    assert_eq!(all.len(), 1, "{log}");
    all.remove(0)
}

fn same(one: &ErrorReport, other: &ErrorReport) -> bool {
    matches!((kin(one), kin(other)), (Some(one), Some(other)) if one == other)
}

type Pair = (&'static [At], &'static str, &'static [At], &'static str);

/// Errors with two fingerprints that are one.
const SAME: &[Pair] = &[
    // Another way in.
    (&[HTTP, ROUTE, CONFIRM], "KeyError: 'qty'", &[CRON, CONFIRM], "KeyError: 'qty'"),
    (&[HTTP, ROUTE, CONFIRM], "KeyError: 'qty'", &[HTTP, WIZARD, CONFIRM], "KeyError: 'qty'"),
    (&[WIZARD, CONFIRM], "TypeError: unsupported operand", &[CRON, CONFIRM], "TypeError: unsupported operand"),
    (&[WIZARD, CONFIRM, CORE_WRITE], "ValueError: too long", &[CONFIRM, CORE_WRITE], "ValueError: too long"),
    (&[ROUTE, CONFIRM], "ZeroDivisionError: division by zero", &[WIZARD, CONFIRM], "ZeroDivisionError: division by zero"),
    (
        &[ROUTE, CONFIRM],
        "AttributeError: 'res.partner' object has no attribute 'name_get'",
        &[WIZARD, CONFIRM],
        "AttributeError: 'res.partner' object has no attribute 'name_get'",
    ),
    (&[ROUTE, CONFIRM], "NameError: name 'fields' is not defined", &[CONFIRM], "NameError: name 'fields' is not defined"),
    // Another way in and other values.
    (
        &[ROUTE, CONFIRM],
        "ValueError: Expected singleton: res.partner(6, 7)",
        &[CONFIRM],
        "ValueError: Expected singleton: res.partner(1, 2, 3)",
    ),
    (
        &[ROUTE, SAYS_MESSAGE],
        "odoo.exceptions.UserError: Order 17 weighs 3,5 kg",
        &[SAYS_MESSAGE],
        "odoo.exceptions.UserError: Order 4 weighs 12 kg",
    ),
    (&[ROUTE, CONFIRM], "ValueError: nothing on 2026-01-02 10:00:00", &[CONFIRM], "ValueError: nothing on 2025-11-30"),
    (&[ROUTE, CONFIRM], "ValueError: S00042 has no lines", &[CONFIRM], "ValueError: S00107 has no lines"),
    (&[ROUTE, CONFIRM], "ValueError: INV/2026/00042 is posted", &[CONFIRM], "ValueError: INV/2025/00007 is posted"),
    (&[ROUTE, CONFIRM], "ValueError: no mail for a@b.com", &[CONFIRM], "ValueError: no mail for someone.else@example.org"),
    (
        &[ROUTE, CONFIRM],
        "ValueError: no token 123e4567-e89b-12d3-a456-426614174000",
        &[CONFIRM],
        "ValueError: no token 00000000-e89b-12d3-a456-4266141740ff",
    ),
    (&[ROUTE, CONFIRM], "ValueError: <obj at 0x7f0011> is closed", &[CONFIRM], "ValueError: <obj at 0x7fffaa> is closed"),
    (&[ROUTE, CONFIRM], "ValueError: /srv/a/b/rates.csv is empty", &[CONFIRM], "ValueError: /opt/x/y/z/rates.csv is empty"),
    (&[ROUTE, CONFIRM], "ValueError: rows 1, 2, 3 are bad", &[CONFIRM], "ValueError: rows 4, 5 are bad"),
    // Another language.
    (&[ROUTE, SAYS], "odoo.exceptions.UserError: There is nothing in stock", &[ROUTE, SAYS], "odoo.exceptions.UserError: No queda nada"),
    (
        &[ROUTE, SAYS],
        "odoo.exceptions.UserError: There is nothing in stock",
        &[WIZARD, SAYS],
        "odoo.exceptions.UserError: Nichts auf Lager",
    ),
    (&[ROUTE, SAYS], "odoo.exceptions.UserError: Rien en stock", &[WIZARD, SAYS], "odoo.exceptions.UserError: Nichts auf Lager"),
];

/// Errors that look alike and are two.
const ANOTHER: &[Pair] = &[
    // Another class, exception, model, field, method, module, function, file.
    (&[ROUTE, CONFIRM], "KeyError: 'qty'", &[CRON, CONFIRM], "ValueError: 'qty'"),
    (&[ROUTE, CONFIRM], "KeyError: 'qty'", &[CRON, CONFIRM], "KeyError: 'price'"),
    (&[ROUTE, CONFIRM], "KeyError: 'qty'", &[ROUTE, CANCEL], "KeyError: 'qty'"),
    (
        &[ROUTE, CONFIRM],
        "ValueError: Invalid field 'a' in 'res.partner'",
        &[WIZARD, CONFIRM],
        "ValueError: Invalid field 'b' in 'res.partner'",
    ),
    (
        &[ROUTE, CONFIRM],
        "ValueError: Invalid field 'a' in 'res.partner'",
        &[WIZARD, CONFIRM],
        "ValueError: Invalid field 'a' in 'res.users'",
    ),
    (
        &[ROUTE, CONFIRM],
        "ValueError: Invalid field 'x_1' in 'res.partner'",
        &[WIZARD, CONFIRM],
        "ValueError: Invalid field 'x_2' in 'res.partner'",
    ),
    (
        &[ROUTE, CONFIRM],
        "AttributeError: 'res.partner' object has no attribute 'a'",
        &[WIZARD, CONFIRM],
        "AttributeError: 'res.partner' object has no attribute 'b'",
    ),
    (
        &[ROUTE, CONFIRM],
        "ValueError: External ID not found in the system: sale.a",
        &[WIZARD, CONFIRM],
        "ValueError: External ID not found in the system: sale.b",
    ),
    (
        &[ROUTE, CONFIRM],
        "TypeError: f() got an unexpected keyword argument 'a'",
        &[CONFIRM],
        "TypeError: f() got an unexpected keyword argument 'b'",
    ),
    (&[ROUTE, CONFIRM], "ValueError: Expected singleton: res.partner(6, 7)", &[CONFIRM], "ValueError: Expected singleton: res.users(6, 7)"),
    (&[ROUTE, CONFIRM], "ValueError: Expected singleton: res.partner(6, 7)", &[CONFIRM], "ValueError: Expected singleton: res.partner()"),
    (
        &[ROUTE, CONFIRM],
        "KeyError: 'qty'",
        &[ROUTE, ("/opt/custom/stock_x/models/order.py", "confirm", "self._check_stock(values['qty'])")],
        "KeyError: 'qty'",
    ),
    (
        &[ROUTE, CONFIRM],
        "KeyError: 'qty'",
        &[ROUTE, ("/opt/custom/shop/models/line.py", "confirm", "self._check_stock(values['qty'])")],
        "KeyError: 'qty'",
    ),
    // Another statement of the same function, another call into Odoo.
    (&[ROUTE, CONFIRM], "KeyError: 'qty'", &[WIZARD, (CONFIRM.0, CONFIRM.1, "self._log(totals['qty'])")], "KeyError: 'qty'"),
    (&[ROUTE, CONFIRM, CORE_WRITE], "ValueError: too long", &[WIZARD, CONFIRM, CORE_CREATE], "ValueError: too long"),
    // Another thing is said: another name, quoted or not, another code, file or host, the contrary.
    (
        &[ROUTE, SAYS],
        "odoo.exceptions.UserError: There is nothing in stock",
        &[ROUTE, SAYS_OTHER],
        "odoo.exceptions.UserError: There is too much in stock",
    ),
    (&[ROUTE, SAYS_LONG], "odoo.exceptions.UserError: No VAT", &[WIZARD, SAYS_LONG], "odoo.exceptions.UserError: No address"),
    (&[ROUTE, SAYS_MESSAGE], "odoo.exceptions.UserError: No VAT", &[WIZARD, SAYS_MESSAGE], "odoo.exceptions.UserError: No address"),
    (
        &[ROUTE, SAYS_MESSAGE],
        "odoo.exceptions.UserError: Order 5 may be shipped",
        &[WIZARD, SAYS_MESSAGE],
        "odoo.exceptions.UserError: Order 5 may not be shipped",
    ),
    (
        &[ROUTE, SAYS_VALUE],
        "odoo.exceptions.UserError: Delivery Date is not in stock",
        &[WIZARD, SAYS_VALUE],
        "odoo.exceptions.UserError: Order Date is not in stock",
    ),
    (
        &[ROUTE, SAYS_MESSAGE],
        "odoo.exceptions.UserError: Set the field 'Delivery Date'",
        &[WIZARD, SAYS_MESSAGE],
        "odoo.exceptions.UserError: Set the field 'Order Date'",
    ),
    (&[ROUTE, CONFIRM], "ValueError: line_1 is bad", &[WIZARD, CONFIRM], "ValueError: line_2 is bad"),
    (&[ROUTE, CONFIRM], "ValueError: the gateway said status 401", &[WIZARD, CONFIRM], "ValueError: the gateway said status 503"),
    (&[ROUTE, CONFIRM], "ValueError: ORA-00942", &[WIZARD, CONFIRM], "ValueError: ORA-01017"),
    (&[ROUTE, CONFIRM], "ValueError: /srv/a/rates.csv is empty", &[WIZARD, CONFIRM], "ValueError: /srv/a/taxes.csv is empty"),
    (&[ROUTE, CONFIRM], "ValueError: cannot reach a.example.com", &[WIZARD, CONFIRM], "ValueError: cannot reach b.example.com"),
    // Nothing in custom code holds it in place.
    (&[HTTP, CORE_WRITE], "ValueError: too long", &[CRON, CORE_WRITE], "ValueError: too long"),
    // Nobody can see that the two languages say the same.
    (
        &[ROUTE, SAYS_LONG],
        "odoo.exceptions.UserError: There is nothing in stock",
        &[WIZARD, SAYS_LONG],
        "odoo.exceptions.UserError: No queda nada",
    ),
];

#[test]
fn near_duplicates_are_one() {
    for (frames, last, other_frames, other_last) in SAME {
        let (one, other) = (error(frames, last), error(other_frames, other_last));
        assert_ne!(one.fingerprint, other.fingerprint, "{last} needs no kinship");
        assert!(same(&one, &other), "{frames:?} {last}\n{other_frames:?} {other_last}\n{one:#?}\n{other:#?}");
    }
}

#[test]
fn look_alikes_are_two() {
    for (frames, last, other_frames, other_last) in ANOTHER {
        let (one, other) = (error(frames, last), error(other_frames, other_last));
        assert!(!same(&one, &other), "{frames:?} {last}\n{other_frames:?} {other_last}");
    }
}

#[test]
fn every_named_part_keeps_errors_apart() {
    let one = error(&[ROUTE, CONFIRM], "ValueError: Invalid field 'a' in 'res.partner'");
    let changes: [fn(&mut ErrorReport); 9] = [
        |report| report.class = crate::domain::ErrorClass::Other,
        |report| report.module = "other".parse().ok(),
        |report| report.object.model = Some("x".to_owned()),
        |report| report.object.field = None,
        |report| report.object.method = Some("x".to_owned()),
        |report| report.object.view = Some("x".to_owned()),
        |report| report.object.xmlid = Some("x".to_owned()),
        |report| report.object.name = Some("x".to_owned()),
        |report| report.location = None,
    ];
    for (n, change) in changes.iter().enumerate() {
        let mut other = one.clone();
        change(&mut other);
        assert!(!same(&one, &other), "change {n}");
    }
    assert!(same(&one, &one.clone()));
}

#[test]
fn machine_does_not_count() {
    let there = ("/srv/live/addons/shop/models/order.py", CONFIRM.1, CONFIRM.2);
    let core = ("/usr/lib/python3/dist-packages/odoo/models.py", CORE_WRITE.1, CORE_WRITE.2);
    assert!(same(&error(&[CONFIRM, CORE_WRITE], "ValueError: too long"), &error(&[there, core], "ValueError: too long")));
}

#[test]
fn another_cause_is_another_error() {
    let mut one = error(&[ROUTE, CONFIRM], "KeyError: 'qty'");
    let other = one.clone();
    one.chain.insert(0, Raised { exception: "ValueError".to_owned(), message: String::new(), frames: Vec::new() });
    assert!(!same(&one, &other));
}

proptest! {
    #[test]
    fn any_text_has_a_template(message: String, source: String) {
        let once = template(&message);
        prop_assert!(once.len() <= 3 * message.len() + 8);
        let frame = Frame { file: message.clone(), line: 0, function: source.clone(), source };
        let mut report = error(&[CONFIRM], "KeyError: 'qty'");
        report.chain.push(Raised { exception: message.clone(), message, frames: vec![frame] });
        prop_assert_eq!(kin(&report), kin(&report.clone()));
    }
}
