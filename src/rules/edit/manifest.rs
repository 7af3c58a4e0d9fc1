//! Editing the lists of `__manifest__.py` where they stand.

use std::ops::Range;

use super::{Edit, apply, indent, line_start};
use crate::odoo::{List, Manifest};

/// Puts `value` at place `at` of the list under `key`, which is made if the manifest has none. `None` if it is there already.
pub fn insert(text: &str, key: &str, value: &str, at: usize) -> Option<String> {
    let manifest = Manifest::parse(text).ok()?;
    let Some(key_range) = manifest.key(key) else { return insert_key(text, &manifest, key, value) };
    let List { range, items } = manifest.list(key)?;
    if items.iter().any(|item| item.value == value) {
        return None;
    }
    let written = |like: &Range<usize>| quoted(value, quote_of(text, like));
    let edits = match (at.min(items.len()).checked_sub(1), items.first()) {
        (Some(before), _) => insert_after(text, &range, &items[before].range, &written(&items[before].range)),
        (None, Some(first)) => {
            let gap = indent(text, first.range.start).map_or_else(|| " ".to_owned(), |indent| format!("{}{indent}", newline(text)));
            vec![Edit::new(first.range.start..first.range.start, format!("{},{gap}", written(&first.range)))]
        }
        (None, None) => {
            // A tuple of one needs its comma.
            let comma = if is_tuple(text, &range) { "," } else { "" };
            vec![Edit::new(range.start + 1..range.start + 1, format!("{}{comma}", written(&key_range)))]
        }
    };
    apply(text, edits)
}

fn insert_key(text: &str, manifest: &Manifest, key: &str, value: &str) -> Option<String> {
    let range = manifest.range();
    let Some(last) = manifest.last() else {
        let inside = text.get(range.start + 1..range.end - 1)?;
        // Something else than pairs, which nobody writes.
        if !inside.lines().all(|line| line.trim().is_empty() || line.trim().starts_with('#')) {
            return None;
        }
        let at = range.start + 1 + inside.trim_end().len();
        let after_comment = if inside.contains('#') { newline(text) } else { "" };
        return apply(text, vec![Edit::new(at..at, format!("{after_comment}{}: [{}]", quoted(key, '\''), quoted(value, '\'')))]);
    };
    let quote = quote_of(text, &last);
    apply(text, insert_after(text, &range, &last, &format!("{}: [{}]", quoted(key, quote), quoted(value, quote))))
}

/// Puts `new` behind an element of a bracket, on a line of its own if that element has one.
fn insert_after(text: &str, bracket: &Range<usize>, element: &Range<usize>, new: &str) -> Vec<Edit> {
    let close = bracket.end - 1;
    let comma = comma_after(text, element.end, close);
    let end = comma.unwrap_or(element.end);
    let put = |at: usize, text: String| Edit::new(at..at, text);
    let own_line = indent(text, element.start).filter(|_| line_start(text, element.start) > bracket.start);
    let rest = text[end..close].split_inclusive('\n').next().unwrap_or_default();
    match (own_line, comma) {
        // A comment behind the element belongs to it, hence first the line, then the comma.
        (Some(indent), _) if rest.ends_with('\n') && (rest.trim().is_empty() || rest.trim().starts_with('#')) => {
            let line_end = end + rest.trim_end_matches(['\n', '\r']).len();
            let line = format!("{}{indent}{new}", newline(text));
            match comma {
                Some(_) => vec![put(line_end, line + ",")],
                // At the end of the element and of its line; where these are one place, in one edit, as edits have no order.
                None if line_end == element.end => vec![put(line_end, format!(",{line}"))],
                None => vec![put(element.end, ",".to_owned()), put(line_end, line)],
            }
        }
        (Some(indent), Some(comma)) if rest.trim().is_empty() => vec![put(comma, format!("{}{indent}{new},", newline(text)))],
        (Some(indent), None) if rest.trim().is_empty() => vec![put(element.end, format!(",{}{indent}{new}", newline(text)))],
        (_, Some(comma)) => vec![put(comma, format!(" {new},"))],
        (_, None) => vec![put(element.end, format!(", {new}"))],
    }
}

