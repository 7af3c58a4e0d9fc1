//! READMEs and other prose, by heading.

use super::lines::{Lines, number, short};
use super::{Chunk, FileChunks, Kind, Source, Zone, card, context};

/// The characters that reStructuredText underlines headings with.
const UNDERLINES: &[char] = &['=', '-', '~', '^', '"', '#', '*', '+', '`', '.', ':', '\''];

/// Sections that tell nothing of what an addon does; sorted.
const PEOPLE: &[&str] = &["authors", "bug tracker", "contributors", "credits", "maintainers", "other credits", "table of contents"];

/// Cuts prose up: what stands under a heading, up to the next.
pub(super) fn cut(source: &Source<'_>, found: &mut FileChunks) {
    let rows: Vec<&str> = source.text.lines().collect();
    let is_markdown = !source.path.to_ascii_lowercase().ends_with(".rst");
    let name = source.path.rsplit('/').next().unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    let lines = Lines::of(source.text);
    let mut heads = headings(&rows, is_markdown);
    if heads.first().is_none_or(|head| head.from > 0) {
        heads.insert(0, Head { from: 0, body: 0, title: stem.to_owned() });
    }
    for (place, head) in heads.iter().enumerate() {
        let next = heads.get(place + 1).map_or(rows.len(), |next| next.from);
        let body = rows.get(head.body..next).unwrap_or_default();
        let Some(last) = body.iter().rposition(|row| row.chars().any(char::is_alphabetic)) else { continue };
        if PEOPLE.binary_search(&head.title.to_lowercase().as_str()).is_ok() {
            continue;
        }
        let (start_line, end_line) = (number(head.from + 1), number(head.body + last + 1));
        let prose = body.join("\n");
        let added = found.add(Chunk {
            kind: Kind::Section,
            symbol: short(&head.title, 100),
            odoo_model: None,
            lang: None,
            start_line,
            end_line,
            title: short(&head.title, 100),
            text: lines.text(start_line, end_line).to_owned(),
            card: Some(card::section(source, &head.title, &prose)),
            zones: vec![(Zone::Name, head.title.clone()), (Zone::Body, prose), context(source)],
        });
        if added.is_none() {
            return;
        }
    }
}

/// A heading: its first row, the row after it, counted from 0, and its text.
struct Head {
    from: usize,
    body: usize,
    title: String,
}

fn headings(rows: &[&str], is_markdown: bool) -> Vec<Head> {
    let mut heads: Vec<Head> = Vec::new();
    let mut in_code = false;
    for (place, row) in rows.iter().enumerate() {
        let fence = row.trim_start().starts_with("```") || row.trim_start().starts_with("~~~");
        if is_markdown && fence {
            in_code = !in_code;
        }
        if in_code || heads.last().is_some_and(|head| head.body > place) {
            continue;
        }
        if is_markdown && let Some(title) = hashed(row) {
            heads.push(Head { from: place, body: place + 1, title: title.to_owned() });
        } else if let Some(under) = rows.get(place + 1)
            && is_underlined(row, under, is_markdown)
        {
            // The line above belongs to a heading that has one on either side.
            let over = place > 0 && !is_markdown && rows.get(place - 1).is_some_and(|over| over.trim_end() == under.trim_end());
            heads.push(Head { from: place - usize::from(over), body: place + 2, title: row.trim().to_owned() });
        }
    }
    heads
}

/// `## Title`.
fn hashed(row: &str) -> Option<&str> {
    let title = row.trim_start_matches('#');
    let level = row.len() - title.len();
    let title = title.strip_prefix([' ', '\t'])?.trim().trim_end_matches('#').trim();
    ((1..=6).contains(&level) && !title.is_empty()).then_some(title)
}

fn is_underlined(row: &str, under: &str, is_markdown: bool) -> bool {
    let under = under.trim_end();
    let Some(first) = under.chars().next() else { return false };
    let known = if is_markdown { matches!(first, '=' | '-') } else { UNDERLINES.contains(&first) };
    known
        && under.len() >= 3
        && under.chars().all(|c| c == first)
        && under.len() + 2 >= row.trim().chars().count()
        && row.chars().any(char::is_alphanumeric)
        && !row.starts_with([' ', '\t', '|'])
}

#[cfg(test)]
mod tests {
    use super::super::cut;
    use super::*;

    fn of(name: &str, text: &str) -> Vec<(String, u32, u32)> {
        let found = cut(&Source { module: Some("shop"), path: &format!("shop/{name}"), text });
        assert!(found.chunks.iter().all(|chunk| chunk.kind == Kind::Section && chunk.card.is_some()));
        found.chunks.into_iter().map(|chunk| (chunk.symbol, chunk.start_line, chunk.end_line)).collect()
    }

    fn expected(sections: &[(&str, u32, u32)]) -> Vec<(String, u32, u32)> {
        sections.iter().map(|(title, first, last)| ((*title).to_owned(), *first, *last)).collect()
    }

    #[test]
    fn markdown_is_cut_at_headings() {
        let text = "Intro text\n\n# Shop #\nSells things.\n```\n# no heading\n```\n\nUsage\n-----\nClick it.\n\n## Empty\n\n## Credits\nme\n## Last\nbye\n";
        assert_eq!(of("README.md", text), expected(&[("README", 1, 1), ("Shop", 3, 6), ("Usage", 9, 11), ("Last", 17, 18)]));
    }

    #[test]
    fn restructured_text_is_cut_at_headings() {
        let text = "====\nShop\n====\n\nSells things.\n\nUsage\n=====\n\n#. Click it.\n\n=== ===\nA   B\n=== ===\n";
        assert_eq!(of("README.rst", text), expected(&[("Shop", 1, 5), ("Usage", 7, 13)]));
        assert_eq!(of("readme/USAGE.rst", "Click it."), expected(&[("USAGE", 1, 1)]));
    }

    #[test]
    fn garbage_is_survived() {
        for text in ["", "\n\n", "===\n===\n===", "#", "####### a", "a\n---", &"a\n===\n".repeat(30_000)] {
            let _ = of("README.md", text);
            let _ = of("README.rst", text);
        }
    }
}
