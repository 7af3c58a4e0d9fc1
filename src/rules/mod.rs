//! Deduce: errors whose fix is known, as one visible list of rules, one file each.
//!
//! A rule looks at the whole addon, since behind the first fault of a kind Odoo would stop at the next one. It edits spans that a
//! parser found and leaves what it does not understand as it is: a wrong change is worse than none.
//! Rules never do IO, never look at an addon's name to decide, and never say that a fix works: only the sandbox does.

mod access_rules;
mod additive;
mod addon_name;
mod attachment_raw;
mod attrs_to_expressions;
mod compute_unassigned;
mod constraint_column;
mod csv_unknown_reference;
pub(crate) mod dangling;
mod data_order;
mod description_encoding;
pub(crate) mod edit;
mod empty_in;
mod escape_ampersand;
mod explicit_commit;
mod external_id;
mod field_name;
mod frames;
mod group_expand;
mod hook_signature;
mod import_map;
pub mod known;
mod loop_variable;
mod manifest_missing_file;
mod meaning;
mod method_name;
mod missing_depends;
mod missing_import;
mod missing_return;
mod model_name;
mod moved;
mod moved_anchor;
mod near;
mod own_package_import;
mod python_syntax;
mod record_field;
mod renamed_addon;
mod renamed_field;
mod renamed_key;
mod renamed_method;
mod renamed_odoo_model;
mod renamed_record;
mod renames;
mod required_default;
mod required_value;
mod schema_tag;
mod scope;
mod search_group_attributes;
mod series;
mod sql_constraints;
mod t_esc;
mod template_field;
mod tree_to_list;
mod unimported_file;
mod used_as;
mod view_anchor;
mod view_button;
mod view_field;
mod words;

#[cfg(test)]
mod testing;
#[cfg(test)]
pub(crate) mod testing_index;

pub use moved::is_renamed_record;
pub use series::ported;

use crate::domain::{Applicability, ErrorClass, ErrorReport, FileChange, OdooVersion, Patch, RelPath, Source};
use crate::odoo::source::Index;
use crate::odoo::{Addon, Manifest};

/// Version of the rule set, stored with outcomes. Raise it when a rule comes, goes or gives another patch.
///
/// - 1: the first 13 rules.
/// - 3: faults in Python that any Odoo shows; tables of what changed as data.
/// - 4: what the sources define is asked; proposals that are not sure.
/// - 5: addons, Odoo models and records that Odoo renamed; what is known of Odoo 20.
/// - 6: a script before an upgrade beside a default; SQL over no values, commits in between, names in templates.
/// - 7: each candidate says whether it is safe, by what the tables of changes say of the meaning and by what it takes away; more rows.
/// - 8: a misspelling is told by the words that are in use; what was merged, moved or asked for with its condition is safe where it is all there.
///   More answers that the sources determine; slips in attributes of data files; imports that nothing uses.
/// - 10: the tables of changes hold what the upgrade scripts of 16 to 19 and their notes say; a field that an addon at hand defines under an old
///   name is left alone.
pub const VERSION: u32 = 10;

/// The last major version of Odoo that the rules were run against. What a table says of a later one was only read, so it is not sure.
const LAST_RUN: u8 = 19;

