//! Adding and removing one item of a list, keeping everything else byte for byte.

use std::ops::Range;

use super::syntax::{Dict, Pair, Value};

/// The source with `item` at the end of the list `key`, in the style of that list. A key that is not there is added at the end of the
/// dict. An item that is there already changes nothing. `None` if the source does not parse or the value is no list.
pub fn insert_item(source: &str, key: &str, item: &str) -> Option<String> {
    let dict = Dict::parse(source).ok()?;
    let Some(pair) = dict.pair(key) else { return insert_key(source, &dict, key, item) };
    let Value::List(items) = &pair.value else { return None };
    if items.iter().any(|(text, _)| text.as_deref() == Some(item)) {
        return Some(source.to_owned());
    }
    let like = items.iter().rev().find(|(text, _)| text.is_some()).map_or(&pair.key_span, |(_, span)| span);
    let new = quoted(item, quote_of(source, like));
    Some(match items.last() {
        Some((_, last)) => insert_after(source, pair.span.start, last, pair.span.end - 1, &new),
        None => {
            // A tuple of one needs its comma.
            let comma = if source[pair.span.clone()].starts_with('(') { "," } else { "" };
            splice(source, pair.span.start + 1..pair.span.start + 1, &format!("{new}{comma}"))
        }
    })
}

/// The source without `item` in the list `key`; a line that held only it goes with it. `None` if there is no such item.
pub fn remove_item(source: &str, key: &str, item: &str) -> Option<String> {
    let dict = Dict::parse(source).ok()?;
    let pair = dict.pair(key)?;
    let Value::List(items) = &pair.value else { return None };
    let n = items.iter().position(|(text, _)| text.as_deref() == Some(item))?;
    let span = &items[n].1;
    let close = pair.span.end - 1;
    let comma = comma_after(source, span.end, close);
    let end = comma.unwrap_or(span.end);
    if let Some(line) = own_line(source, span.start, end, &pair.span) {
        return Some(splice(source, line, ""));
    }
    let is_tuple_of_two = source[pair.span.clone()].starts_with('(') && items.len() == 2;
    let removed = match (n.checked_sub(1), items.get(n + 1)) {
        (_, Some((_, next))) if comment_free(source, end..next.start) => span.start..next.start,
        (_, Some(_)) => span.start..end,
        (Some(before), None) => items[before].1.end..if is_tuple_of_two { span.end } else { end },
        (None, None) => span.start..end,
    };
    // `('a', 'b')` without its `'b'` must stay a tuple.
    let left = if is_tuple_of_two && items.get(n + 1).is_none() && comma.is_none() { "," } else { "" };
    let result = splice(source, removed, left);
    Some(if is_tuple_of_two && n == 0 { keep_tuple(&result, key) } else { result })
}

fn keep_tuple(source: &str, key: &str) -> String {
    let last = Dict::parse(source).ok().and_then(|dict| {
        // `('b')` is read as a string in brackets.
        let pair = dict.pair(key)?;
        matches!(pair.value, Value::Text(_)).then(|| pair.span.end - 1)
    });
    last.map_or_else(|| source.to_owned(), |close| splice(source, close..close, ","))
}

fn insert_key(source: &str, dict: &Dict, key: &str, item: &str) -> Option<String> {
    let close = dict.span.end - 1;
    let Some(Pair { key_span, span, .. }) = dict.pairs.last() else {
        let inside = source.get(dict.span.start + 1..close)?;
        let at = dict.span.start + 1 + inside.trim_end().len();
        let after_comment = if inside.contains('#') { "\n" } else { "" };
        return Some(splice(source, at..at, &format!("{after_comment}{}: [{}]", quoted(key, '\''), quoted(item, '\''))));
    };
    let quote = quote_of(source, key_span);
    let new = format!("{}: [{}]", quoted(key, quote), quoted(item, quote));
    let pair = key_span.start..span.end;
    Some(insert_after(source, dict.span.start, &pair, close, &new))
}

