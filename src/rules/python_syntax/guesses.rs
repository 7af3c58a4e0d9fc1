//! Single changes near a line that might make a file readable, the likeliest first.

use std::ops::Range;

use super::super::edit::python::{Source, children, field};
use super::super::edit::{Edit, apply};

/// How far behind an open bracket its end is looked for, in lines.
const REACH: usize = 40;

/// A guess, with what it does.
pub(super) type Guess = (Vec<Edit>, &'static str);

const KEYWORDS: [&str; 28] = [
    "and", "as", "assert", "break", "class", "continue", "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if",
    "import", "in", "is", "lambda", "not", "or", "pass", "raise", "return", "try", "while", "with",
];

/// Whether a message itself names the one token that it wants. All other messages say what is wrong, not what was meant.
pub(super) fn asks(message: &str) -> bool {
    ["expected ':'", "was never closed", "expected an indented block"].iter().any(|part| message.contains(part))
}

/// How many of the guesses are what the message itself asks for: they come first.
pub(super) fn asked(text: &str, line: usize, message: &str) -> usize {
    if asks(message) { of(text, line, message, true).len() } else { 0 }
}

/// The guesses for a message about this line. `strict`: only those that the message itself asks for.
pub(super) fn of(text: &str, line: usize, message: &str, strict: bool) -> Vec<Guess> {
    let page = Page::new(text);
    let Some(at) = line.checked_sub(1).filter(|at| *at < page.lines.len()) else { return Vec::new() };
    let mut found: Vec<Guess> = Vec::new();
    let says = |part: &str| message.contains(part);
    if says("expected ':'") {
        found.extend(page.insert_ends(at, ":", "a colon was missing"));
    }
    if says("expected an indented block") {
        found.extend(page.indented(at));
    }
    if says("unexpected indent") || says("unindent does not match") {
        found.extend(page.realigned(at));
    }
    if says("inconsistent use of tabs") {
        found.push((page.tabs(), "tabs in the indentation became spaces"));
    }
    if says("non-printable character") || says("invalid character") {
        found.push((page.plain_characters(at), "a character that Python does not read was replaced"));
    }
    if says("instead of '='") {
        found.extend(page.equals(at));
    }
    if says("was never closed") {
        found.extend(page.closed(at, message));
    }
    if says("unmatched") || says("does not match opening") {
        found.extend(page.unmatched(at, message));
    }
    if says("unterminated") || says("EOL while scanning") {
        found.extend(page.quoted(at));
    }
    if says("forgot a comma") {
        found.extend(page.commas(at));
    }
    if !strict {
        found.extend(page.anything(at));
    }
    found
}

/// Functions that take two values: with one they fail or mean something else.
const OF_TWO: [&str; 7] = ["max", "min", "isinstance", "issubclass", "hasattr", "divmod", "pow"];

/// The one change that keeps every token and gives what the indentation or the brackets around ask for, if there is just one.
pub(super) fn determined(text: &str, line: usize, message: &str) -> Option<(String, &'static str)> {
    let page = Page::new(text);
    let at = line.checked_sub(1).filter(|at| *at < page.lines.len())?;
    if message.contains("expected an indented block") {
        return Some((apply(text, page.only_statement(at)?)?, "a block was not indented"));
    }
    if !message.contains("forgot a comma") {
        return None;
    }
    let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let mut found: Vec<(String, String, usize)> = Vec::new();
    for (edits, _) in page.commas(at) {
        let [place] = edits.as_slice() else { continue };
        let place = place.range.start;
        let Some(after) = apply(text, edits).filter(|after| Source::parse(after).is_some()) else { continue };
        let plain = bare(&after);
        if found.iter().all(|(known, ..)| *known != plain) {
            found.push((plain, after, place));
        }
    }
    let [(_, after, place)] = found.as_slice() else { return None };
    let source = Source::parse(after)?;
    separates(&source, *place).then(|| (after.clone(), "a comma was missing"))
}

/// Whether nothing but a comma can stand at this place of brackets.
fn separates(source: &Source<'_>, place: usize) -> bool {
    let around = source.root().descendant_for_byte_range(place, place + 1).and_then(|comma| comma.parent());
    let Some(around) = around.filter(|node| matches!(node.kind(), "argument_list" | "dictionary")) else { return false };
    let items = children(around);
    let is_named =
        items.iter().find(|item| item.start_byte() > place).is_some_and(|item| matches!(item.kind(), "pair" | "keyword_argument"));
    let function = around.parent().filter(|up| up.kind() == "call").and_then(|call| field(call, "function"));
    is_named || items.len() == 2 && function.is_some_and(|function| OF_TWO.contains(&source.of(function)))
}

struct Page<'t> {
    text: &'t str,
    /// Each line without its end.
    lines: Vec<Range<usize>>,
}