/// The edits that take these items out of a list, given by their places in rising order; with its line what stands alone there.
pub fn removals(text: &str, list: &List, places: &[usize]) -> Vec<Edit> {
    let end = |at: usize| comma_after(text, list.items[at].range.end, list.range.end - 1).unwrap_or(list.items[at].range.end);
    let gone = |at: usize| places.contains(&at);
    let left = (0..list.items.len()).filter(|at| !gone(*at)).collect::<Vec<_>>();
    // What is left of a tuple must stay one.
    let comma_wanted = left.len() == 1 && is_tuple(text, &list.range);
    let mut edits = Vec::new();
    let mut next_place = 0;
    for &first in places.iter().filter(|at| **at < list.items.len()) {
        if first < next_place {
            continue;
        }
        if let Some(line) = own_line(text, &list.range, &(list.items[first].range.start..end(first))) {
            edits.push(Edit::remove(line));
            continue;
        }
        let in_line = |at: usize| gone(at) && own_line(text, &list.range, &(list.items[at].range.start..end(at))).is_none();
        let last = (first..list.items.len()).take_while(|at| in_line(*at)).last().unwrap_or(first);
        next_place = last + 1;
        let (start, stop) = (list.items[first].range.start, list.items[last].range.end);
        let before = first.checked_sub(1).filter(|at| !gone(*at)).map(|at| list.items[at].range.end);
        let after = list.items.get(last + 1).filter(|_| !gone(last + 1)).map(|item| item.range.start);
        edits.push(match (before, after) {
            (_, Some(after)) if !text[end(last)..after].contains('#') => Edit::remove(start..after),
            (Some(before), None) if !text[before..start].contains('#') => {
                let has_comma = end(last) > stop;
                Edit::new(before..stop, if comma_wanted && !has_comma { "," } else { "" })
            }
            _ => Edit::remove(start..end(last)),
        });
    }
    if let (true, [only]) = (comma_wanted, left.as_slice())
        && only + 1 == list.items.len()
        && end(*only) == list.items[*only].range.end
    {
        edits.push(Edit::new(end(*only)..end(*only), ","));
    }
    edits
}

/// The manifest with item `from` of a list standing at place `to`; the others move up or down by one.
pub fn moved(text: &str, list: &List, from: usize, to: usize) -> Option<String> {
    let mut order: Vec<usize> = (0..list.items.len()).collect();
    if from >= order.len() || to >= order.len() {
        return None;
    }
    let item = order.remove(from);
    order.insert(to, item);
    let slot = |(place, now): (usize, &usize)| Edit::new(list.items[place].range.clone(), &text[list.items[*now].range.clone()]);
    apply(text, order.iter().enumerate().map(slot).collect())
}

/// Where the comma behind an element ends; comments may stand between.
fn comma_after(text: &str, from: usize, close: usize) -> Option<usize> {
    let mut in_comment = false;
    for (at, c) in text[from..close].char_indices() {
        match c {
            '\n' => in_comment = false,
            '#' => in_comment = true,
            ',' if !in_comment => return Some(from + at + 1),
            c if !in_comment && !c.is_whitespace() => return None,
            _ => {}
        }
    }
    None
}

/// The whole lines of an element, if nothing but its comma and its comment stands on them, inside the bracket.
fn own_line(text: &str, bracket: &Range<usize>, element: &Range<usize>) -> Option<Range<usize>> {
    let start = line_start(text, element.start);
    indent(text, element.start).filter(|_| start > bracket.start)?;
    let rest = text[element.end..bracket.end - 1].split_inclusive('\n').next().filter(|rest| rest.ends_with('\n'))?;
    (rest.trim().is_empty() || rest.trim().starts_with('#')).then_some(start..element.end + rest.len())
}

fn is_tuple(text: &str, range: &Range<usize>) -> bool {
    text[range.clone()].starts_with('(')
}

fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

fn quote_of(text: &str, range: &Range<usize>) -> char {
    text[range.clone()].chars().find(|c| matches!(c, '\'' | '"')).unwrap_or('"')
}