/// Every rule, the surest first: candidates are tried in this order.
pub const ALL: &[Rule] = &[
    tree_to_list::RULE,
    attrs_to_expressions::RULE,
    search_group_attributes::RULE,
    renamed_field::RULE,
    renamed_key::RULE,
    moved_anchor::RULE,
    import_map::RULE,
    renamed_method::RULE,
    renamed_addon::RULE,
    renamed_odoo_model::RULE,
    renamed_record::RULE,
    t_esc::RULE,
    attachment_raw::RULE,
    own_package_import::RULE,
    unimported_file::RULE,
    hook_signature::RULE,
    sql_constraints::RULE,
    access_rules::RULE,
    manifest_missing_file::RULE,
    data_order::RULE,
    csv_unknown_reference::RULE,
    escape_ampersand::RULE,
    schema_tag::RULE,
    description_encoding::RULE,
    series::RULE,
    group_expand::RULE,
    python_syntax::RULE,
    missing_import::RULE,
    compute_unassigned::RULE,
    loop_variable::RULE,
    missing_return::RULE,
    missing_depends::RULE,
    field_name::RULE,
    model_name::RULE,
    view_field::RULE,
    view_anchor::RULE,
    view_button::RULE,
    external_id::RULE,
    record_field::RULE,
    method_name::RULE,
    addon_name::RULE,
    required_value::RULE,
    required_default::RULE,
    constraint_column::RULE,
    empty_in::RULE,
    explicit_commit::RULE,
    template_field::RULE,
    dangling::RULE,
];

/// One error and the sources that it comes from.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What was read out of the log.
    pub report: &'a ErrorReport,
    /// The addon that may be changed.
    pub addon: &'a Addon,
    /// The series of Odoo that it runs on.
    pub version: &'a OdooVersion,
    /// What the addon, the other addons at hand and Odoo itself define, as far as it is known.
    pub index: Index<'a>,
}

/// A change that a rule proposes.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// One sentence: what it changes and why.
    pub summary: String,
    /// The change.
    pub patch: Patch,
    /// How much of a person's judgement it needs.
    pub applicability: Applicability,
    /// One sentence: why it is not safe; `None` if it is.
    pub doubt: Option<String>,
    /// Whether it takes away what the addon had, so that it comes after what keeps it.
    pub takes_away: bool,
}

/// A proposal with the name of its rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The rule.
    pub rule: &'static str,
    /// One sentence: what it changes and why.
    pub summary: String,
    /// The change.
    pub patch: Patch,
    /// How much of a person's judgement it needs.
    pub applicability: Applicability,
    /// One sentence: why it is not safe; `None` if it is.
    pub doubt: Option<String>,
}

impl Candidate {
    /// Whether it keeps what the code means, so that a machine may apply it once it is proven.
    pub fn is_safe(&self) -> bool {
        self.applicability == Applicability::Safe
    }

    /// Its name as a source of fixes: that of the rule, with a `?` behind it where it is not safe.
    pub fn name(&self) -> String {
        if self.is_safe() { self.rule.to_owned() } else { format!("{}{}", self.rule, Source::UNSURE) }
    }
}

/// A known fault and its fix.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The name of the fault or of the fix, and of the file.
    pub name: &'static str,
    /// The classes of error that it is tried for.
    pub classes: &'static [ErrorClass],
    /// The first major version of Odoo in which the fix is right.
    pub since: u8,
    /// Its proposals, the best first; none if it does not understand the case.
    pub propose: fn(&Case<'_>) -> Vec<Proposal>,
}