impl<'t> Page<'t> {
    fn new(text: &'t str) -> Self {
        let mut start = 0;
        let mut lines = Vec::new();
        for line in text.split_inclusive('\n') {
            lines.push(start..start + line.trim_end_matches(['\n', '\r']).len());
            start += line.len();
        }
        Self { text, lines }
    }

    fn line(&self, at: usize) -> &'t str {
        self.lines.get(at).map_or("", |range| &self.text[range.clone()])
    }

    /// The line without its comment and the white space before that.
    fn code(&self, at: usize) -> &'t str {
        let line = self.line(at);
        let mut quote = None;
        for (position, c) in line.char_indices() {
            match (quote, c) {
                (None, '#') => return line[..position].trim_end(),
                (None, '"' | '\'') => quote = Some(c),
                (Some(open), c) if c == open => quote = None,
                _ => {}
            }
        }
        line.trim_end()
    }

    fn margin(&self, at: usize) -> &'t str {
        let line = self.line(at);
        &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
    }

    fn is_blank(&self, at: usize) -> bool {
        self.line(at).trim().is_empty()
    }

    fn put(&self, at: usize, column: usize, new: &str) -> Vec<Edit> {
        let position = self.lines[at].start + column;
        vec![Edit::new(position..position, new)]
    }

    /// Places at the end of a line: behind all of it, then before each of the signs that it ends with.
    fn ends(&self, at: usize) -> Vec<usize> {
        let code = self.code(at);
        let signs = code.chars().rev().take_while(|c| matches!(c, ':' | ',' | ')' | ']' | '}')).count();
        (0..=signs).map(|back| code.len() - back).collect()
    }

    fn insert_ends(&self, at: usize, new: &str, what: &'static str) -> Vec<Guess> {
        self.ends(at).into_iter().map(|column| (self.put(at, column, new), what)).collect()
    }

    /// Places between the words and signs of a line.
    fn seams(&self, at: usize) -> Vec<usize> {
        let code = self.code(at);
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let mut before: Option<char> = None;
        let mut found = Vec::new();
        for (position, c) in code.char_indices().skip_while(|(_, c)| c.is_whitespace()) {
            if before.is_some_and(|before| !(word(before) && word(c))) {
                found.push(position);
            }
            before = Some(c);
        }
        found
    }

    fn everywhere(&self, at: usize, new: &str, what: &'static str) -> Vec<Guess> {
        self.seams(at).into_iter().map(|column| (self.put(at, column, new), what)).collect()
    }

    fn closed(&self, at: usize, message: &str) -> Vec<Guess> {
        let close = match message.chars().find(|c| matches!(c, '(' | '[' | '{')) {
            Some('[') => "]",
            Some('{') => "}",
            _ => ")",
        };
        self.closings(at, close)
    }

    /// A closing bracket behind the line or behind what is indented below it.
    fn closings(&self, at: usize, close: &str) -> Vec<Guess> {
        let what = "a bracket was not closed";
        let mut found = Vec::new();
        let margin = self.margin(at);
        let deeper = |line: usize| self.margin(line).len() > margin.len();
        let last = (at + 1..self.lines.len().min(at + REACH)).take_while(|line| deeper(*line)).last();
        if let (Some(last), true) = (last, self.code(at).ends_with(['(', '[', '{'])) {
            found.push((self.put(last, self.line(last).len(), &format!("\n{margin}{close}")), what));
        }
        found.extend(self.insert_ends(at, close, what));
        for line in (at + 1..self.lines.len().min(at + REACH)).filter(|line| !self.is_blank(*line)) {
            found.extend(self.insert_ends(line, close, what));
        }
        found.extend(self.everywhere(at, close, what));
        found
    }

    fn unmatched(&self, at: usize, message: &str) -> Vec<Guess> {
        let mut found = Vec::new();
        let signs: Vec<char> = message.chars().filter(|c| "()[]{}".contains(*c)).collect();
        let partner = |c: &char| match c {
            '(' => ")",
            '[' => "]",
            _ => "}",
        };
        let Some(wrong) = signs.first() else { return found };
        let places: Vec<usize> = self.code(at).match_indices(*wrong).map(|(column, _)| self.lines[at].start + column).rev().collect();
        if let Some(open) = signs.get(1) {
            let alone = self.line(at).trim_start().starts_with(*wrong);
            let before = at.checked_sub(1).filter(|before| alone && !self.is_blank(*before));
            found.extend(before.into_iter().flat_map(|before| self.insert_ends(before, partner(open), "a bracket was not closed")));
            found.extend(places.iter().map(|place| (vec![Edit::new(*place..place + 1, partner(open))], "a bracket was closed by another")));
            found.extend(places.iter().map(|place| (vec![Edit::new(*place..*place, partner(open))], "a bracket was not closed")));
        }
        found.extend(places.iter().map(|place| (vec![Edit::remove(*place..place + 1)], "a bracket too many was closed")));
        let open = match wrong {
            ')' => "(",
            ']' => "[",
            _ => "{",
        };
        found.extend(self.everywhere(at, open, "a bracket was not opened"));
        found
    }

    fn quoted(&self, at: usize) -> Vec<Guess> {
        let code = self.line(at).trim_end();
        let signs = code.chars().rev().take_while(|c| matches!(c, ':' | ',' | ')' | ']' | '}')).count();
        let quotes: Vec<char> = code.chars().filter(|c| matches!(c, '"' | '\'')).collect();
        let mut found = Vec::new();
        for quote in quotes.last().into_iter().chain(quotes.first()) {
            let quote = quote.to_string();
            let ends = (0..=signs).map(|back| code.len() - back);
            found.extend(ends.map(|column| (self.put(at, column, &quote), "a string was not closed")));
            found.extend(self.everywhere(at, &quote, "a quote was missing"));
        }
        for (column, quote) in code.char_indices().filter(|(_, c)| matches!(c, '"' | '\'')) {
            let start = self.lines[at].start + column;
            found.push((vec![Edit::remove(start..start + quote.len_utf8())], "a quote was one too many"));
            let other = if quote == '"' { "'" } else { "\"" };
            found.push((vec![Edit::new(start..start + 1, other)], "a string ended with another quote"));
        }
        found
    }

    fn commas(&self, at: usize) -> Vec<Guess> {
        let what = "a comma was missing";
        let mut found = Vec::new();
        let open = |line: usize| self.code(line).ends_with([',', '(', '[', '{', ':']) || self.is_blank(line);
        for line in (at.saturating_sub(1)..self.lines.len().min(at + REACH)).filter(|line| !open(*line)) {
            found.push((self.put(line, self.code(line).len(), ","), what));
        }
        found.extend(self.everywhere(at, ",", what));
        found
    }

    fn equals(&self, at: usize) -> Vec<Guess> {
        let code = self.code(at);
        let single = |column: &usize| {
            let (before, after) = (&code[..*column], &code[column + 1..]);
            !before.ends_with(['=', '!', '<', '>', '+', '-', '*', '/', ':', '|', '&']) && !after.starts_with('=')
        };
        let start = self.lines[at].start;
        let places = code.match_indices('=').map(|(column, _)| column).filter(single);
        places
            .map(|column| (vec![Edit::new(start + column..start + column + 1, "==")], "a comparison was written as an assignment"))
            .collect()
    }

    /// The lines from here on that are indented alike or deeper.
    fn block(&self, at: usize) -> Vec<usize> {
        let margin = self.margin(at).len();
        let same = |line: &usize| self.is_blank(*line) || self.margin(*line).len() >= margin;
        let mut lines: Vec<usize> = (at..self.lines.len()).take_while(same).collect();
        while lines.last().is_some_and(|last| self.is_blank(*last)) {
            lines.pop();
        }
        lines
    }

    fn moved(&self, lines: &[usize], from: &str, to: &str) -> Vec<Edit> {
        let lines = lines.iter().filter(|line| self.line(**line).starts_with(from) && !self.is_blank(**line));
        lines.map(|line| Edit::new(self.lines[*line].start..self.lines[*line].start + from.len(), to)).collect()
    }

    fn indented(&self, at: usize) -> Vec<Guess> {
        let Some(head) = (0..at).rev().find(|line| !self.is_blank(*line)) else { return Vec::new() };
        let outer = self.margin(head);
        let deeper = format!("{outer}    ");
        let block = self.block(at);
        let paragraph: Vec<usize> = block.iter().copied().take_while(|line| !self.is_blank(*line)).collect();
        let margin = self.margin(at);
        let end = self.line(head).len();
        let what = "a block was not indented";
        vec![
            (self.moved(&block[..1], margin, &deeper), what),
            (self.moved(&paragraph, margin, &deeper), what),
            (self.moved(&block, margin, &deeper), what),
            (self.put(head, end, &format!("\n{deeper}pass")), "a block was empty"),
        ]
    }

    /// Indents the line with what is deeper below it, if that is one statement as deep as the head above it, and the rest is not.
    fn only_statement(&self, at: usize) -> Option<Vec<Edit>> {
        let head = (0..at).rev().find(|line| !self.is_blank(*line))?;
        let margin = self.margin(at);
        let block = self.block(at);
        let closes = |line: usize| self.line(line).trim_start().starts_with([')', ']', '}']);
        let belongs = |line: &&usize| self.is_blank(**line) || self.margin(**line).len() > margin.len() || closes(**line);
        let is_one = block.iter().skip(1).filter(belongs).count() + 1 == block.len();
        // What stands within a text would be moved too.
        let has_text = block.iter().any(|line| ["\"\"\"", "'''"].iter().any(|quotes| self.line(*line).contains(quotes)));
        let is_alike = self.margin(head) == margin && self.code(head).ends_with(':') && !self.code(at).ends_with(':');
        (is_one && is_alike && !has_text).then(|| self.moved(&block, margin, &format!("{margin}    ")))
    }

    fn realigned(&self, at: usize) -> Vec<Guess> {
        let (margin, block) = (self.margin(at), self.block(at));
        let mut levels: Vec<&str> = Vec::new();
        for line in (0..at).rev().filter(|line| !self.is_blank(*line)) {
            let level = self.margin(line);
            if levels.last().is_none_or(|last| level.len() < last.len()) {
                levels.push(level);
            }
            if level.is_empty() || levels.len() > 6 {
                break;
            }
        }
        // The nearest level first, of two the deeper one; the line alone comes after the block.
        levels.sort_by_key(|level| level.len().abs_diff(margin.len()));
        let what = "an indentation was wrong";
        let whole = levels.iter().map(|level| (self.moved(&block, margin, level), what));
        let alone = levels.iter().map(|level| (self.moved(&block[..1], margin, level), what));
        whole.chain(alone).collect()
    }

    fn tabs(&self) -> Vec<Edit> {
        let lines = (0..self.lines.len()).filter(|line| self.margin(*line).contains('\t'));
        let edit = |line: usize| {
            let margin = self.margin(line);
            let range = self.lines[line].start..self.lines[line].start + margin.len();
            Edit::new(range, margin.replace('\t', "    "))
        };
        lines.map(edit).collect()
    }

    fn plain_characters(&self, at: usize) -> Vec<Edit> {
        let plain = |c: char| match c {
            '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{3000}' => Some(" "),
            '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{feff}' | '\u{2060}' => Some(""),
            '“' | '”' | '„' => Some("\""),
            '‘' | '’' => Some("'"),
            '–' | '−' => Some("-"),
            '，' => Some(","),
            _ => None,
        };
        let start = self.lines[at].start;
        let found = self.line(at).char_indices().filter_map(|(column, c)| Some((column, c, plain(c)?)));
        found.map(|(column, c, new)| Edit::new(start + column..start + column + c.len_utf8(), new)).collect()
    }

    /// A keyword was mistyped.
    fn keywords(&self, at: usize) -> Vec<Guess> {
        let code = self.code(at);
        let mut found = Vec::new();
        let mut start = 0;
        for word in code.split(|c: char| !c.is_alphanumeric() && c != '_') {
            let near =
                |keyword: &&&str| word.len() > 1 && word.len() < 12 && word != **keyword && strsim::damerau_levenshtein(word, keyword) == 1;
            for keyword in KEYWORDS.iter().filter(near) {
                let at = self.lines[at].start + start;
                found.push((vec![Edit::new(at..at + word.len(), *keyword)], "a keyword was mistyped"));
            }
            start += word.len();
            start += code[start..].chars().next().map_or(0, char::len_utf8);
        }
        found
    }

    /// What a message that says little leaves: this line and the one before it.
    fn anything(&self, at: usize) -> Vec<Guess> {
        let mut found = self.keywords(at);
        let before = (0..at).rev().find(|line| !self.is_blank(*line));
        for line in std::iter::once(at).chain(before) {
            found.extend(self.insert_ends(line, ":", "a colon was missing"));
            for close in [")", "]", "}"] {
                found.extend(self.insert_ends(line, close, "a bracket was not closed"));
            }
            found.extend(self.insert_ends(line, ",", "a comma was missing"));
        }
        found.extend(before.into_iter().flat_map(|line| self.keywords(line)));
        for (new, what) in [
            ("(", "a bracket was not opened"),
            (".", "a dot was missing"),
            (",", "a comma was missing"),
            ("=", "an equals sign was missing"),
            (")", "a bracket was not closed"),
            (":", "a colon was missing"),
            ("[", "a bracket was not opened"),
            ("]", "a bracket was not closed"),
        ] {
            found.extend(self.everywhere(at, new, what));
        }
        let start = self.lines[at].start;
        for (column, c) in self.code(at).char_indices().filter(|(_, c)| c.is_ascii_punctuation() && !matches!(c, '"' | '\'')) {
            found.push((vec![Edit::remove(start + column..start + column + c.len_utf8())], "a sign was one too many"));
        }
        found
    }
}
