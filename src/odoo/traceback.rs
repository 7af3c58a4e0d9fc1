//! Reading Python's tracebacks: a chain of exceptions, the cause first.

use super::cut;
use super::pattern::Pattern;
use crate::domain::{Frame, Raised};

/// Exceptions kept of one chain, frames kept of one exception (a recursion prints a thousand), bytes of one source line.
const CHAIN_MAX: usize = 32;
const FRAMES_FIRST: usize = 20;
const FRAMES_LAST: usize = 180;
const LINE_MAX: usize = 2_000;
const MESSAGE_MAX: usize = 16 * 1024;

static FILE: Pattern = Pattern::new(r#"^\s+File "([^"]*)", line (\d{1,9})(?:, in (.*))?$"#);
static EXCEPTION: Pattern = Pattern::new(r"^([A-Za-z_][\w.]*(?:\.<locals>\.[\w.]+)*)(?:: ?(.*))?$");

const START: &str = "Traceback (most recent call last):";
const SEPARATORS: [&str; 2] = [
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
];

#[derive(Default)]
struct Reader {
    chain: Vec<Raised>,
    frames: Vec<Frame>,
    message: Option<(String, String)>,
    inside: bool,
}

impl Reader {
    fn finish(&mut self) {
        let mut frames = std::mem::take(&mut self.frames);
        if frames.len() > FRAMES_FIRST + FRAMES_LAST {
            frames.drain(FRAMES_FIRST..frames.len() - FRAMES_LAST);
        }
        let message = self.message.take();
        self.inside = false;
        if (message.is_some() || !frames.is_empty()) && self.chain.len() < CHAIN_MAX {
            let (exception, message) = message.unwrap_or_default();
            self.chain.push(Raised { exception, message: message.trim_end().to_owned(), frames });
        }
    }

    fn frame(&mut self, line: &str) -> bool {
        let Some([file, line, function]) = file(line) else { return false };
        let (line, source) = (line.parse().unwrap_or(0), String::new());
        self.frames.push(Frame { file: file.to_owned(), line, function: function.to_owned(), source });
        true
    }

    fn source(&mut self, line: &str) {
        let text = line.trim();
        // Python 3.11 and later underline the failing part, 3.13 folds long calls.
        let is_marker = text.chars().all(|c| matches!(c, '~' | '^' | ' ')) || (text.starts_with("...<") && text.ends_with('>'));
        if let Some(frame) = self.frames.last_mut().filter(|frame| frame.source.is_empty() && !is_marker) {
            frame.source = text.to_owned();
        }
    }

    fn line(&mut self, line: &str) {
        let trimmed = line.trim();
        if trimmed == START {
            self.finish();
            self.inside = true;
        } else if SEPARATORS.contains(&trimmed) {
            self.finish();
        } else if let Some((_, message)) = &mut self.message {
            if message.len() < MESSAGE_MAX {
                message.push('\n');
                message.push_str(line);
            }
        } else if self.inside {
            self.inside_line(line);
        }
    }

    fn inside_line(&mut self, line: &str) {
        if self.frame(line) {
            return;
        }
        if line.starts_with([' ', '\t']) || line.trim().is_empty() {
            self.source(line);
        } else if let Some([exception, message]) = exception(line) {
            self.message = Some((exception.to_owned(), message.to_owned()));
        }
        // Anything else is a remark between the frames; the exception is still to come.
    }
}

/// The exceptions of a text, in printed order: the cause first. A trace cut off before its exception ends with an empty name.
pub fn traceback(text: &str) -> Vec<Raised> {
    let mut reader = Reader::default();
    // A text that lost its first lines starts with a frame; a `Stack` printed with a log line is no traceback.
    let start = text.find(START);
    reader.inside = start.is_none() && !text.contains("Stack (most recent call last):") && first_frame_leads(text);
    for line in text[start.unwrap_or(0)..].lines() {
        reader.line(cut::head(line, LINE_MAX).trim_end_matches('\r'));
    }
    reader.finish();
    reader.chain
}

fn first_frame_leads(text: &str) -> bool {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
    file(cut::head(line, LINE_MAX)).is_some()
}

/// What [`FILE`] reads, without the expression where the line is plain: nearly all lines of a log pass here.
fn file(line: &str) -> Option<[&str; 3]> {
    let shown = line.trim_start();
    let rest = shown.strip_prefix("File \"").filter(|_| shown.len() < line.len())?;
    let (file, rest) = rest.split_once('"')?;
    let rest = rest.strip_prefix(", line ")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = rest.split_at(digits);
    if rest.starts_with(|next: char| !next.is_ascii()) {
        return FILE.groups(line);
    }
    let function = if rest.is_empty() { rest } else { rest.strip_prefix(", in ")? };
    (1..=9).contains(&digits).then_some([file, number, function])
}

/// What [`EXCEPTION`] reads, without the expression where the name is plain.
fn exception(line: &str) -> Option<[&str; 2]> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    let (name, rest) = line.split_at(line.bytes().take_while(is_name).count());
    if !(rest.is_empty() || rest.starts_with(':')) {
        return EXCEPTION.groups(line);
    }
    let message = rest.strip_prefix(':').unwrap_or(rest);
    let named = name.starts_with(|first: char| first == '_' || first.is_ascii_alphabetic());
    named.then(|| [name, message.strip_prefix(' ').unwrap_or(message)])
}

