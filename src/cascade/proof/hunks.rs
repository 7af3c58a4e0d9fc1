//! The hunks of a patch, and the patch without some of them.

use std::ops::Range;
use std::time::Duration;

use similar::{DiffOp, TextDiff};

use crate::domain::{FileChange, Patch, PatchError, RelPath};

/// Lines of context that keep two changes in one hunk, as in a unified diff.
const CONTEXT: usize = 3;
/// How long two texts may be compared; later the comparison is coarser.
const MAX_COMPARING: Duration = Duration::from_secs(1);

/// One hunk: changes of one file that stand close together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cascade) struct Part {
    /// The file.
    pub(in crate::cascade) path: RelPath,
    /// The changes: lines before and lines after, counted from 0.
    pub(in crate::cascade) changes: Vec<(Range<usize>, Range<usize>)>,
    /// Whether the file is new, so that the hunk is all of it.
    pub(in crate::cascade) is_new_file: bool,
}

impl Part {
    /// The first line in the patched file, counted from 1.
    pub(in crate::cascade) fn line(&self) -> u32 {
        let first = self.changes.first().map_or(0, |(_, after)| after.start);
        u32::try_from(first + 1).unwrap_or(u32::MAX)
    }

    /// Number of changed lines in the patched file.
    pub(in crate::cascade) fn lines(&self) -> u32 {
        let count: usize = self.changes.iter().map(|(_, after)| after.len()).sum();
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

/// The hunks of a patch, by file and line.
pub(in crate::cascade) fn parts(patch: &Patch) -> Vec<Part> {
    patch.changes().iter().flat_map(parts_of).collect()
}

fn parts_of(change: &FileChange) -> Vec<Part> {
    let Some(before) = &change.before else {
        let whole = 0..change.after.lines().count();
        return vec![Part { path: change.path.clone(), changes: vec![(0..0, whole)], is_new_file: true }];
    };
    let diff = TextDiff::configure().timeout(MAX_COMPARING).diff_lines(before.as_str(), change.after.as_str());
    let groups = diff.grouped_ops(CONTEXT).into_iter().map(|group| {
        let changed = group.iter().filter(|op| !matches!(op, DiffOp::Equal { .. }));
        changed.map(|op| (op.old_range(), op.new_range())).collect::<Vec<_>>()
    });
    groups.map(|changes| Part { path: change.path.clone(), changes, is_new_file: false }).collect()
}

/// The patch with these hunks taken back; fails with [`PatchError::Empty`] if nothing is left.
pub(in crate::cascade) fn without(patch: &Patch, taken_back: &[&Part]) -> Result<Patch, PatchError> {
    let changes = patch.changes().iter().filter_map(|change| {
        let parts: Vec<&&Part> = taken_back.iter().filter(|part| part.path == change.path).collect();
        let Some(before) = &change.before else { return parts.is_empty().then(|| change.clone()) };
        Some(FileChange { after: rebuilt(before, &change.after, &parts), ..change.clone() })
    });
    Patch::new(changes.collect())
}

fn rebuilt(before: &str, after: &str, taken_back: &[&&Part]) -> String {
    let diff = TextDiff::configure().timeout(MAX_COMPARING).diff_lines(before, after);
    let is_back = |op: &DiffOp| taken_back.iter().any(|part| part.changes.contains(&(op.old_range(), op.new_range())));
    let mut text = String::with_capacity(after.len());
    for op in diff.ops() {
        if is_back(op) {
            text.extend(op.old_range().filter_map(|line| diff.old_slice(line)));
        } else {
            text.extend(op.new_range().filter_map(|line| diff.new_slice(line)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(changes: &[(&str, Option<&str>, &str)]) -> Patch {
        let change = |(path, before, after): &(&str, Option<&str>, &str)| FileChange {
            path: path.parse().unwrap(),
            before: before.map(str::to_owned),
            after: (*after).to_owned(),
        };
        Patch::new(changes.iter().map(change).collect()).unwrap()
    }

    const BEFORE: &str = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\n";
    const AFTER: &str = "A\nb\nc\nd\ne\nf\ng\nh\ni\nj\nK\nl\n";

    #[test]
    fn changes_far_apart_are_two_hunks() {
        let found = parts(&patch(&[("m/a.py", Some(BEFORE), AFTER), ("m/b.py", None, "x\ny\n")]));
        let told: Vec<_> = found.iter().map(|part| (part.path.as_str(), part.line(), part.lines())).collect();
        assert_eq!(told, [("m/a.py", 1, 1), ("m/a.py", 11, 2), ("m/b.py", 1, 2)]);
        let near = parts(&patch(&[("m/a.py", Some("a\nb\nc\n"), "A\nb\nC\n")]));
        assert_eq!(near.len(), 1);
        assert_eq!(near[0].changes, [(0..1, 0..1), (2..3, 2..3)]);
    }

    #[test]
    fn hunk_is_taken_back_alone() {
        let whole = patch(&[("m/a.py", Some(BEFORE), AFTER), ("m/b.py", None, "x\n")]);
        let found = parts(&whole);
        let second = without(&whole, &[&found[0]]).unwrap();
        assert_eq!(second.changes()[0].after, "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nK\nl\n");
        let first = without(&whole, &[&found[1], &found[2]]).unwrap();
        assert_eq!(first.changes().len(), 1, "the new file is gone");
        assert_eq!(first.changes()[0].after, "A\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\n");
        assert_eq!(without(&whole, &found.iter().collect::<Vec<_>>()), Err(PatchError::Empty));
    }
}