/// What the rules propose, in the order of [`ALL`], each patch once: safe ones first, then those that take nothing away, then the others;
/// what is only to be shown comes last.
pub fn propose(case: &Case<'_>) -> Vec<Candidate> {
    let mut found: Vec<(bool, Candidate)> = Vec::new();
    let fits = |rule: &&Rule| rule.since <= case.version.major() && rule.classes.contains(&case.report.class);
    for rule in ALL.iter().filter(fits) {
        for Proposal { summary, patch, applicability, doubt, takes_away } in (rule.propose)(case) {
            let known = found.iter_mut().find(|(_, known)| known.patch == patch);
            let candidate = (takes_away, Candidate { rule: rule.name, summary, patch, applicability, doubt });
            match known {
                // One that has a reason to be sure knows more than one that only has no reason.
                Some(known) if known.1.applicability < applicability => *known = candidate,
                Some(_) => {}
                None => found.push(candidate),
            }
        }
    }
    found.sort_by_key(|(takes_away, candidate)| (std::cmp::Reverse(candidate.applicability), *takes_away));
    found.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Every file with this extension that `edit` changes.
fn changed(addon: &Addon, extension: &str, edit: impl Fn(&str) -> Option<String>) -> Vec<FileChange> {
    let texts = addon.texts(extension).filter(|(_, text)| text.len() <= edit::MAX_FILE);
    texts.filter_map(|(path, text)| Some(change(path, text, edit(text)?))).collect()
}

/// How often the addon's Python has `name` as a whole word.
fn mentioned_in_code(addon: &Addon, name: &str) -> usize {
    addon.texts("py").map(|(_, text)| scope::mentions(text, name)).sum()
}

fn change(path: &RelPath, before: &str, after: String) -> FileChange {
    FileChange { path: path.clone(), before: Some(before.to_owned()), after }
}

/// A change of the manifest.
fn manifest_change(addon: &Addon, edit: impl FnOnce(&str, &Manifest) -> Option<String>) -> Option<FileChange> {
    let path = addon.path("__manifest__.py")?;
    let text = addon.text(&path)?;
    Some(change(&path, text, edit(text, &addon.manifest()?)?))
}

/// One safe proposal of these changes, or none if nothing would change or it would be too much.
fn proposal(summary: impl Into<String>, changes: Vec<FileChange>) -> Vec<Proposal> {
    let safe = |patch| Proposal { summary: summary.into(), patch, applicability: Applicability::Safe, doubt: None, takes_away: false };
    Patch::new(changes).map(safe).into_iter().collect()
}

/// The same, not safe for the reason that `doubt` gives.
fn unsure(summary: impl Into<String>, doubt: impl Into<String>, changes: Vec<FileChange>) -> Vec<Proposal> {
    let doubt = doubt.into();
    let doubtful = |found: Proposal| Proposal { applicability: Applicability::Unsafe, doubt: Some(doubt.clone()), ..found };
    proposal(summary, changes).into_iter().map(doubtful).collect()
}

/// The same, of what takes away something that the addon had.
fn removal(summary: impl Into<String>, doubt: impl Into<String>, changes: Vec<FileChange>) -> Vec<Proposal> {
    unsure(summary, doubt, changes).into_iter().map(|found| Proposal { takes_away: true, ..found }).collect()
}

/// The same, of what may well be wrong and shows where to look.
fn hint(summary: impl Into<String>, doubt: impl Into<String>, changes: Vec<FileChange>) -> Vec<Proposal> {
    let only_shown = |found: Proposal| Proposal { applicability: Applicability::DisplayOnly, ..found };
    unsure(summary, doubt, changes).into_iter().map(only_shown).collect()
}

/// Safe where nothing speaks against it.
fn graded(summary: impl Into<String>, doubt: Option<String>, changes: Vec<FileChange>) -> Vec<Proposal> {
    match doubt {
        Some(doubt) => unsure(summary, doubt, changes),
        None => proposal(summary, changes),
    }
}

/// What the rows of a table give, by the major version: not safe where rows of a version after [`LAST_RUN`] take part, nor where `doubt`
/// has something against the rows.
fn by_rows(case: &Case<'_>, summary: impl Into<String>, doubt: Option<String>, changes: impl Fn(u8) -> Vec<FileChange>) -> Vec<Proposal> {
    let major = case.version.major();
    let found = changes(major);
    let only_read = (major > LAST_RUN && changes(LAST_RUN) != found).then(|| meaning::only_read(major));
    graded(summary, doubt.or(only_read), found)
}

/// What differs between two states of an addon.
fn differences(before: &Addon, after: &Addon) -> Vec<FileChange> {
    let texts = after.files().filter_map(|(path, _)| Some((path, before.text(path)?, after.text(path)?)));
    texts.filter(|(_, old, new)| old != new).map(|(path, old, new)| change(path, old, new.to_owned())).collect()
}

/// The addon with these changes.
fn changed_by(addon: Addon, changes: Vec<FileChange>) -> Addon {
    match Patch::new(changes) {
        Ok(patch) => addon.with(&patch),
        Err(_) => addon,
    }
}

#[cfg(test)]
mod tests;
