use super::super::{Chunk, FileChunks, Kind, Source, Zone, cut};

const CODE: &str = r#"# Copyright
"""About the shop."""
import logging
from odoo import _, api, fields, models

_logger = logging.getLogger(__name__)


class Order(models.Model):
    """An order."""
    _name = "shop.order"
    _description = "Shop Order"
    _inherit = ["mail.thread"]
    _inherits = {"res.partner": "partner_id"}
    _table = "shop_orders"

    state = fields.Selection([("draft", "Draft"), ("done", "Done")], required=True)
    partner_id = fields.Many2one("res.partner", "Customer", help="Who pays.")

    _sql_constraints = [("name_uniq", "unique(name)", "The name is taken already.")]

    # before the method
    @api.depends("state")
    def _compute_total(self):
        """Sum it up. And more."""
        # walk the lines
        for line in self:
            if not line.state:
                raise UserError(_("No state for %s", line.name))
            line._get_price(qty=1)
        return super()._compute_total()

    total = fields.Float(compute="_compute_total")

    def _get_price(self, qty):
        if qty:
            return qty
        def inner():
            return 5


class Extension(models.Model):
    _inherit = "res.partner"

    def go(self):
        raise ValueError("no way to go " f"there: {self.name}")


LIMIT = 5


def helper(a, b=LIMIT):
    if a:
        return 1
    else:
        return 2
"#;

fn of(text: &str) -> FileChunks {
    cut(&Source { module: Some("shop"), path: "shop/models/order.py", text })
}

fn zone(chunk: &Chunk, name: Zone) -> &str {
    chunk.zones.iter().find(|(zone, _)| *zone == name).map(|(_, text)| text.as_str()).unwrap_or_default()
}

#[test]
fn pieces_follow_the_code() {
    let found = of(CODE);
    let pieces: Vec<_> =
        found.chunks.iter().map(|chunk| (chunk.kind.as_str(), chunk.symbol.as_str(), chunk.start_line, chunk.end_line)).collect();
    assert_eq!(
        pieces,
        [
            ("class", "Order", 9, 20),
            ("message", "Order", 9, 20),
            ("method", "Order._compute_total", 23, 31),
            ("message", "Order._compute_total", 23, 31),
            ("class", "Order", 33, 33),
            ("method", "Order._get_price", 35, 39),
            ("class", "Extension", 42, 43),
            ("method", "Extension.go", 45, 46),
            ("message", "Extension.go", 45, 46),
            ("function", "<module>", 49, 49),
            ("function", "helper", 52, 56),
        ]
    );
    assert!(found.trouble.is_none());
}

#[test]
fn words_stand_in_their_zones() {
    let found = of(CODE);
    let method = &found.chunks[2];
    assert_eq!((zone(method, Zone::Name), zone(method, Zone::Owner)), ("_compute_total", "shop.order Order"));
    assert_eq!(zone(method, Zone::Prose), "Sum it up. And more.\nNo state for %s\nwalk the lines");
    assert!(zone(method, Zone::Members).contains("_get_price") && zone(method, Zone::Members).contains("api.depends"));
    let body = zone(method, Zone::Body);
    assert!(body.contains("for line in self") && !body.contains("Sum it up") && !body.contains("walk"));
    assert_eq!(
        method.card.as_deref(),
        Some("compute total of shop order in shop: Sum it up, get price compute total, state. No state for %s")
    );
    let class = &found.chunks[0];
    assert!(zone(class, Zone::Members).contains("Customer") && zone(class, Zone::Prose).contains("Who pays."));
    let card: Vec<&str> = class.card.iter().flat_map(|card| card.lines()).collect();
    assert_eq!(card[0], "shop: shop order; Shop Order; state Customer");
    let fields = ["field state Selection of shop order, shop", "Customer. field partner id Many2one of shop order, shop. Who pays"];
    assert_eq!(card[1..], fields);
}

#[test]
fn messages_lead_to_their_method() {
    let found = of(CODE);
    let messages: Vec<_> = found.chunks.iter().filter(|chunk| chunk.kind == Kind::Message).map(|chunk| chunk.text.as_str()).collect();
    assert_eq!(messages, ["The name is taken already.", "No state for %s", "no way to go there: {self.name}"]);
}

