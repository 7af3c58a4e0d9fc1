//! Translations of what the code says to people. There are hundreds of megabytes of them and only some are of use, so what is not is passed
//! over without a look inside.

use super::lines::{number, short};
use super::{Chunk, FileChunks, Kind, Source, Zone, context};

/// The most bytes of a file of translations.
pub(super) const MAX_BYTES: usize = 16 * 1024 * 1024;
/// The most bytes of one text.
const MAX_MESSAGE: usize = 4_000;

/// One entry, as far as it has been read.
#[derive(Default)]
struct Entry {
    first: u32,
    last: u32,
    /// Whether code shows it.
    wanted: bool,
    /// Whether it is one that nobody confirmed, or one with several forms.
    doubtful: bool,
    part: Part,
    id: String,
    text: String,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Part {
    #[default]
    Before,
    Id,
    Text,
    Other,
}

/// Cuts a `.po` file up.
pub(super) fn cut(source: &Source<'_>, found: &mut FileChunks) {
    let name = source.path.rsplit('/').next().unwrap_or_default();
    let lang = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let mut entry = Entry::default();
    for (place, line) in source.text.split('\n').enumerate() {
        let line = line.trim_end_matches('\r');
        let at = number(place + 1);
        // An entry ends with an empty line, or where the next begins without one.
        let begins = line.starts_with('#') || line.starts_with("msgid ") || line.starts_with("msgctxt ");
        if line.is_empty() || (entry.part == Part::Text && begins) {
            std::mem::take(&mut entry).finish(source, lang, found);
        }
        if !line.is_empty() {
            if entry.first == 0 {
                entry.first = at;
            }
            entry.last = at;
            entry.line(line);
        }
    }
    entry.finish(source, lang, found);
}

impl Entry {
    fn line(&mut self, line: &str) {
        match line.as_bytes() {
            [b'#', kind, ..] => match kind {
                b'.' => self.wanted |= line.contains("odoo-python"),
                b':' => self.wanted |= (line.contains("code:") && line.contains(".py")) || line.contains("ir.model.constraint,message:"),
                b',' => self.doubtful |= line.contains("fuzzy"),
                b'~' => self.doubtful = true,
                _ => {}
            },
            _ if !self.wanted || self.doubtful => self.part = if line.starts_with("msgstr") { Part::Text } else { self.part },
            [b'"', ..] => self.more(line),
            _ => {
                let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
                self.part = match key {
                    "msgid" => Part::Id,
                    "msgstr" => Part::Text,
                    _ => Part::Other,
                };
                self.doubtful |= matches!(key, "msgid_plural");
                self.more(rest);
            }
        }
    }

    fn more(&mut self, quoted: &str) {
        let text = match self.part {
            Part::Id => &mut self.id,
            Part::Text => &mut self.text,
            Part::Before | Part::Other => return,
        };
        if text.len() < MAX_MESSAGE {
            let quoted = quoted.trim();
            unescape(quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default(), text);
        }
    }

    fn finish(self, source: &Source<'_>, lang: &str, found: &mut FileChunks) {
        let Self { id, text, .. } = self;
        let tells = text.chars().any(char::is_alphabetic) && !id.is_empty() && text != id;
        if !self.wanted || self.doubtful || !tells || text.len() > MAX_MESSAGE || id.len() > MAX_MESSAGE {
            return;
        }
        found.add(Chunk {
            kind: Kind::Translation,
            symbol: String::new(),
            odoo_model: None,
            lang: Some(short(lang, 20)),
            start_line: self.first,
            end_line: self.last,
            zones: vec![(Zone::Prose, text.clone()), context(source)],
            card: None,
            title: id,
            text,
        });
    }
}

fn unescape(escaped: &str, text: &mut String) {
    let mut rest = escaped;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let mut after = rest[at + 1..].chars();
        match after.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some(other) => text.push(other),
            None => {}
        }
        rest = after.as_str();
    }
    text.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::super::cut;
    use super::*;

    fn of(text: &str) -> FileChunks {
        cut(&Source { module: Some("shop"), path: "shop/i18n/es_MX.po", text })
    }

    const PO: &str = r##"# Translation
msgid ""
msgstr ""
"Language: es\n"

#. module: shop
#. odoo-python
#: code:addons/shop/models/order.py:0
msgid "No state for %s"
msgstr "Sin estado para %s"

#. module: shop
#: code:addons/shop/models/order.py:12
msgid ""
"A long \"text\"\n"
"on two lines"
msgstr ""
"Un texto \"largo\"\n"
"en dos líneas"
#: model:ir.model.constraint,message:shop.constraint_x
msgid "Taken"
msgstr "Tomado"

#. odoo-python
#, python-format, fuzzy
#: code:addons/shop/models/a.py:0
msgid "fuzzy one"
msgstr "borroso"

#: model:ir.model.fields,field_description:shop.field_x
msgid "Label"
msgstr "Etiqueta"

#: code:addons/shop/static/src/a.js:0
msgid "script"
msgstr "guion"

#: code:addons/shop/models/a.py:0
msgid "same"
msgstr "same"

#: code:addons/shop/models/a.py:0
msgid "open"
msgstr ""

#: code:addons/shop/models/a.py:0
msgid "one"
msgid_plural "many"
msgstr[0] "uno"
msgstr[1] "muchos"

#~ msgid "old"
#~ msgstr "viejo"
"##;

    #[test]
    fn texts_of_code_are_kept() {
        let found = of(PO);
        let pieces: Vec<_> =
            found.chunks.iter().map(|chunk| (chunk.title.as_str(), chunk.text.as_str(), chunk.start_line, chunk.end_line)).collect();
        assert_eq!(
            pieces,
            [
                ("No state for %s", "Sin estado para %s", 6, 10),
                ("A long \"text\"\non two lines", "Un texto \"largo\"\nen dos líneas", 12, 19),
                ("Taken", "Tomado", 20, 22),
            ]
        );
        assert!(found.chunks.iter().all(|chunk| chunk.lang.as_deref() == Some("es_MX") && chunk.card.is_none()));
    }

    #[test]
    fn garbage_is_survived() {
        for text in
            ["", "msgid", "msgid \"", "#. odoo-python\nmsgid \"a\nmsgstr b\\", "#. odoo-python\nmsgid \"a\"\nmsgstr \"b\\\"", "\"\"\n\"x"]
        {
            assert!(of(text).chunks.len() <= 1);
        }
        let long = format!("#. odoo-python\nmsgid \"a\"\nmsgstr \"{}\"\n", "b".repeat(5_000_000));
        assert!(of(&long).chunks.is_empty());
    }
}