/// A literal for this text, in these quotes.
fn quoted(value: &str, quote: char) -> String {
    let mut literal = String::from(quote);
    for c in value.chars() {
        match c {
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            c if c == quote || c == '\\' => literal.extend(['\\', c]),
            c => literal.push(c),
        }
    }
    literal.push(quote);
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "{\n    \"name\": \"x\",\n    \"data\": [\n        \"a.xml\",\n        # why\n        \"b.xml\",\n    ],\n}\n";

    fn data(text: &str) -> Vec<String> {
        Manifest::parse(text).unwrap().texts("data").into_iter().map(str::to_owned).collect()
    }

    fn list(text: &str) -> List {
        Manifest::parse(text).unwrap().list("data").unwrap()
    }

    fn removed(text: &str, places: &[usize]) -> String {
        apply(text, removals(text, &list(text), places)).unwrap()
    }

    #[test]
    fn items_are_inserted_where_they_belong() {
        assert_eq!(insert(LONG, "data", "n.csv", 0).unwrap(), LONG.replace("\"a.xml\"", "\"n.csv\",\n        \"a.xml\""));
        assert_eq!(insert(LONG, "data", "n.csv", 1).unwrap(), LONG.replace("\"a.xml\",", "\"a.xml\",\n        \"n.csv\","));
        assert_eq!(insert(LONG, "data", "n.csv", 9).unwrap(), LONG.replace("\"b.xml\",", "\"b.xml\",\n        \"n.csv\","));
        assert_eq!(insert("{'data': ['a']}", "data", "n", 0).unwrap(), "{'data': ['n', 'a']}");
        assert_eq!(insert("{'data': ['a', 'b']}", "data", "n", 1).unwrap(), "{'data': ['a', 'n', 'b']}");
        assert_eq!(insert("{'data': [\n  'a', 'b',\n]}", "data", "n", 1).unwrap(), "{'data': [\n  'a', 'n', 'b',\n]}");
        assert_eq!(insert(LONG, "data", "b.xml", 0), None);
    }

    #[test]
    fn item_is_inserted_in_the_style_of_its_list() {
        for (before, after) in [
            ("{'data': []}", "{'data': ['n.xml']}"),
            ("{'data': ['a.xml']}", "{'data': ['a.xml', 'n.xml']}"),
            ("{'data': ['a.xml',]}", "{'data': ['a.xml', 'n.xml',]}"),
            ("{\"data\": [\"a.xml\"]}", "{\"data\": [\"a.xml\", \"n.xml\"]}"),
            ("{'data': ()}", "{'data': ('n.xml',)}"),
            ("{'data': [\n    'a.xml',\n]}", "{'data': [\n    'a.xml',\n    'n.xml',\n]}"),
            ("{'data': [\n    'a.xml',  # a, b\n    # end\n]}", "{'data': [\n    'a.xml',  # a, b\n    'n.xml',\n    # end\n]}"),
            ("{'data': [\n    'a.xml'  # a\n]}", "{'data': [\n    'a.xml',  # a\n    'n.xml'\n]}"),
            ("{'data': ['a.xml',\n         'b.xml']}", "{'data': ['a.xml',\n         'b.xml',\n         'n.xml']}"),
            ("{'data': [\r\n\t'a.xml',\r\n]}", "{'data': [\r\n\t'a.xml',\r\n\t'n.xml',\r\n]}"),
            ("{'data': [\r\n\t'a.xml'\r\n]}", "{'data': [\r\n\t'a.xml',\r\n\t'n.xml'\r\n]}"),
        ] {
            assert_eq!(insert(before, "data", "n.xml", 9).as_deref(), Some(after), "{before}");
        }
    }

    #[test]
    fn missing_key_is_created() {
        for (before, after) in [
            ("{}", "{'data': ['n.xml']}"),
            ("{\n    # nothing yet\n}", "{\n    # nothing yet\n'data': ['n.xml']\n}"),
            ("{'name': 'a'}", "{'name': 'a', 'data': ['n.xml']}"),
            ("{\n    \"name\": \"a\",\n}\n", "{\n    \"name\": \"a\",\n    \"data\": [\"n.xml\"],\n}\n"),
            ("{\n    'name': 'a'\n}", "{\n    'name': 'a',\n    'data': ['n.xml']\n}"),
            ("# hi\n{'a': {\n 'b': 1},\n}", "# hi\n{'a': {\n 'b': 1}, 'data': ['n.xml'],\n}"),
        ] {
            assert_eq!(insert(before, "data", "n.xml", 0).as_deref(), Some(after), "{before}");
            assert_eq!(data(after), ["n.xml"]);
        }
    }

    #[test]
    fn item_is_removed_without_a_trace() {
        for (before, after) in [
            ("{'data': ['n.xml']}", "{'data': []}"),
            ("{'data': ['n.xml',]}", "{'data': []}"),
            ("{'data': ['n.xml', 'a.xml']}", "{'data': ['a.xml']}"),
            ("{'data': ['a.xml', 'n.xml']}", "{'data': ['a.xml']}"),
            ("{'data': ['a.xml', 'n.xml', 'b.xml']}", "{'data': ['a.xml', 'b.xml']}"),
            ("{'data': [\n    'a.xml',\n    'n.xml',  # gone\n    'b.xml',\n]}", "{'data': [\n    'a.xml',\n    'b.xml',\n]}"),
            ("{'data': [\n    'a.xml',\n    'n.xml'\n]}", "{'data': [\n    'a.xml',\n]}"),
            ("{'data': ['a.xml',\n         'n.xml']}", "{'data': ['a.xml']}"),
            ("{'data': ['a.xml',  # kept\n         'n.xml']}", "{'data': ['a.xml',  # kept\n         ]}"),
            ("{'data': ('a.xml', 'n.xml')}", "{'data': ('a.xml',)}"),
            ("{'data': ('a.xml', 'n.xml',)}", "{'data': ('a.xml',)}"),
            ("{'data': ('n.xml', 'a.xml')}", "{'data': ('a.xml',)}"),
        ] {
            let at = list(before).items.iter().position(|item| item.value == "n.xml").unwrap();
            assert_eq!(removed(before, &[at]), after, "{before}");
        }
    }

    #[test]
    fn several_items_are_removed_at_once() {
        let short = "{'data': ['a', 'b', 'c']}";
        assert_eq!(removed(short, &[0, 1]), "{'data': ['c']}");
        assert_eq!(removed(short, &[1, 2]), "{'data': ['a']}");
        assert_eq!(removed(short, &[0, 2]), "{'data': ['b']}");
        assert_eq!(removed(short, &[0, 1, 2]), "{'data': []}");
        assert_eq!(removed("{'data': ('a', 'b', 'c')}", &[1, 2]), "{'data': ('a',)}");
        assert_eq!(removed(LONG, &[0, 1]), LONG.replace("        \"a.xml\",\n", "").replace("        \"b.xml\",\n", ""));
    }

    #[test]
    fn what_is_no_list_is_left_alone() {
        for text in ["{'data': x}", "{'data': [", "{'data': ['a'", "{'data': some()}", "{'data': ['a', some()]}", "{**other}"] {
            assert_eq!(insert(text, "data", "n.xml", 0), None, "{text}");
        }
    }

    #[test]
    fn quotes_in_an_item_are_escaped() {
        assert_eq!(data(&insert("{'data': ['a']}", "data", "it's\\x", 1).unwrap()), ["a", "it's\\x"]);
    }

    #[test]
    fn items_change_places() {
        let list = list(LONG);
        assert_eq!(moved(LONG, &list, 1, 0).unwrap(), LONG.replace("a.xml", "?").replace("b.xml", "a.xml").replace('?', "b.xml"));
        assert_eq!(moved(LONG, &list, 1, 7), None);
    }

    proptest::proptest! {
        #[test]
        fn items_come_and_go_without_touching_others(
            gaps in proptest::collection::vec(proptest::sample::select(vec!["", " ", "\n    ", " # c, d\n  ", "\n  # e\n  "]), 1..6),
            trailing: bool, double: bool, tuple: bool, at in 0..6usize, mask in 0..64usize,
        ) {
            let quote = if double { '"' } else { '\'' };
            let items: Vec<String> = (0..gaps.len()).map(|n| format!("d{n}/f.xml")).collect();
            let written = gaps.iter().zip(&items).enumerate().map(|(n, (gap, item))| {
                let comma = if n + 1 < items.len() || trailing || (tuple && items.len() == 1) { "," } else { "" };
                format!("{gap}{quote}{item}{quote}{comma}")
            });
            let (open, close) = if tuple { ('(', ')') } else { ('[', ']') };
            let source = format!("{{\n    {quote}data{quote}: {open}{}{}{close},\n    'x': 1,\n}}\n", written.collect::<String>(), gaps[0]);
            proptest::prop_assert_eq!(&data(&source), &items);

            let with = insert(&source, "data", "new.csv", at).unwrap();
            let mut expected = items.clone();
            expected.insert(at.min(items.len()), "new.csv".to_owned());
            proptest::prop_assert_eq!(&data(&with), &expected, "{}", with);

            let places: Vec<usize> = (0..items.len()).filter(|n| mask >> n & 1 == 1).collect();
            if !places.is_empty() {
                let without = apply(&source, removals(&source, &list(&source), &places)).unwrap();
                // A tuple must still be one, hence read as a list.
                let found: Vec<String> = list(&without).items.into_iter().map(|item| item.value).collect();
                let left = items.iter().enumerate().filter(|(n, _)| !places.contains(n)).map(|(_, item)| item.clone());
                proptest::prop_assert_eq!(found, left.collect::<Vec<_>>(), "{}", without);
            }
        }

        #[test]
        fn garbage_never_panics(source in "(?s)[{}\\[\\]()'\",:#\\\\ndatx \n]{0,60}") {
            let _ = insert(&source, "data", "n", 1);
            if let Some(list) = Manifest::parse(&source).ok().and_then(|manifest| manifest.list("data")) {
                let _ = apply(&source, removals(&source, &list, &[0, 1, 5]));
            }
        }
    }
}
