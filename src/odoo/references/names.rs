//! Names that stand by themselves: Odoo models, paths of fields, external ids, groups, what the manifest names.

use super::world::Member;
use super::{Check, Kind, Place};
use crate::odoo::source::{Index, Names};

/// The most steps of a path that are followed.
const MAX_STEPS: usize = 10;

impl Check<'_, '_> {
    /// An Odoo model by its name.
    pub(super) fn odoo_model(&self, place: Place<'_>, name: &str) {
        self.sink.checked();
        if !self.world.lacks_model(name) {
            return;
        }
        let owners = self.world.index.owners(name);
        let what = match owners.first() {
            Some(owner) => format!("the Odoo model {name} is of {owner}, which {} does not depend on", self.world.module),
            None => format!("Odoo {} has no Odoo model {name}", self.version),
        };
        self.sink.unresolved(place, Kind::OdooModel, name, None, what);
    }

    /// One field of an Odoo model. Says whether it may be there.
    pub(super) fn field(&self, place: Place<'_>, odoo_model: &str, name: &str, on_self: bool) -> bool {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return false;
        }
        self.sink.checked();
        match self.world.member(odoo_model, name, on_self) {
            Member::Field | Member::Unknown => true,
            Member::Other if name == "id" => true,
            Member::Missing | Member::Other => {
                self.missing(place, Kind::Field, odoo_model, name);
                false
            }
        }
    }

    /// A method that is called by its name.
    pub(super) fn method(&self, place: Place<'_>, odoo_model: &str, name: &str, on_self: bool) {
        self.sink.checked();
        if self.world.member(odoo_model, name, on_self) == Member::Missing {
            self.missing(place, Kind::Method, odoo_model, name);
        }
    }

    /// Says that an Odoo model lacks a name.
    pub(super) fn missing(&self, place: Place<'_>, kind: Kind, odoo_model: &str, name: &str) {
        let thing = if kind == Kind::Method { "method" } else { "field" };
        let elsewhere = self.world.elsewhere(odoo_model, name);
        let hint = match elsewhere.as_slice() {
            [] => String::new(),
            [only, ..] => format!("; {only} has it, which {} does not depend on", self.world.module),
        };
        self.sink.unresolved(
            place,
            kind,
            name,
            Some(odoo_model),
            format!("{odoo_model} has no {thing} {name} in Odoo {}{hint}", self.version),
        );
    }

    /// A path of fields, `partner_id.country_id.code`, from an Odoo model on.
    pub(super) fn path(&self, place: Place<'_>, odoo_model: &str, path: &str, on_self: bool) -> Option<String> {
        let mut at = odoo_model.to_owned();
        let mut on_self = on_self;
        for name in path.split('.').take(MAX_STEPS) {
            if name == "id" {
                return None;
            }
            if !self.field(place, &at, name, on_self) {
                return None;
            }
            on_self = false;
            at = self.world.comodel(&at, name)?;
        }
        Some(at)
    }

    /// An order, `date desc, id`, or the names of fields with what is made of them, `amount:sum`.
    pub(super) fn listed(&self, place: Place<'_>, odoo_model: &str, list: &str, on_self: bool) {
        for part in list.split(',') {
            let name = part.split_whitespace().next().unwrap_or_default();
            let name = name.split([':', '(']).next().unwrap_or_default();
            let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
            if is_name && !name.starts_with("__") {
                self.path(place, odoo_model, name, on_self);
            }
        }
    }

    /// An external id; one without an addon's name is the addon's own.
    pub(super) fn external_id(&self, place: Place<'_>, id: &str, kind: Kind) {
        let id = id.trim();
        let is_id = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
        if !is_id {
            return;
        }
        let full = if id.contains('.') { id.to_owned() } else { format!("{}.{id}", self.world.module) };
        let Some((module, name)) = full.split_once('.') else { return };
        self.sink.checked();
        if !self.world.is_whole() || self.world.has_id(&full) {
            return;
        }
        // Records that Odoo or a hook makes while it runs, such as those of a chart of accounts, stand in no file.
        if name.contains('.') || name.starts_with(|c: char| c.is_ascii_digit()) || self.is_made_by_code(module, name) {
            return;
        }
        let thing = match kind {
            Kind::Group => "group",
            Kind::Template => "view or template",
            _ => "record",
        };
        let what = match self.world.index.module(module) {
            None => format!("the {thing} {full} is of the addon {module}, which Odoo {} does not have", self.version),
            Some(_) if !self.world.scope.contains(module) => {
                format!("the {thing} {full} is of {module}, which {} does not depend on", self.world.module)
            }
            Some(_) => format!("{module} has no {thing} {name} in Odoo {}", self.version),
        };
        self.sink.unresolved(place, kind, &full, None, what);
    }

    /// Whether the addon's own Python names the id, so that it may make the record.
    fn is_made_by_code(&self, module: &str, name: &str) -> bool {
        let quoted = [format!("\"{name}\""), format!("'{name}'")];
        module == self.world.module && self.addon.texts("py").any(|(_, text)| quoted.iter().any(|quoted| text.contains(quoted)))
    }

    /// Groups as they stand in `groups`: `base.group_user,!base.group_system`.
    pub(super) fn groups(&self, place: Place<'_>, groups: &str) {
        for group in groups.split(',').map(|group| group.trim().trim_start_matches(['!', '-'])) {
            if group.contains('.') && group != "base.group_no_one" {
                self.external_id(place, group, Kind::Group);
            }
        }
    }

    /// A value of a selection.
    pub(super) fn selection(&self, place: Place<'_>, odoo_model: &str, field: &str, value: &str) {
        let Some(values) = self.world.selection(odoo_model, field) else { return };
        self.sink.checked();
        if !value.is_empty() && !values.contains(value) {
            let known: Vec<&str> = values.into_iter().take(8).collect();
            let what = format!("{odoo_model}.{field} has no value {value} in Odoo {}; it has {}", self.version, known.join(", "));
            self.sink.unresolved(place, Kind::SelectionValue, value, Some(odoo_model), what);
        }
    }
}

/// The addons and the files that the manifest names.
pub(super) fn manifest(check: &Check<'_, '_>) {
    let Some(path) = check.addon.path("__manifest__.py") else { return };
    let (Some(text), Some(manifest)) = (check.addon.text(&path), check.addon.manifest()) else { return };
    let line = |at: usize| u32::try_from(text[..at.min(text.len())].matches('\n').count() + 1).unwrap_or(u32::MAX);
    let items = |key: &str| manifest.list(key).map(|list| list.items).unwrap_or_default();
    for item in items("depends") {
        check.sink.checked();
        if check.world.index.knows_core() && !check.world.index.is_partial() && check.world.index.module(&item.value).is_none() {
            let what = format!("neither the addons at hand nor Odoo {} have the addon {}", check.version, item.value);
            check.sink.unresolved(Place { path: path.as_str(), line: line(item.range.start) }, Kind::Addon, &item.value, None, what);
        }
    }
    let files: Names = check.addon.files().map(|(path, _)| path.within_module().to_owned()).collect();
    for item in ["data", "demo"].iter().flat_map(|key| items(key)) {
        check.sink.checked();
        if !files.contains(item.value.trim_start_matches("./")) {
            let what = format!("the addon has no file {}", item.value);
            check.sink.unresolved(Place { path: path.as_str(), line: line(item.range.start) }, Kind::File, &item.value, None, what);
        }
    }
}

/// Whether every Odoo model has a field of this name.
pub(super) fn is_magic(name: &str) -> bool {
    Index::is_magic(name)
}
