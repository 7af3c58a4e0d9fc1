//! Calls whose arguments are secrets by their place: in Python, in JSON-RPC and in XML-RPC.

use std::ops::Range;

use super::super::pattern::Pattern;
use super::judge;
use super::quotes::Quote;
use super::spans::Spans;

/// The most bytes of a list of arguments.
const REACH: usize = 8 * 1024;

static CALL: Pattern = Pattern::new(
    r"(?i)\b((?:_?authenticate|_?login|execute_kw|execute|HTTP(?:Basic|Digest|Proxy)Auth|Basic_?Auth|auth|_?set_password|set_user_password|_?check_credentials|check_password|change_password|_?change_password|Fernet)\s*=?\s*\()",
);
static JSON_RPC: Pattern = Pattern::new(
    r#"\\*["']method\\*["']\s*:\s*(\\*["'](?:authenticate|login|execute_kw|execute|change_password)\\*["']\s*,\s*\\*["']args\\*["']\s*:\s*\[)"#,
);
static XML_RPC: Pattern = Pattern::new(r"<methodName>\s*((?:authenticate|login|execute_kw|execute)\s*</methodName>)");

/// Places of the arguments that are secrets, by the beginning of the call's name.
const PLACES: &[(&str, &[usize])] = &[
    ("authenticate", &[2]),
    ("execute", &[2]),
    ("login", &[1, 2]),
    ("http", &[1]),
    ("basic", &[1]),
    ("auth", &[1]),
    ("set_password", &[0]),
    ("set_user_password", &[0, 1]),
    ("check_credentials", &[0]),
    ("check_password", &[0, 1]),
    ("change_password", &[0, 1]),
    ("fernet", &[0]),
];

/// Finds the arguments that are secrets.
pub fn find(text: &str, spans: &mut Spans) {
    for head in CALL.ranges(text, 1).chain(JSON_RPC.ranges(text, 1)) {
        let name = text[head.clone()].trim_start_matches(['\\', '"', '\'', '_']);
        let arguments = literals(text, head.end);
        for place in places(name) {
            // What a call that is named so in a program of its own says is a sentence.
            let secret = |range: &Range<usize>| !text[range.clone()].contains(' ');
            if let Some(range) = arguments.get(*place).cloned().flatten().filter(secret) {
                push(text, range, spans);
            }
        }
    }
    for head in XML_RPC.ranges(text, 1) {
        let limit = text.floor_char_boundary(head.end + REACH);
        let params = &text[head.end..limit];
        let starts: Vec<usize> = params.match_indices("<param>").map(|(at, tag)| head.end + at + tag.len()).take(6).collect();
        for place in places(&text[head.clone()]) {
            let Some(start) = starts.get(*place) else { continue };
            let inner = &text[*start..limit];
            let opened = inner.len() - inner.trim_start_matches(|c: char| c.is_whitespace()).len();
            let mut from = start + opened;
            for tag in ["<value>", "<string>"] {
                if text[from..limit].starts_with(tag) {
                    from += tag.len();
                }
            }
            if let Some(end) = text[from..limit].find('<') {
                push(text, from..from + end, spans);
            }
        }
    }
}

fn places(name: &str) -> &'static [usize] {
    let name = name.to_ascii_lowercase();
    PLACES.iter().find(|(start, _)| name.starts_with(start)).map_or(&[], |(_, places)| places)
}

fn push(text: &str, range: Range<usize>, spans: &mut Spans) {
    if !judge::is_placeholder(&text[range.clone()]) {
        spans.push(range);
    }
}

/// The literal that each argument is, in their order, up to the bracket that closes the list.
fn literals(text: &str, from: usize) -> Vec<Option<Range<usize>>> {
    let bytes = text.as_bytes();
    let limit = bytes.len().min(from + REACH);
    let (mut found, mut current, mut depth, mut at) = (Vec::new(), None, 0_usize, from);
    while at < limit && found.len() < 8 {
        if text.is_char_boundary(at)
            && let Some(quote) = Quote::at(text, at)
        {
            let start = at + quote.text.len();
            let Some(content) = quote.content(text, start) else { break };
            at = content.end + quote.text.len();
            if depth == 0 && current.is_none() {
                current = Some(content);
            }
            continue;
        }
        match bytes[at] {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' if depth == 0 => break,
            b')' | b']' | b'}' => depth -= 1,
            b',' if depth == 0 => found.push(current.take()),
            b'\n' if depth == 0 && found.is_empty() && current.is_none() && at > from + 1 => break,
            _ => {}
        }
        at += 1;
    }
    found.push(current);
    found
}