#[test]
fn literals_are_found_in_every_form() {
    let of = |call: &str| {
        let found = of(&format!("class A(models.Model):\n    def go(self):\n        {call}\n"));
        found.chunks.into_iter().filter(|chunk| chunk.kind == Kind::Message).map(|chunk| chunk.text).collect::<Vec<_>>()
    };
    assert_eq!(of(r#"raise UserError("It's " "over\n%s" % x)"#), ["It's over\n%s"]);
    assert_eq!(of(r#"raise exceptions.ValidationError("a {}".format(x))"#), ["a {}"]);
    assert_eq!(of(r#"raise UserError(self.env._("name %(name)s", name=1))"#), ["name %(name)s"]);
    assert_eq!(of(r#"x = _("yes") if a else _lt("no")"#), ["yes", "no"]);
    assert_eq!(of(r#"raise UserError("one" if a else "two")"#), ["one", "two"]);
    assert_eq!(of(r#"raise UserError("for " + name + "!")"#), ["for %s!"]);
    assert_eq!(of(r#"raise KeyError("too short")"#), Vec::<String>::new());
    assert_eq!(of(r#"_logger.info("not for people")"#), Vec::<String>::new());
}

#[test]
fn symbols_say_who_defines_what() {
    let found = of(CODE);
    let symbols: Vec<_> = found
        .symbols
        .iter()
        .map(|symbol| {
            let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
            format!("{} {} {} {} {}", symbol.line, symbol.kind, text(&symbol.odoo_model), symbol.name, text(&symbol.target))
        })
        .collect();
    assert_eq!(
        symbols,
        [
            "9 class shop.order Order -",
            "9 inherit shop.order Order mail.thread",
            "9 delegate shop.order partner_id res.partner",
            "17 field shop.order state -",
            "18 field shop.order partner_id res.partner",
            "24 method shop.order _compute_total -",
            "33 field shop.order total -",
            "35 method shop.order _get_price -",
            "42 class res.partner Extension -",
            "45 method res.partner go -",
            "52 function - helper -",
        ]
    );
    let detail = |place: usize| found.symbols[place].detail.clone().unwrap();
    assert_eq!((detail(0)["defines"].clone(), detail(0)["table"].clone()), (true.into(), "shop_orders".into()));
    assert_eq!(detail(3), serde_json::json!({ "kind": "Selection", "required": true, "selection": ["draft", "done"] }));
    assert_eq!((detail(5)["super"].clone(), detail(5)["returns"].clone()), (true.into(), "value".into()));
    assert_eq!((detail(7)["super"].clone(), detail(7)["returns"].clone()), (false.into(), "mixed".into()));
    assert_eq!((detail(8)["defines"].clone(), detail(9)["returns"].clone()), (false.into(), "none".into()));
}

#[test]
fn long_run_of_fields_is_split() {
    let fields: String = (0..400).map(|number| format!("    f{number} = fields.Char()\n")).collect();
    let found = of(&format!("class A(models.Model):\n    _name = 'a.a'\n{fields}"));
    let pieces: Vec<_> = found.chunks.iter().map(|chunk| (chunk.start_line, chunk.end_line)).collect();
    assert_eq!(pieces, [(1, 150), (151, 300), (301, 402)]);
    assert_eq!(found.symbols.iter().filter(|symbol| symbol.kind == "field").count(), 400);
}

#[test]
fn broken_python_gives_what_can_be_read() {
    let found =
        of("class A(models.Model):\n    _name = 'a'\n    def go(self):\n        return 1\n\nx = = (\n\ndef late():\n    return 2\n");
    assert!(found.chunks.iter().any(|chunk| chunk.symbol == "A.go") && found.trouble.is_some());
}

#[test]
fn garbage_is_survived() {
    for text in [
        "(".repeat(100_000),
        "if x:\n".to_owned() + &" ".repeat(4) + "pass",
        "class A:\n".to_owned(),
        "def f(".to_owned(),
        format!("x = {}1{}", "[".repeat(50_000), "]".repeat(50_000)),
        format!("raise UserError({}'a'{})", "(".repeat(5_000), ")".repeat(5_000)),
        "a\0b".to_owned(),
        "x".repeat(5_000_000),
        (0..200).map(|depth| format!("{}class A:\n", " ".repeat(depth))).collect(),
    ] {
        assert!(of(&text).chunks.len() <= 3);
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_survived(text in "(?s)[class def:()\\[\\]'\"=._@#\n xf%+{}\u{e9}\\\\]{0,80}") {
        let _ = of(&text);
    }
}
