use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn frame<'a>(module: &'a str, odoo_model: &'a str, function: &'a str, code: &'a str, text: &'a str) -> FrameSource<'a> {
    FrameSource {
        text,
        first_line: 10,
        line: 10,
        code: Some(code),
        function,
        module: Some(module).filter(|module| !module.is_empty()),
        odoo_model: Some(odoo_model).filter(|odoo_model| !odoo_model.is_empty()),
        class: Some("Some"),
    }
}

fn names(found: &[Culprit]) -> Vec<&str> {
    found.iter().map(|culprit| culprit.name.as_str()).collect()
}

const NOT_ITERABLE: (&str, &str) = ("TypeError", "'NoneType' object is not iterable");

const RETURN_BOOK: &str = "    def action_return(self, date=None):
        self._check_open()
        fees = self._get_fees(date)
        total = 0
        for fee in fees:
            total += fee
        return total
";

#[test]
fn variable_leads_to_the_call() {
    let found =
        culprits(NOT_ITERABLE.0, NOT_ITERABLE.1, &[frame("library", "library.loan", "action_return", "for fee in fees:", RETURN_BOOK)]);
    assert_eq!(found[0].name, "_get_fees");
    assert_eq!(found[0].receiver, Receiver::OdooModel("library.loan".into()));
    assert!(found.iter().find(|culprit| culprit.name == "_check_open").unwrap().weight < found[0].weight / 2.0);
}

#[test]
fn printed_line_counts_more_than_its_number() {
    let moved = FrameSource { line: 900, ..frame("library", "library.loan", "action_return", "for fee in fees:", RETURN_BOOK) };
    assert_eq!(culprits(NOT_ITERABLE.0, NOT_ITERABLE.1, &[moved])[0].name, "_get_fees");
    let unprinted = FrameSource { line: 14, code: None, ..moved };
    assert_eq!(culprits(NOT_ITERABLE.0, NOT_ITERABLE.1, &[unprinted])[0].name, "_get_fees");
}

#[test]
fn parameter_leads_to_the_caller() {
    let outer = "    def action_close(self):
        rates = self.env['library.rate']._read_rates(self)
        for loan in self:
            loan._apply(loan.name, rates=rates)
";
    let inner = "    def _apply(self, name, rates=None):
        key = name
        return rates[key]
";
    let frames = [
        frame("library", "library.loan", "action_close", "loan._apply(loan.name, rates=rates)", outer),
        frame("library", "library.loan", "_apply", "return rates[key]", inner),
    ];
    let found = culprits("TypeError", "'NoneType' object is not subscriptable", &frames);
    assert_eq!((found[0].name.as_str(), found[0].from_frame), ("_read_rates", 0));
    assert_eq!(found[0].receiver, Receiver::OdooModel("library.rate".into()));
}

#[test]
fn decorator_hands_on_what_it_got() {
    let outer = "    def action_copy(self):
        vals_list = [loan._prepare_copy() for loan in self]
        return self.create(vals_list)
";
    let inner = "    def create(self, vals_list):
        for vals in vals_list:
            vals['name'] = vals.get('name') or '/'
        return super().create(vals_list)
";
    let frames = [
        frame("library", "library.loan", "action_copy", "return self.create(vals_list)", outer),
        frame("", "", "create", "return method(self, vals_list)", ""),
        frame("library", "library.loan", "create", "vals['name'] = vals.get('name') or '/'", inner),
    ];
    let found = culprits("AttributeError", "'NoneType' object has no attribute 'get'", &frames);
    assert_eq!(found[0].name, "_prepare_copy");
}

#[test]
fn context_leads_to_who_put_it_there() {
    let outer = "    def action_plan(self):
        slots = self._get_slots()
        self.with_context(loan_slots=slots)._plan()
";
    let inner = "    def _plan(self):
        self.env.context['loan_slots'][self.id] = True
";
    let frames = [
        frame("library", "library.loan", "action_plan", "self.with_context(loan_slots=slots)._plan()", outer),
        frame("library", "library.loan", "_plan", "self.env.context['loan_slots'][self.id] = True", inner),
    ];
    assert_eq!(culprits("TypeError", "'NoneType' object does not support item assignment", &frames)[0].name, "_get_slots");
}

#[test]
fn empty_column_leads_to_the_values() {
    let outer = "    def action_renew(self):
        self._check_open()
        vals = [loan._prepare_renewal() for loan in self]
        self.env['library.renewal'].create(vals)
";
    let frames = [
        frame("library", "library.loan", "action_renew", "self.env['library.renewal'].create(vals)", outer),
        frame("", "", "create", "return method(self, vals_list)", ""),
        frame("", "", "create", "records = self._create(data_list)", ""),
        frame("", "", "execute", "self._obj.execute(query, params)", ""),
    ];
    let message = "null value in column \"date_due\" of relation \"library_renewal\" violates not-null constraint";
    let text = "def _x(self):\n    return {'name': self.name}\n";
    let definitions = [
        definition("library", "library.loan", "_check_open", text),
        definition("library", "library.loan", "_compute_date_due", text),
        definition("library", "library.loan", "_prepare_renewal", "def _prepare_renewal(self):\n    return {'date_due': self.date}\n"),
    ];
    let found = ranked(("psycopg2.errors.NotNullViolation", message), &frames, &definitions, &BTreeMap::new());
    assert_eq!(found[0].1, "_prepare_renewal");
}

