//! Values that stand after the name of a secret, in the notations of logs: assignments, JSON and JSON in JSON, XML, forms, tables,
//! options of commands, pairs, headers.

use std::ops::Range;

use super::judge::{self, Bare};
use super::keywords::{Kind, Seen};
use super::name::Name;
use super::quotes::Quote;
use super::spans::Spans;

/// The most bytes of a header, and of a block in YAML.
const REACH: usize = 16 * 1024;
/// Tags in which `name="password"` names what they hold.
const TAGS: &[&str] = &[
    "field",
    "param",
    "parameter",
    "property",
    "add",
    "item",
    "entry",
    "value",
    "setting",
    "input",
    "attribute",
    "var",
    "variable",
    "data",
];
/// What is written for `=` and `:`, longest first.
const SEPARATORS: &[(&str, bool)] = &[
    ("%253D", true),
    ("%253d", true),
    ("\\u003d", true),
    ("&#61;", true),
    ("=>", true),
    (":=", true),
    ("===", true),
    ("==", true),
    ("->", true),
    ("%3D", true),
    ("%3d", true),
    ("%3A", false),
    ("%3a", false),
    ("=", true),
    (":", false),
];
/// Calls that wrap a literal that is a secret all the same.
const WRAPPERS: &[&str] = &["SecretStr(", "SecretString(", "str(", "bytes(", "quote("];
/// Types after a colon, where the value follows the annotation.
const TYPES: &[&str] = &["str", "string", "bytes", "String", "Optional[str]", "SecretStr", "Any", "text"];
/// Words before what an `Authorization` header gives away.
const SCHEMES: &[&str] =
    &["bearer", "basic", "digest", "token", "apikey", "negotiate", "ntlm", "aws4-hmac-sha256", "hawk", "bot", "key", "oauth"];

/// Kind of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A log, or anything else that people and programs write.
    Log,
    /// A source: it is to stay code.
    Source,
}

/// Finds the values of the names that were seen.
pub fn find(text: &str, seen: &Seen, place: Place, spans: &mut Spans) {
    let mut done = 0;
    for (start, end, kind) in &seen.names {
        if *start < done {
            continue;
        }
        let Some(name) = Name::around(text, *start, *end, *kind) else { continue };
        let reader = Reader { text, name, place };
        for value in reader.values() {
            done = done.max(value.end);
            spans.push(value);
        }
    }
}

/// One name, and the text in which it stands.
struct Reader<'t> {
    text: &'t str,
    name: Name<'t>,
    place: Place,
}

impl<'t> Reader<'t> {
    fn byte(&self, at: usize) -> u8 {
        self.text.as_bytes().get(at).copied().unwrap_or(b'\n')
    }

