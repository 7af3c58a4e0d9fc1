//! From exact-match edits to a patch, or to the reasons why not. This is about their form; what a patch may do is for the `guard`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::domain::{FileChange, Patch, RelPath};
use crate::odoo::Addon;

/// The most edits of one answer.
const MAX_EDITS: usize = 100;
/// The most bytes that all edits together may hold.
const MAX_BYTES: usize = 1024 * 1024;
/// One edit, as Claude writes it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Edit {
    pub(super) path: String,
    pub(super) find: String,
    pub(super) replace: String,
}

/// One file while edits are made to it, with `\n` between its lines.
struct Draft {
    before: Option<String>,
    now: String,
    crlf: bool,
}

/// The edits as one patch of `addon`. All of them or none: half a fix proves nothing.
pub(super) fn to_patch(addon: &Addon, edits: &[Edit]) -> Result<Patch, Vec<String>> {
    if edits.len() > MAX_EDITS || edits.iter().map(|edit| edit.path.len() + edit.find.len() + edit.replace.len()).sum::<usize>() > MAX_BYTES
    {
        return Err(vec![format!("the edits are too large: at most {MAX_EDITS} edits and {MAX_BYTES} bytes")]);
    }
    let mut drafts = BTreeMap::new();
    let mut refused: Vec<String> = edits.iter().filter_map(|edit| apply(addon, &mut drafts, edit).err()).collect();
    let changes: Vec<FileChange> = drafts.into_iter().map(|(path, draft)| draft.finish(path)).collect();
    refused.dedup();
    if refused.is_empty() { Patch::new(changes).map_err(|error| vec![error.to_string()]) } else { Err(refused) }
}

fn apply(addon: &Addon, drafts: &mut BTreeMap<RelPath, Draft>, edit: &Edit) -> Result<(), String> {
    let path: RelPath = edit.path.parse().map_err(|error: crate::domain::PatchError| error.to_string())?;
    if !drafts.contains_key(&path) {
        drafts.insert(path.clone(), Draft::of(addon, &path)?);
    }
    let Some(draft) = drafts.get_mut(&path) else { return Ok(()) };
    let (find, replace) = (edit.find.replace("\r\n", "\n"), edit.replace.replace("\r\n", "\n"));
    if find.is_empty() {
        if !draft.now.is_empty() {
            return Err(format!("{path} exists: an edit of it must say what to replace"));
        }
        draft.now = replace;
        return Ok(());
    }
    let Some(at) = draft.now.find(&find) else { return Err(format!("the text to replace is not in {path}")) };
    let next = at + find.chars().next().map_or(1, char::len_utf8);
    if draft.now[next..].contains(&find) {
        return Err(format!("the text to replace occurs more than once in {path}"));
    }
    draft.now.replace_range(at..at + find.len(), &replace);
    Ok(())
}

impl Draft {
    fn of(addon: &Addon, path: &RelPath) -> Result<Self, String> {
        let Some((_, bytes)) = addon.files().find(|(found, _)| *found == path) else {
            return Ok(Self { before: None, now: String::new(), crlf: false });
        };
        let text = std::str::from_utf8(bytes).map_err(|_| format!("{path} is not UTF-8"))?;
        let crlf = text.contains("\r\n") && text.matches("\r\n").count() == text.matches('\n').count();
        let now = if crlf { text.replace("\r\n", "\n") } else { text.to_owned() };
        Ok(Self { before: Some(text.to_owned()), now, crlf })
    }

    fn finish(self, path: RelPath) -> FileChange {
        let after = if self.crlf { self.now.replace('\n', "\r\n") } else { self.now };
        FileChange { path, before: self.before, after }
    }
}