#[test]
fn operator_of_the_framework_leads_to_its_sides() {
    let outer = "    def _get_all(self):
        found = self.browse()
        found |= self._get_other()
        return found
";
    let framework = "    def __or__(self, other):
        return self.union(other)
";
    let frames = [
        frame("library", "library.loan", "_get_all", "found |= self._get_other()", outer),
        frame("", "", "__or__", "return self.union(other)", framework),
        frame("", "", "union", "raise TypeError(f\"unsupported operand types in: {self} | {arg!r}\")", ""),
    ];
    assert_eq!(culprits("TypeError", "unsupported operand types in: library.loan() | None", &frames)[0].name, "_get_other");
}

const UNSEEN: &str = "res['shelf'] = values.get('shelf')";

fn definition<'a>(module: &'a str, odoo_model: &'a str, name: &'a str, text: &'a str) -> Definition<'a> {
    Definition { name, odoo_model: Some(odoo_model), class: Some("Other"), module: Some(module), text }
}

fn addons(frames: &[FrameSource<'_>]) -> Addons {
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let facts = [
        ("base", list(&[]), None),
        ("library", list(&["base"]), None),
        ("library_fee", list(&["library"]), None),
        ("library_fee_tax", list(&["library_fee"]), Some(list(&["library_fee"]))),
        ("library_school", list(&["library"]), None),
    ];
    let facts: Vec<AddonFacts<'_>> =
        facts.iter().map(|(name, depends, auto)| AddonFacts { name, depends, auto_install: auto.as_deref() }).collect();
    Addons::of(frames, &facts)
}

fn ranked<'a>(
    error: (&str, &str),
    frames: &[FrameSource<'_>],
    definitions: &[Definition<'a>],
    lineage: &BTreeMap<String, Vec<String>>,
) -> Vec<(&'a str, &'a str)> {
    let mut found = culprits(error.0, error.1, frames);
    let addons = addons(frames);
    let first = rank(error, &found, definitions, frames, &addons, lineage);
    found.extend(deeper(&first, &found, definitions));
    let all = rank(error, &found, definitions, frames, &addons, lineage);
    all.iter().map(|entry| (definitions[entry.definition].module.unwrap_or_default(), definitions[entry.definition].name)).collect()
}

#[test]
fn last_loaded_override_comes_first() {
    let frames = [frame("library_fee", "library.loan", "action_return", "for fee in fees:", RETURN_BOOK)];
    let (own, extended) =
        ("def _get_fees(self, date):\n    return [1]\n", "def _get_fees(self, date):\n    return super()._get_fees(date)\n");
    let definitions = [
        definition("library", "library.loan", "_get_fees", own),
        definition("library_school", "library.loan", "_get_fees", extended),
        definition("library_fee_tax", "library.loan", "_get_fees", extended),
        definition("library", "library.card", "_get_fees", own),
    ];
    let found = ranked(NOT_ITERABLE, &frames, &definitions, &BTreeMap::new());
    assert_eq!(found[0].0, "library_fee_tax");
    assert_eq!(found[1].0, "library");
    assert_eq!(found.len(), 4);
}

#[test]
fn unseen_override_blames_those_below_it() {
    let frames = [
        frame(
            "library",
            "library.loan",
            "action_plan",
            "vals = self._prepare_vals()",
            "def action_plan(self):\n    vals = self._prepare_vals()\n",
        ),
        frame("library_fee", "", "_prepare_vals", UNSEEN, ""),
    ];
    let text = "def _prepare_vals(self):\n    return {}\n";
    let definitions = [
        definition("library", "library.loan", "_prepare_vals", text),
        definition("library_fee_tax", "library.loan", "_prepare_vals", text),
        definition("library", "library.loan", "_get_shelf", "def _get_shelf(self):\n    return 1\n"),
    ];
    let found = ranked(("TypeError", "'NoneType' object does not support item assignment"), &frames, &definitions, &BTreeMap::new());
    assert_eq!(found[0], ("library", "_prepare_vals"));
}

#[test]
fn returned_call_is_looked_into() {
    let frames = [frame("library", "library.loan", "action_return", "for fee in fees:", RETURN_BOOK)];
    let definitions = [
        definition("library", "library.loan", "_check_open", "def _check_open(self):\n    pass\n"),
        definition(
            "library",
            "library.loan",
            "_get_fees",
            "def _get_fees(self, date):\n    fees = self._get_base_fees()\n    return fees\n",
        ),
        definition("library", "library.loan", "_get_base_fees", "def _get_base_fees(self):\n    return [1]\n"),
    ];
    let found = ranked(NOT_ITERABLE, &frames, &definitions, &BTreeMap::new());
    assert_eq!(found[..2], [("library", "_get_fees"), ("library", "_get_base_fees")]);
}

#[test]
fn mixin_counts_as_the_one_that_inherits_it() {
    let frames = [frame("library", "library.loan", "action_return", "for fee in fees:", RETURN_BOOK)];
    let text = "def _get_fees(self, date):\n    return [1]\n";
    let definitions = [definition("library", "library.card", "_get_fees", text), definition("library", "library.mixin", "_get_fees", text)];
    let lineage = BTreeMap::from([("library.loan".to_owned(), vec!["library.mixin".to_owned()])]);
    let mut culprits = culprits(NOT_ITERABLE.0, NOT_ITERABLE.1, &frames);
    culprits.truncate(1);
    let found = rank(NOT_ITERABLE, &culprits, &definitions, &frames, &addons(&frames), &lineage);
    assert_eq!(found[0].definition, 1);
    assert!(found[0].score > found[1].score * 2.0);
}

#[test]
fn what_the_traceback_shows_is_left_out() {
    let frames = [FrameSource {
        class: Some("Other"),
        ..frame(
            "library",
            "library.loan",
            "_get_fees",
            "for fee in fees:",
            "def _get_fees(self):\n    fees = super()._get_fees()\n    for fee in fees:\n        pass\n",
        )
    }];
    let definitions = [definition("library", "library.loan", "_get_fees", "def _get_fees(self):\n    return 1\n")];
    assert!(ranked(NOT_ITERABLE, &frames, &definitions, &BTreeMap::new()).is_empty());
}

#[test]
fn without_frames_the_missing_method_tells_the_odoo_model() {
    let create = "def create(self, vals_list):\n    return super().create(vals_list)\n";
    let definitions = [
        definition("library", "library.card", "create", create),
        definition("library", "library.loan", "create", create),
        definition("library", "library.loan", "action_return", RETURN_BOOK),
    ];
    let found = ranked(("AttributeError", "'NoneType' object has no attribute 'action_return'"), &[], &definitions, &BTreeMap::new());
    assert_eq!(found[0], ("library", "create"));
    let first = rank(
        ("AttributeError", "'NoneType' object has no attribute 'action_return'"),
        &culprits("AttributeError", "'NoneType' object has no attribute 'action_return'", &[]),
        &definitions,
        &[],
        &Addons::default(),
        &BTreeMap::new(),
    );
    assert_eq!(first[0].definition, 1);
}

#[test]
fn hostile_sources_end() {
    let nested = format!("def f(self):\n    x = {}1{}\n    for y in x:\n        pass\n", "(".repeat(3_000), ")".repeat(3_000));
    let calls = format!("def f(self):\n    x = {}\n    for y in x:\n        pass\n", "g(".repeat(2_000));
    let circle = format!("def f(self):\n{}    for y in x:\n        pass\n", "    x = x + y\n    y = x.z(y, x)\n".repeat(2_000));
    for text in [&nested, &calls, &circle] {
        let frames = vec![frame("library", "library.loan", "f", "for y in x:", text); 30];
        let found = culprits(NOT_ITERABLE.0, NOT_ITERABLE.1, &frames);
        assert!(found.len() <= CULPRITS_MAX);
    }
    let huge = format!("def f(self):\n{}", "    x = g()\n".repeat(100_000));
    assert!(
        names(&culprits(NOT_ITERABLE.0, NOT_ITERABLE.1, &[frame("library", "library.loan", "f", "for y in h():", &huge)])).contains(&"h")
    );
}

proptest! {
    #[test]
    fn never_panics(text in ".{0,300}", code in ".{0,80}", function in "[a-z_]{0,8}", exception in ".{0,30}", message in ".{0,120}", line in any::<u32>(), first in any::<u32>()) {
        let frame = FrameSource { text: &text, first_line: first, line, code: Some(&code), function: &function, module: Some("m"), odoo_model: Some("m.m"), class: None };
        let frames = [frame, FrameSource { text: "", ..frame }];
        let found = culprits(&exception, &message, &frames);
        let definitions = [Definition { name: "f", odoo_model: None, class: None, module: None, text: &text }];
        let _ = rank((&exception, &message), &found, &definitions, &frames, &Addons::default(), &BTreeMap::new());
    }

    #[test]
    fn never_panics_on_pieces_of_python(pieces in prop::collection::vec(prop::sample::select(vec!["def f(self, x):", "\n    ", "for x in ", "y", " = ", "self.g(", ")", "[", "]", "lambda x: ", "x", ".", "super()", "'k'", "{", "}", ":", ",", " if ", " else ", "*", "yield ", "with a as b:", "é"]), 0..60)) {
        let text = pieces.concat();
        for message in ["'NoneType' object is not iterable", "cannot unpack non-iterable NoneType object", "'k'", "unsupported operand type(s) for *: 'NoneType' and 'int'"] {
            let frame = FrameSource { text: &text, first_line: 1, line: 2, code: None, function: "f", module: None, odoo_model: None, class: None };
            let unseen = FrameSource { text: "", code: Some(&text), ..frame };
            let _ = culprits("TypeError", message, &[unseen, frame, unseen]);
        }
    }
}
