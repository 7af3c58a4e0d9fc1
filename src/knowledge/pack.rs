//! Answers to spans for a prompt: the most useful of them within a number of tokens, each with its place. Pure.

use serde::Serialize;

use super::Hit;

/// Bytes of source that make a token, at the least: a prompt is rather too small than too large.
const BYTES_PER_TOKEN: usize = 3;
/// What the lines around a span cost.
const FRAME_TOKENS: usize = 24;
/// The fewest lines of a text that are worth showing.
const MIN_LINES: usize = 4;

/// A piece of a text with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Span {
    /// `module/path/file.py:12-40`, or the name of what no file holds.
    pub place: String,
    /// Why it was found.
    pub why: String,
    /// The text; where lines were left out it says so.
    pub text: String,
    /// The names of the answers it is made of.
    pub refs: Vec<String>,
}

/// The tokens that texts share.
pub struct Room {
    left: usize,
}

impl Room {
    /// So many tokens.
    pub const fn new(tokens: usize) -> Self {
        Self { left: tokens }
    }

    /// What fits of the next text. Unless it is the only one it may take half of what is left, so that one long text does not push out all
    /// others. `None` if hardly anything would fit.
    pub fn take(&mut self, text: &str, only: bool) -> Option<String> {
        let room = self.left.saturating_sub(FRAME_TOKENS);
        let share = if only { room } else { room.div_ceil(2).max(room.min(200)) };
        let text = shortened(text, share * BYTES_PER_TOKEN)?;
        self.left = self.left.saturating_sub(text.len().div_ceil(BYTES_PER_TOKEN) + FRAME_TOKENS);
        Some(text)
    }
}

/// The spans of the best answers that fit into `tokens`. Answers that lie in one another are one span.
pub fn pack(hits: &[Hit], tokens: usize) -> Vec<Span> {
    let mut room = Room::new(tokens);
    let mut spans: Vec<(Span, Option<Lines>)> = Vec::new();
    for hit in hits {
        let lines = Lines::of(hit);
        if let Some((span, _)) =
            spans.iter_mut().find(|(_, known)| known.as_ref().zip(lines.as_ref()).is_some_and(|(known, lines)| known.holds(lines)))
        {
            span.refs.push(hit.r#ref.clone());
            continue;
        }
        let Some(text) = room.take(&hit.text, hits.len() == 1) else { continue };
        let place = match &lines {
            Some(lines) => format!("{}:{}-{}", lines.path, lines.start, lines.end),
            None => hit.r#ref.clone(),
        };
        spans.push((Span { place, why: hit.why.clone(), text, refs: vec![hit.r#ref.clone()] }, lines));
    }
    spans.into_iter().map(|(span, _)| span).collect()
}

struct Lines {
    path: String,
    version: Option<String>,
    start: i32,
    end: i32,
}

impl Lines {
    fn of(hit: &Hit) -> Option<Self> {
        Some(Self { path: hit.path.clone()?, version: hit.version.clone(), start: hit.start_line?, end: hit.end_line? })
    }

    fn holds(&self, other: &Self) -> bool {
        self.path == other.path && self.version == other.version && self.start <= other.start && other.end <= self.end
    }
}

/// The text in at most so many bytes: its beginning and its end, cut between lines. `None` if hardly anything would be left.
fn shortened(text: &str, bytes: usize) -> Option<String> {
    let text = text.trim_end();
    if text.len() <= bytes {
        return (!text.is_empty()).then(|| text.to_owned());
    }
    let lines: Vec<&str> = text.lines().collect();
    let room = bytes.saturating_sub(40);
    let (mut head, mut tail, mut used) = (0, 0, 0);
    // Two lines of the beginning for each of the end: what something takes and is called stands first, what it returns last.
    while head + tail < lines.len() {
        let from_end = tail * 2 < head;
        let line = if from_end { lines[lines.len() - 1 - tail] } else { lines[head] };
        if used + line.len() + 1 > room {
            break;
        }
        used += line.len() + 1;
        if from_end { tail += 1 } else { head += 1 }
    }
    if head + tail < MIN_LINES {
        return None;
    }
    let gone = lines.len() - head - tail;
    let mut parts = lines[..head].join("\n");
    parts.push_str(&format!("\n… {gone} lines left out …\n"));
    parts.push_str(&lines[lines.len() - tail..].join("\n"));
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(name: &str, start: i32, end: i32, text: &str) -> Hit {
        Hit {
            score: 1.0,
            why: "named".to_owned(),
            doc_type: "core".to_owned(),
            kind: "method".to_owned(),
            module: Some("sale".to_owned()),
            version: Some("19.0".to_owned()),
            also: Vec::new(),
            path: Some("sale/models/s.py".to_owned()),
            symbol: Some(name.to_owned()),
            odoo_model: None,
            start_line: Some(start),
            end_line: Some(end),
            r#ref: name.to_owned(),
            title: name.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn what_lies_in_another_is_not_shown_twice() {
        let hits = [hit("A", 1, 50, "class A:\n  …"), hit("A.f", 10, 20, "def f(self): …"), hit("B", 60, 61, "x = 1\ny = 2")];
        let spans = pack(&hits, 1000);
        assert_eq!(spans.iter().map(|span| span.place.as_str()).collect::<Vec<_>>(), ["sale/models/s.py:1-50", "sale/models/s.py:60-61"]);
        assert_eq!(spans[0].refs, ["A", "A.f"]);
    }

    #[test]
    fn the_budget_holds_whatever_comes() {
        let long = "        some = line_of_code(with_arguments)\n".repeat(500);
        let hits: Vec<Hit> = (0..20).map(|n| hit(&format!("m{n}"), n * 1000, n * 1000 + 500, &long)).collect();
        for tokens in [0, 10, 100, 1_000, 8_000] {
            let spans = pack(&hits, tokens);
            let bytes: usize = spans.iter().map(|span| span.text.len()).sum();
            assert!(bytes <= tokens * BYTES_PER_TOKEN, "{tokens}: {bytes}");
        }
        assert!(pack(&hits, 8_000).len() > 3, "one long answer pushed out all others");
    }

    #[test]
    fn what_is_left_out_is_said() {
        let text: String = (0..100).map(|n| format!("line {n}\n")).collect();
        let short = shortened(&text, 300).unwrap();
        assert!(short.starts_with("line 0\n") && short.ends_with("line 99") && short.contains("lines left out"));
        assert!(shortened("one very long line that does not fit at all", 10).is_none());
    }
}