    fn rest(&self, at: usize) -> &'t str {
        self.text.get(at..).unwrap_or_default()
    }

    fn skip_blanks(&self, mut at: usize) -> usize {
        while matches!(self.text.as_bytes().get(at), Some(b' ' | b'\t')) {
            at += 1;
        }
        at
    }

    /// The parts of the text that the name makes secret.
    fn values(&self) -> Vec<Range<usize>> {
        let mut at = self.name.end;
        let closing = Quote::at(self.text, at);
        if let Some(quote) = closing {
            at += quote.text.len();
            while matches!(self.byte(at), b']' | b')') {
                at += 1;
            }
        }
        if self.place == Place::Log
            && let Some(found) = self.in_markup(at, closing.is_some())
        {
            return found.into_iter().collect();
        }
        let blank = self.skip_blanks(at);
        if let Some((separator, assigned)) = SEPARATORS.iter().find(|(separator, _)| self.rest(blank).starts_with(separator)) {
            return self.assigned(blank + separator.len(), *assigned, separator.starts_with('%'));
        }
        if closing.is_some() && self.byte(blank) == b',' {
            return self.paired(blank + 1).into_iter().collect();
        }
        if self.place == Place::Log && closing.is_none() && blank > at {
            return self.after_blank(blank).into_iter().collect();
        }
        Vec::new()
    }

    fn assigned(&self, at: usize, assigned: bool, encoded: bool) -> Vec<Range<usize>> {
        let mut at = self.skip_blanks(at);
        if !assigned && let Some(kind) = TYPES.iter().find(|kind| self.rest(at).starts_with(**kind)) {
            let after = self.skip_blanks(at + kind.len());
            if self.byte(after) == b'=' {
                at = self.skip_blanks(after + 1);
            }
        }
        if self.name.kind == Kind::Header && self.quote(at).is_none() {
            return self.header(at, assigned).into_iter().collect();
        }
        if let Some(found) = self.quoted(at) {
            return found.into_iter().collect();
        }
        if self.place == Place::Source {
            return Vec::new();
        }
        if matches!(self.rest(at).lines().next().map(str::trim_end), Some("|" | ">" | "|-" | ">-" | "|+" | ">+")) {
            return self.block(at);
        }
        self.bare(at, assigned, encoded).into_iter().collect()
    }

    /// The quote that a literal begins with, and where its content starts.
    fn quote(&self, at: usize) -> Option<(Quote<'t>, usize)> {
        let at = WRAPPERS.iter().find(|wrapper| self.rest(at).starts_with(**wrapper)).map_or(at, |wrapper| at + wrapper.len());
        let prefix = (0..3).find(|n| !matches!(self.byte(at + n), b'b' | b'B' | b'r' | b'R' | b'u' | b'U' | b'f' | b'F')).unwrap_or(0);
        let quote = Quote::at(self.text, at + prefix)?;
        Some((quote, at + prefix + quote.text.len()))
    }

    /// A literal: `None` if there is none here, `Some(None)` if it is no secret.
    fn quoted(&self, at: usize) -> Option<Option<Range<usize>>> {
        let (quote, from) = self.quote(at)?;
        let range = quote.content(self.text, from)?;
        let range = if self.name.kind == Kind::Header { self.after_scheme(range) } else { range };
        let value = self.text.get(range.clone())?;
        let secret = match self.place {
            Place::Log => judge::is_quoted_secret(&self.name, value),
            Place::Source => judge::is_secret_in_source(&self.name, value),
        };
        Some(secret.then_some(range))
    }

    fn after_scheme(&self, range: Range<usize>) -> Range<usize> {
        let value = self.text.get(range.clone()).unwrap_or_default();
        let word = value.split(' ').next().unwrap_or_default();
        if word.len() < value.len() && SCHEMES.contains(&word.to_ascii_lowercase().as_str()) {
            return range.start + word.len() + 1..range.end;
        }
        range
    }

    /// `('X-Auth-Token', 'value')`, `['password', '=', 'value']`: a pair in brackets.
    fn paired(&self, at: usize) -> Option<Range<usize>> {
        let before = self.text.get(..self.name.start)?.trim_end_matches(['\\', '"', '\'', '`', 'b']);
        if !before.ends_with(['(', '[']) {
            return None;
        }
        let mut at = self.skip_blanks(at);
        for operator in ["'=',", "\"=\",", "\\'=\\',", "\\\"=\\\",", "'==',", "'!=',"] {
            if self.rest(at).starts_with(operator) {
                at = self.skip_blanks(at + operator.len());
            }
        }
        let (quote, from) = self.quote(at)?;
        let range = quote.content(self.text, from)?;
        let closed = self.skip_blanks(range.end + quote.text.len());
        let ends = matches!(self.byte(closed), b')' | b']') || (self.byte(closed) == b',' && matches!(self.byte(closed + 1), b')' | b']'));
        let found = self.quoted(at)??;
        ends.then_some(found)
    }

    /// `--password value`, `requirepass value`, a column of `psql -x`, a header in the settings of a web server.
    fn after_blank(&self, at: usize) -> Option<Range<usize>> {
        let starts_line = self.text.get(..self.name.start)?.trim_end_matches([' ', '\t']).ends_with('\n') || self.name.start == 0;
        let directive = ["requirepass", "masterauth"].iter().any(|word| self.name.word.eq_ignore_ascii_case(word));
        if starts_line && self.byte(at) == b'|' {
            let from = self.skip_blanks(at + 1);
            return self.bare(from, true, false);
        }
        if self.name.kind == Kind::Header {
            return self.quoted(at).flatten();
        }
        if directive || (self.name.text.starts_with('-') && self.byte(at) != b'-') {
            return self.quoted(at).unwrap_or_else(|| self.bare(at, true, false));
        }
        None
    }

    /// The rest of a header's line.
    fn header(&self, at: usize, assigned: bool) -> Option<Range<usize>> {
        if self.place == Place::Source {
            return None;
        }
        let opened = self.text.get(..self.name.start).and_then(|before| before.bytes().next_back());
        let quote = opened.filter(|byte| matches!(byte, b'"' | b'\'' | b'`'));
        let line = self.rest(at).get(..self.text.floor_char_boundary(at + REACH).saturating_sub(at)).unwrap_or_else(|| self.rest(at));
        let is_cookie = self.name.word.eq_ignore_ascii_case("cookie");
        let ends = |(index, byte): (usize, u8)| match byte {
            b'\n' | b'\r' => true,
            b'\\' => matches!(self.byte(at + index + 1), b'n' | b'r' | b'"' | b'\''),
            b'"' | b'\'' => quote == Some(byte) || !is_cookie,
            b'}' | b'>' | b']' => !is_cookie,
            b' ' => assigned && index > 0 && !SCHEMES.contains(&line[..index].to_ascii_lowercase().as_str()),
            _ => false,
        };
        let end = line.bytes().enumerate().position(ends).unwrap_or(line.len());
        let whole = at..at + self.text.get(at..at + end)?.trim_end().len();
        let range = self.after_scheme(whole.clone());
        let value = self.text.get(range.clone())?;
        if is_cookie {
            return (value.contains('=') && !judge::is_placeholder(value)).then_some(range);
        }
        if range.start > whole.start {
            let first = value.split([' ', ',']).next().unwrap_or_default();
            let bare = Bare { value: first, assigned: true, in_code: false, goes_on: false };
            return judge::is_bare_secret(&self.name, &bare).then_some(range);
        }
        self.bare(at, assigned, false)
    }

    /// A value without quotes.
    fn bare(&self, at: usize, assigned: bool, encoded: bool) -> Option<Range<usize>> {
        // A quote that is not closed on its line.
        let opened = Quote::at(self.text, at).map_or(0, |quote| quote.text.len());
        let from = at + opened;
        let line = self.rest(from);
        let (mut end, mut called) = (line.len(), false);
        for (index, byte) in line.bytes().enumerate().take(REACH) {
            let stops = match byte {
                b',' | b';' | b')' | b'}' | b']' | b'&' | b'"' | b'\'' | b'<' | b'>' | b'`' | b'|' => true,
                b'\\' => matches!(self.byte(from + index + 1), b'n' | b'r' | b't' | b'"' | b'\'' | b'\\' | b'u'),
                b'%' => {
                    encoded && matches!(line.get(index..index + 3), Some("%26" | "%20" | "%22" | "%27" | "%0A" | "%0D" | "%7D" | "%2C"))
                }
                b'(' | b'[' => {
                    called = is_called(&line[..index]);
                    called
                }
                byte => byte.is_ascii_whitespace(),
            };
            if stops || index + 1 == REACH {
                end = index;
                break;
            }
        }
        let end = line.floor_char_boundary(end);
        let value = &line[..end];
        let before = self.text.get(..self.name.start)?.bytes().next_back();
        let after = self.byte(from + end);
        let in_call = matches!(before, Some(b'(' | b' ' | b'*')) && matches!(after, b',' | b')') && assigned;
        let argument = in_call && self.text.get(..self.name.start)?.trim_end().ends_with(['(', ',']);
        let next = self.skip_blanks(from + end);
        let goes_on = next > from + end && !matches!(self.byte(next), b'\n' | b'\r' | b'#');
        let bare = Bare { value, assigned, in_code: called || argument, goes_on };
        (!called && judge::is_bare_secret(&self.name, &bare)).then(|| from..from + end)
    }

    /// Lines that are set in below their name.
    fn block(&self, at: usize) -> Vec<Range<usize>> {
        let mut lines = Vec::new();
        let mut start = at + self.rest(at).find('\n').map_or(self.rest(at).len(), |end| end + 1);
        for line in self.rest(start).split_inclusive('\n').take(100) {
            let value = line.trim();
            if !line.starts_with([' ', '\t']) || value.is_empty() {
                break;
            }
            let from = start + line.len() - line.trim_start().len();
            lines.push(from..from + value.len());
            start += line.len();
        }
        lines
    }

    /// `<password>value</password>`, `name="password">value<`, `name="password" value="…"`, `<name>password</name><value>…`.
    fn in_markup(&self, at: usize, is_quoted: bool) -> Option<Option<Range<usize>>> {
        let before = self.text.get(..self.name.start)?;
        let rest = self.rest(at);
        if is_quoted {
            return self.in_attribute(before, at);
        }
        let named = ["</name>", "</key>", "&lt;/name&gt;"].iter().find(|end| rest.starts_with(**end));
        if let Some(named) = named {
            let mut from = at + named.len();
            while let Some(next) = self.markup_or_blank(from) {
                from = next;
            }
            return Some(self.content(from, "<").or_else(|| self.content(from, "&lt;")));
        }
        let tail = before.get(before.ceil_char_boundary(before.len().saturating_sub(40))..)?;
        let opening = tail.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':'));
        if opening.ends_with('<') && rest.starts_with(['>', ' ']) {
            let from = at + rest.split('\n').next()?.find('>')? + 1;
            return Some(self.content(from, "<"));
        }
        if opening.ends_with("&lt;") && rest.starts_with("&gt;") {
            return Some(self.content(at + 4, "&lt;"));
        }
        None
    }

    /// The end of a tag, or of blanks, that starts here.
    fn markup_or_blank(&self, at: usize) -> Option<usize> {
        let rest = self.rest(at);
        let blanks = rest.len() - rest.trim_start().len();
        if blanks > 0 {
            return Some(at + blanks);
        }
        let tag = ["<value>", "<string>", "&lt;value&gt;", "&lt;string&gt;"].iter().find(|tag| rest.starts_with(**tag))?;
        Some(at + tag.len())
    }

    fn in_attribute(&self, before: &str, at: usize) -> Option<Option<Range<usize>>> {
        let before = before.trim_end_matches(['\\', '"', '\'']);
        let attribute = ["name=", "key=", "id="].iter().find(|name| before.ends_with(**name))?;
        let before = &before[..before.len() - attribute.len()];
        let tail = &before[before.ceil_char_boundary(before.len().saturating_sub(120))..];
        let tag = tail.rsplit('<').next().filter(|_| tail.contains('<'))?;
        let tag = tag.split(|c: char| c.is_whitespace()).next()?;
        if !TAGS.contains(&tag.rsplit(':').next()?) {
            return None;
        }
        let rest = self.rest(at);
        let head = &rest[..rest.floor_char_boundary(400)];
        let end = head.find('>')?;
        if let Some(value) = head[..end].find("value=") {
            return Some(self.quoted(at + value + "value=".len()).flatten());
        }
        if head[..end].ends_with('/') {
            return None;
        }
        Some(self.content(at + end + 1, "<"))
    }

    /// Returns the text before the next tag, if it is a secret.
    fn content(&self, from: usize, until: &str) -> Option<Range<usize>> {
        let rest = self.rest(from);
        let rest = &rest[..rest.floor_char_boundary(1024)];
        let rest = rest.strip_prefix("<![CDATA[").map_or((rest, 0), |inner| (inner, "<![CDATA[".len()));
        let (rest, from) = (rest.0, from + rest.1);
        let content = rest.get(..rest.find(until)?)?;
        let content = content.split("]]>").next()?;
        let value = content.trim();
        let start = from + content.len() - content.trim_start().len();
        judge::is_quoted_secret(&self.name, value).then(|| start..start + value.len())
    }
}

/// Whether what stands before a bracket is the name of a function or of what is indexed.
fn is_called(before: &str) -> bool {
    !before.is_empty()
        && before.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
        && !before.starts_with(|c: char| c.is_ascii_digit())
}