/// Puts `new` behind the last element of a bracket, on a line of its own if that element has one.
fn insert_after(source: &str, open: usize, last: &Range<usize>, close: usize, new: &str) -> String {
    let comma = comma_after(source, last.end, close);
    let line_start = source[..last.start].rfind('\n').map_or(0, |n| n + 1);
    let indent = &source[line_start..last.start];
    let starts_its_line = line_start > open && indent.chars().all(|c| c == ' ' || c == '\t');
    let line_end = source[last.end..close].find('\n').map(|n| last.end + n);
    let newline = if source.contains("\r\n") { "\r\n" } else { "\n" };
    match (starts_its_line, line_end, comma) {
        // Behind the comment that belongs to the last element, hence first the line, then the comma.
        (true, Some(end), Some(_)) => {
            splice(source, end_of_line(source, end)..end_of_line(source, end), &format!("{newline}{indent}{new},"))
        }
        (true, Some(end), None) => {
            let end = end_of_line(source, end);
            let with_line = splice(source, end..end, &format!("{newline}{indent}{new}"));
            splice(&with_line, last.end..last.end, ",")
        }
        (true, None, Some(comma)) => splice(source, comma..comma, &format!("{newline}{indent}{new},")),
        (true, None, None) => splice(source, last.end..last.end, &format!(",{newline}{indent}{new}")),
        (false, _, Some(comma)) => splice(source, comma..comma, &format!(" {new},")),
        (false, _, None) => splice(source, last.end..last.end, &format!(", {new}")),
    }
}

/// The end of a line without the carriage return of its line break.
fn end_of_line(source: &str, newline: usize) -> usize {
    if source[..newline].ends_with('\r') { newline - 1 } else { newline }
}

/// Where the comma behind an element ends; comments may stand between.
fn comma_after(source: &str, from: usize, close: usize) -> Option<usize> {
    let mut in_comment = false;
    for (n, c) in source[from..close].char_indices() {
        match c {
            '\n' => in_comment = false,
            '#' => in_comment = true,
            ',' if !in_comment => return Some(from + n + 1),
            _ => {}
        }
    }
    None
}

/// The whole line, if nothing but the element, its comma and its comment stands on it, inside the brackets.
fn own_line(source: &str, start: usize, end: usize, list: &Range<usize>) -> Option<Range<usize>> {
    let line_start = source[..start].rfind('\n').map(|n| n + 1).filter(|&n| n > list.start)?;
    let line_end = source[end..list.end - 1].find('\n').map(|n| end + n + 1)?;
    let before = source[line_start..start].trim();
    let after = source[end..line_end].trim();
    (before.is_empty() && (after.is_empty() || after.starts_with('#'))).then_some(line_start..line_end)
}

fn comment_free(source: &str, span: Range<usize>) -> bool {
    !source[span].contains('#')
}

fn quote_of(source: &str, span: &Range<usize>) -> char {
    source[span.clone()].chars().find(|c| matches!(c, '\'' | '"')).unwrap_or('\'')
}

