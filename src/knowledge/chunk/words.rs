//! The words of an addon that stand in its other files: what it brings.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{FileChunks, Symbol};

/// The most characters of all of it.
const MAX_WORDS: usize = 3_000;

/// What the files of an addon bring, by name, the most telling first: Odoo models, menus and actions, groups, fields with their labels,
/// methods, views.
pub fn module_words(files: &[(&str, &FileChunks)]) -> String {
    let symbols = || files.iter().flat_map(|(_, file)| &file.symbols);
    let of = |kind: &'static str| symbols().filter(move |symbol| symbol.kind == kind);
    let mut words = Words::default();
    let defines = |symbol: &&Symbol| flag(symbol, "defines");
    for symbol in of("class").filter(defines) {
        words.add(symbol.odoo_model.as_deref());
        words.add(text(symbol, "description"));
    }
    for symbol in of("class").filter(|symbol| !flag(symbol, "defines")) {
        words.add(symbol.odoo_model.as_deref());
    }
    words.limit(MAX_WORDS / 3);
    let record = |kinds: &'static [&'static str]| {
        of("record").filter(move |symbol| symbol.odoo_model.as_deref().is_some_and(|of| kinds.contains(&of)))
    };
    for symbol in record(&["ir.ui.menu", "ir.actions.act_window", "ir.actions.report", "res.groups", "ir.cron"]) {
        words.add(text(symbol, "label"));
    }
    words.limit(MAX_WORDS / 2);
    for symbol in of("field") {
        words.add(text(symbol, "label"));
        words.add(Some(&symbol.name));
    }
    words.limit(MAX_WORDS * 3 / 4);
    for symbol in of("method").filter(|symbol| symbol.odoo_model.is_some()).chain(of("function")) {
        words.add(Some(symbol.name.trim_matches('_')));
    }
    words.limit(MAX_WORDS);
    for symbol in of("view").chain(of("template")) {
        words.add(symbol.name.rsplit('.').next());
    }
    words.limit(MAX_WORDS);
    words.text
}

#[derive(Default)]
struct Words {
    seen: BTreeSet<String>,
    text: String,
}

impl Words {
    fn add(&mut self, word: Option<&str>) {
        let Some(word) = word.map(str::trim).filter(|word| !word.is_empty()) else { return };
        if self.text.len() < MAX_WORDS && self.seen.insert(word.to_lowercase()) {
            if !self.text.is_empty() {
                self.text.push('\n');
            }
            self.text.push_str(word);
        }
    }

    /// What has been added so far may be so long: no sort of name crowds out all others.
    fn limit(&mut self, most: usize) {
        if self.text.len() > most {
            let end = self.text.floor_char_boundary(most);
            self.text.truncate(self.text[..end].rfind('\n').unwrap_or(end));
        }
    }
}

fn flag(symbol: &Symbol, key: &str) -> bool {
    symbol.detail.as_ref().and_then(|detail| detail.get(key)).and_then(Value::as_bool).unwrap_or_default()
}

fn text<'s>(symbol: &'s Symbol, key: &str) -> Option<&'s str> {
    symbol.detail.as_ref()?.get(key)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::super::{Source, cut};
    use super::*;

    fn file(path: &str, text: &str) -> FileChunks {
        cut(&Source { module: Some("shop"), path, text })
    }

    #[test]
    fn names_come_most_telling_first() {
        let python = file(
            "shop/models/a.py",
            "class Order(models.Model):\n    _name = 'shop.order'\n    _description = 'Shop Order'\n    pickup_id = fields.Many2one('x.y', 'Pickup Point')\n\n    \
             def _get_slots(self):\n        pass\n\nclass Partner(models.Model):\n    _inherit = 'res.partner'\n",
        );
        let data =
            file("shop/views/a.xml", "<odoo><menuitem id='m' name='Shop Orders'/><record id='order_form' model='ir.ui.view'/></odoo>");
        let words = module_words(&[("a.xml", &data), ("a.py", &python)]);
        let expected = "shop.order\nShop Order\nres.partner\nShop Orders\nPickup Point\npickup_id\nget_slots\norder_form";
        assert_eq!(words, expected);
    }

    #[test]
    fn words_have_a_limit() {
        let fields: String = (0..2_000).map(|number| format!("    field_number_{number} = fields.Char()\n")).collect();
        let python =
            file("shop/models/a.py", &format!("class A(models.Model):\n    _name = 'a.a'\n{fields}\n    def go(self):\n        pass\n"));
        let words = module_words(&[("a.py", &python)]);
        assert!(words.len() <= MAX_WORDS && words.starts_with("a.a\n") && words.ends_with("\ngo"));
    }
}