/// The frames of a `Stack (most recent call last):` that a logger printed without an exception.
pub(super) fn stack(text: &str) -> Vec<Frame> {
    let mut reader = Reader::default();
    for line in text.lines() {
        reader.frame(cut::head(line, LINE_MAX));
    }
    let skip = reader.frames.len().saturating_sub(FRAMES_LAST);
    reader.frames.split_off(skip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_keeps_its_printed_order() {
        let text = "boom\nTraceback (most recent call last):\n  File \"/a/b.py\", line 3, in f\n    g(x)\n    ~^^^\nKeyError: 'x'\n\nThe above exception was the direct cause of the following exception:\n\nTraceback (most recent call last):\n  File \"/a/c.py\", line 9, in <module>\n    raise P(\n    ...<3 lines>...\n    )) from e\nodoo.tools.convert.ParseError: while parsing /x.xml:1\n<record/>\n\n";
        let chain = traceback(text);
        assert_eq!(chain.len(), 2);
        assert_eq!((chain[0].exception.as_str(), chain[0].message.as_str()), ("KeyError", "'x'"));
        assert_eq!(chain[0].frames, [Frame { file: "/a/b.py".into(), line: 3, function: "f".into(), source: "g(x)".into() }]);
        assert_eq!(chain[1].message, "while parsing /x.xml:1\n<record/>");
        assert_eq!(chain[1].frames[0].source, "raise P(");
    }

    #[test]
    fn syntax_error_ends_with_a_file_without_function() {
        let text = "Traceback (most recent call last):\n  File \"/m/__init__.py\", line 2\n    pass\n    ^^^^\nIndentationError: expected an indented block\n";
        let chain = traceback(text);
        assert_eq!(chain[0].exception, "IndentationError");
        assert_eq!((chain[0].frames[0].function.as_str(), chain[0].frames[0].line), ("", 2));
    }

    #[test]
    fn exception_without_message() {
        let chain = traceback("Traceback (most recent call last):\n  File \"x\", line 1, in f\nStopIteration\n");
        assert_eq!((chain[0].exception.as_str(), chain[0].message.as_str()), ("StopIteration", ""));
    }

    #[test]
    fn cut_traces_are_still_read() {
        let end_lost = traceback("Traceback (most recent call last):\n  File \"x.py\", line 1, in f\n    go(");
        assert_eq!((end_lost.len(), end_lost[0].exception.as_str()), (1, ""));
        let start_lost = traceback("  File \"x.py\", line 1, in f\n    go()\nKeyError: 'x'");
        assert_eq!(start_lost[0].exception, "KeyError");
    }

    #[test]
    fn recursion_keeps_both_ends() {
        let frames: String = (1..=1500).map(|n| format!("  File \"x.py\", line {n}, in f\n    f()\n")).collect();
        let chain = traceback(&format!("Traceback (most recent call last):\n{frames}RecursionError: deep\n"));
        assert_eq!(chain[0].frames.len(), FRAMES_FIRST + FRAMES_LAST);
        assert_eq!(chain[0].frames.last().unwrap().line, 1500);
    }

    proptest::proptest! {
        #[test]
        fn plain_reading_is_that_of_the_expressions(
            frame in "[ \t\u{a0}]{0,2}File \"[a-z./<>é ]{0,5}\"?(, line )?[0-9٣]{0,11}(, in )?[a-z<>é\" ]{0,4}",
            raised in "[A-Za-z_é.0-9]{0,6}(\\.<locals>\\.[a-z]{0,2})?[:; ]{0,3}[a-z:é]{0,4}",
        ) {
            proptest::prop_assert_eq!(file(&frame), FILE.groups(&frame));
            proptest::prop_assert_eq!(exception(&raised), EXCEPTION.groups(&raised));
            proptest::prop_assert_eq!(exception(&frame), EXCEPTION.groups(&frame));
        }
    }

    #[test]
    fn stack_is_no_traceback() {
        let text = "x\nStack (most recent call last):\n  File \"/a.py\", line 1, in f\n    g()\n";
        assert!(traceback(text).is_empty());
        assert_eq!(stack(text).len(), 1);
    }
}