fn quoted(text: &str, quote: char) -> String {
    let mut escaped = String::with_capacity(text.len() + 2);
    escaped.push(quote);
    for c in text.chars() {
        match c {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            c if c == quote || c == '\\' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped.push(quote);
    escaped
}

fn splice(source: &str, span: Range<usize>, by: &str) -> String {
    format!("{}{by}{}", &source[..span.start], &source[span.end..])
}

#[cfg(test)]
mod tests {
    use super::super::Manifest;
    use super::*;

    #[test]
    fn item_is_inserted_in_the_style_of_its_list() {
        for (before, after) in [
            ("{'data': []}", "{'data': ['n.xml']}"),
            ("{'data': ['a.xml']}", "{'data': ['a.xml', 'n.xml']}"),
            ("{'data': ['a.xml',]}", "{'data': ['a.xml', 'n.xml',]}"),
            ("{\"data\": [\"a.xml\"]}", "{\"data\": [\"a.xml\", \"n.xml\"]}"),
            ("{'data': ()}", "{'data': ('n.xml',)}"),
            ("{'data': ['n.xml']}", "{'data': ['n.xml']}"),
            ("{'data': [\n    'a.xml',\n]}", "{'data': [\n    'a.xml',\n    'n.xml',\n]}"),
            ("{'data': [\n    'a.xml',  # a, b\n    # end\n]}", "{'data': [\n    'a.xml',  # a, b\n    'n.xml',\n    # end\n]}"),
            ("{'data': [\n    'a.xml'  # a\n]}", "{'data': [\n    'a.xml',  # a\n    'n.xml'\n]}"),
            ("{'data': ['a.xml',\n         'b.xml']}", "{'data': ['a.xml',\n         'b.xml',\n         'n.xml']}"),
            ("{'data': [\r\n\t'a.xml',\r\n]}", "{'data': [\r\n\t'a.xml',\r\n\t'n.xml',\r\n]}"),
        ] {
            assert_eq!(insert_item(before, "data", "n.xml").as_deref(), Some(after), "{before}");
        }
    }

    #[test]
    fn missing_key_is_created() {
        for (before, after) in [
            ("{}", "{'data': ['n.xml']}"),
            ("{'name': 'a'}", "{'name': 'a', 'data': ['n.xml']}"),
            ("{\n    \"name\": \"a\",\n}\n", "{\n    \"name\": \"a\",\n    \"data\": [\"n.xml\"],\n}\n"),
            ("{\n    'name': 'a'\n}", "{\n    'name': 'a',\n    'data': ['n.xml']\n}"),
            ("# hi\n{'a': {\n 'b': 1},\n}", "# hi\n{'a': {\n 'b': 1}, 'data': ['n.xml'],\n}"),
        ] {
            let result = insert_item(before, "data", "n.xml");
            assert_eq!(result.as_deref(), Some(after), "{before}");
            assert_eq!(Manifest::parse(after).unwrap().data, ["n.xml"]);
        }
    }

    #[test]
    fn item_is_removed_with_its_line() {
        for (before, after) in [
            ("{'data': ['n.xml']}", "{'data': []}"),
            ("{'data': ['n.xml', 'a.xml']}", "{'data': ['a.xml']}"),
            ("{'data': ['a.xml', 'n.xml']}", "{'data': ['a.xml']}"),
            ("{'data': ['a.xml', 'n.xml', 'b.xml']}", "{'data': ['a.xml', 'b.xml']}"),
            ("{'data': [\n    'a.xml',\n    'n.xml',  # gone\n    'b.xml',\n]}", "{'data': [\n    'a.xml',\n    'b.xml',\n]}"),
            ("{'data': [\n    'a.xml',\n    'n.xml'\n]}", "{'data': [\n    'a.xml',\n]}"),
            ("{'data': ['a.xml',\n         'n.xml']}", "{'data': ['a.xml']}"),
            ("{'data': ('a.xml', 'n.xml')}", "{'data': ('a.xml',)}"),
            ("{'data': ('n.xml', 'a.xml')}", "{'data': ('a.xml',)}"),
        ] {
            assert_eq!(remove_item(before, "data", "n.xml").as_deref(), Some(after), "{before}");
        }
        assert_eq!(remove_item("{'data': ['a.xml']}", "data", "n.xml"), None);
    }

    #[test]
    fn what_is_no_list_is_left_alone() {
        assert_eq!(insert_item("{'data': x}", "data", "n.xml"), None);
        assert_eq!(insert_item("{'data': [", "data", "n.xml"), None);
        assert_eq!(insert_item("{'data': ['a'", "data", "n.xml"), None);
    }

    #[test]
    fn quotes_in_an_item_are_escaped() {
        let result = insert_item("{'data': ['a']}", "data", "it's\\x").unwrap();
        assert_eq!(Manifest::parse(&result).unwrap().data, ["a", "it's\\x"]);
    }

    proptest::proptest! {
        #[test]
        fn inserting_then_removing_changes_nothing_else(
            items in proptest::collection::vec("[a-z]{1,6}/[a-z]{1,6}\\.xml", 0..5), lines: bool, trailing: bool, double: bool,
        ) {
            let quote = if double { '"' } else { '\'' };
            let glue = if lines { ",\n        " } else { ", " };
            let list = items.iter().map(|item| format!("{quote}{item}{quote}")).collect::<Vec<_>>().join(glue);
            let comma = if trailing && !items.is_empty() { "," } else { "" };
            let (open, close) = if lines { ("\n        ", "\n    ") } else { ("", "") };
            let source = format!("{{\n    {quote}data{quote}: [{open}{list}{comma}{close}],\n    'x': 1,\n}}\n");
            let with = insert_item(&source, "data", "new/new.csv").unwrap();
            let mut expected = items.clone();
            expected.push("new/new.csv".to_owned());
            proptest::prop_assert_eq!(&Manifest::parse(&with).unwrap().data, &expected);
            let without = remove_item(&with, "data", "new/new.csv").unwrap();
            proptest::prop_assert_eq!(&Manifest::parse(&without).unwrap().data, &items);
        }

        #[test]
        fn garbage_never_panics(source in "(?s)[{}\\[\\]()'\",:#\\\\ndatx \n]{0,60}") {
            let _ = Manifest::parse(&source);
            let _ = insert_item(&source, "data", "n");
            let _ = remove_item(&source, "data", "n");
        }
    }
}
