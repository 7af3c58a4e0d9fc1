//! What of the texts an answer shows: a part of a long one, or several that stand together.

/// The most lines of a class that are shown before and after the field that was named, where it has many.
const REACH: usize = 15;
/// Lines that are shown whole.
const SHORT: usize = 3 * REACH;

/// A text and the line that it begins in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) start: i32,
    pub(super) end: i32,
    pub(super) text: String,
}

/// Of a long run of statements those around a line.
pub(super) fn around(whole: Lines, line: i32) -> Lines {
    let lines: Vec<&str> = whole.text.lines().collect();
    let at = usize::try_from(line - whole.start).unwrap_or(usize::MAX);
    let Some(named) = lines.get(at).filter(|_| lines.len() > SHORT) else { return whole };
    let depth = indent(named);
    let begins =
        |nth: &usize| lines.get(*nth).is_some_and(|line| indent(line) == depth && !line.trim_start().starts_with([')', ']', '}', '#']));
    // The first line that is shown begins a statement, and the line after the last one does too.
    let first = (at.saturating_sub(REACH)..=at).find(begins).unwrap_or(at);
    let after = (at + 1..=(at + 1 + REACH).min(lines.len())).rev().find(|nth| *nth == lines.len() || begins(nth));
    let after = after.or_else(|| (at + 1..lines.len()).find(begins)).unwrap_or(lines.len());
    let text = lines[first..after].join("\n");
    let start = whole.start + i32::try_from(first).unwrap_or_default();
    Lines { start, end: start + i32::try_from(after - first).unwrap_or_default() - 1, text: text.trim_end().to_owned() }
}

/// Texts of one file as one; what stands between them is left blank, so that its lines stay those of the file.
pub(super) fn joined(mut texts: Vec<Lines>) -> Option<Lines> {
    texts.sort_by_key(|lines| lines.start);
    let mut texts = texts.into_iter();
    let mut whole = texts.next()?;
    for next in texts.filter(|next| next.start > 0) {
        let gap = usize::try_from(next.start - whole.end).unwrap_or_default();
        if gap == 0 {
            continue;
        }
        whole.text.truncate(whole.text.trim_end_matches('\n').len());
        whole.text.push_str(&"\n".repeat(gap));
        whole.text.push_str(&next.text);
        whole.end = next.end;
    }
    Some(whole)
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(fields: usize) -> Lines {
        let mut text = "class A(models.Model):\n    _name = 'a'\n".to_owned();
        for n in 0..fields {
            text.push_str(&format!("    f{n} = fields.Char(\n        'F{n}',\n    )\n"));
        }
        Lines { start: 11, end: 12 + i32::try_from(fields).unwrap() * 3, text }
    }

    #[test]
    fn a_named_field_is_shown_with_its_neighbours() {
        let part = around(class(40), 13 + 3 * 20);
        assert!(
            part.text.starts_with("    f15 = ") && part.text.trim_end().ends_with(')') && part.text.contains("f20 = "),
            "{}",
            part.text
        );
        assert_eq!((part.start, usize::try_from(part.end - part.start + 1).unwrap()), (13 + 3 * 15, part.text.lines().count()));
        assert!(!part.text.contains("f14") && part.text.contains("f24") && !part.text.contains("f26"));
        let (first, last) = (around(class(40), 13), around(class(40), 13 + 3 * 39));
        assert!(first.text.contains("_name") && first.text.contains("f0 =") && last.text.contains("f39"));
        assert_eq!(last.end, class(40).end);
    }

    #[test]
    fn short_and_strange_texts_stay() {
        assert_eq!(around(class(5), 20), class(5));
        assert_eq!(around(class(40), 2), class(40));
        assert_eq!(around(class(40), 5000), class(40));
        let blob = Lines { start: 1, end: 100, text: ")\n".repeat(100) };
        assert!(around(blob, 50).text.lines().count() >= 1);
    }

    #[test]
    fn joined_texts_keep_their_lines() {
        let lines = |start: i32, text: &str| Lines { start, end: start + 1, text: text.to_owned() };
        let whole = joined(vec![lines(8, "e\nf"), lines(1, "a\nb\n"), lines(4, "c\nd")]).unwrap();
        assert_eq!(whole, Lines { start: 1, end: 9, text: "a\nb\n\nc\nd\n\n\ne\nf".to_owned() });
        assert!(joined(Vec::new()).is_none());
    }
}
