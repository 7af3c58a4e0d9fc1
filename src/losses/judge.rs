//! Whether a name or a text that takes the place of another means the same.

use std::collections::BTreeSet;

use super::facts::Role;
use super::known::Known;
use crate::domain::LossKind;
use crate::odoo::source::FieldFacts;
use crate::rules::known::{Renaming, addon_renaming, field_renaming, is_gone_method, is_renamed_method, model_renaming, record_renaming};

/// From here on two names are one name, misspelt.
const NEAR: f64 = 0.6;
/// From here on two texts are one text, worded otherwise.
const NEAR_TEXT: f64 = 0.55;
/// Names that Python or Odoo has for the same.
const SAME: [(&str, &str); 15] = [
    ("tuple", "list"),
    ("list", "tuple"),
    ("registry", "Registry"),
    ("iteritems", "items"),
    ("itervalues", "values"),
    ("has_key", "in"),
    ("basestring", "str"),
    ("unicode", "str"),
    ("groups_id", "group_ids"),
    ("groups_id", "all_group_ids"),
    ("datas", "raw"),
    ("fields_view_get", "get_view"),
    ("get_xml_id", "get_external_id"),
    ("t-esc", "t-out"),
    ("t-raw", "t-out"),
];

/// Judges by what was known before the patch and is known after it.
pub(super) struct Judge<'a> {
    pub(super) before: Known<'a>,
    pub(super) after: Known<'a>,
}

impl Judge<'_> {
    /// What is lost if one takes the place of the other; `None` if nothing.
    pub(super) fn rename(&self, role: Role, old: &str, new: &str, model: Option<&str>) -> Option<(LossKind, String)> {
        if old == new {
            return None;
        }
        match role {
            Role::Model => self.of_models(old, new),
            Role::Id => self.of_ids(old, new),
            Role::Text => self.of_texts(old, new, model),
            // A text of which no number could be made gave none.
            Role::Number if old.starts_with('\'') => None,
            Role::Number | Role::Constant => Some((LossKind::Value, format!("it was {old} and is {new}"))),
            Role::Operator => Some((LossKind::Condition, format!("it compared by `{old}` and compares by `{new}`"))),
            Role::Attribute | Role::Call | Role::Key | Role::Name => self.of_paths(old, new, model),
        }
    }

    /// How well one could take the place of the other, 0 to 1.
    pub(super) fn likeness(&self, old: &str, new: &str) -> f64 {
        let listed = SAME.contains(&(old, new)) || is_renamed_method(old, new) || field_renaming(None, old, new).is_some();
        let listed =
            listed || model_renaming(old, new).is_some() || record_renaming(old, new).is_some() || addon_renaming(old, new).is_some();
        if listed { 1.0 } else { likeness(old, new) }
    }

    /// Fields in a row, or a single name.
    fn of_paths(&self, old: &str, new: &str, model: Option<&str>) -> Option<(LossKind, String)> {
        let (old_parts, new_parts): (Vec<&str>, Vec<&str>) = (old.split('.').collect(), new.split('.').collect());
        if old_parts.len() != new_parts.len() {
            let broken = model.and_then(|model| self.first_missing(model, &old_parts));
            return match broken {
                Some(_) => None,
                None if likeness(old, new) >= NEAR => None,
                None => Some((LossKind::Value, format!("it was {old} and is {new}"))),
            };
        }
        let mut at = model.map(str::to_owned);
        for (old, new) in old_parts.iter().zip(&new_parts) {
            if old != new
                && let Some(loss) = self.of_names(old, new, at.as_deref())
            {
                return Some(loss);
            }
            at = at.and_then(|model| self.after.comodel(&model, new));
        }
        None
    }

    fn first_missing(&self, model: &str, path: &[&str]) -> Option<usize> {
        let mut at = model.to_owned();
        for (place, name) in path.iter().enumerate() {
            if self.before.model(&at).has(name) == Some(false) {
                return Some(place);
            }
            at = self.before.comodel(&at, name)?;
        }
        None
    }

    fn of_names(&self, old: &str, new: &str, model: Option<&str>) -> Option<(LossKind, String)> {
        if let Some(found) = field_renaming(model, old, new).or_else(|| field_renaming(None, old, new).filter(|_| model.is_none())) {
            return match found {
                Renaming::Same => None,
                Renaming::Otherwise => Some(otherwise(old, new)),
            };
        }
        if SAME.contains(&(old, new)) || is_renamed_method(old, new) || is_gone_method(old) {
            return None;
        }
        let known = model.map(|model| (self.before.model(model), self.after.model(model)));
        let (was, is) = known.as_ref().map_or((None, None), |(before, after)| (before.fields.get(old), after.fields.get(new)));
        if let (Some(was), Some(is)) = (was, is) {
            return Some(of_kinds(old, new, was, is));
        }
        let many = is.map(|field| is_many(field));
        if let Some(loss) = cardinality(old, new, many) {
            return Some(loss);
        }
        let near = likeness(old, new) >= NEAR;
        let other = || Some((LossKind::Value, format!("it was {old} and is {new}, which is something else")));
        match known.as_ref().and_then(|(before, after)| Some((before.has(old)?, after.has(new)?))) {
            Some((true, _)) => other(),
            Some((false, true)) => None,
            Some((false, false)) if near => None,
            Some((false, false)) => other(),
            // On what stands unknown, a name that fields and methods have somewhere is no slip of another one.
            None if self.is_anywhere(old) && self.is_anywhere(new) => other(),
            None => None,
        }
    }

    /// Whether any Odoo model has a field or method of this name.
    fn is_anywhere(&self, name: &str) -> bool {
        let has = |class: &crate::odoo::source::Class| class.fields.contains_key(name) || class.methods.contains_key(name);
        let modules = self.before.index.modules().filter(|(module, _)| self.before.scope.contains(*module));
        modules.flat_map(|(_, facts)| &facts.classes).any(has)
    }

    fn of_models(&self, old: &str, new: &str) -> Option<(LossKind, String)> {
        let wider = || Some((LossKind::Scope, format!("it was the Odoo model {old} and is {new}, whose records may be others or more")));
        let existed = self.before.has_model(old);
        if existed == Some(true) {
            return wider();
        }
        match model_renaming(old, new) {
            Some(Renaming::Same) => return None,
            Some(Renaming::Otherwise) => return wider(),
            None => {}
        }
        // An old name that exists nowhere had no records: what is misspelt names what it always meant.
        let is_slip = existed == Some(false) && strsim::osa_distance(old, new) == 1;
        if is_slip || likeness(old, new) >= 0.8 { None } else { wider() }
    }

    fn of_ids(&self, old: &str, new: &str) -> Option<(LossKind, String)> {
        let full = |id: &str| id.contains('.');
        let existed = full(old) && self.before.index.has_id(old, &self.before.scope);
        if existed && !same_model_id(old, new) {
            return Some((LossKind::Value, format!("it named {old}, which exists, and names {new}")));
        }
        let (name, other) = (old.rsplit('.').next().unwrap_or(old), new.rsplit('.').next().unwrap_or(new));
        let fits = record_renaming(old, new) == Some(Renaming::Same) || name == other || likeness(name, other) >= NEAR;
        if let (Some(old), Some(new)) = (name.strip_prefix("model_"), other.strip_prefix("model_"))
            && old != new
        {
            return self.of_models(&old.replace('_', "."), &new.replace('_', "."));
        }
        if fits { None } else { Some((LossKind::Value, format!("it named {old} and names {new}"))) }
    }

    fn of_texts(&self, old: &str, new: &str, model: Option<&str>) -> Option<(LossKind, String)> {
        let other = |kind| Some((kind, format!("it was {} and is {}", shown(old), shown(new))));
        if plain(old) == plain(new) || SAME.contains(&(old, new)) {
            return None;
        }
        if is_sql(old) {
            return lost_words(old, new).map(|word| (LossKind::Condition, format!("the SQL no longer says `{word}`")));
        }
        let is_name = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
        if is_name(old) && is_name(new) {
            if model_renaming(old, new).is_some() || (old.contains('.') && self.before.has_model(old) == Some(true)) {
                return self.of_models(old, new);
            }
            if old.matches('.').count() == 1 && (record_renaming(old, new).is_some() || self.before.index.has_id(old, &self.before.scope)) {
                return self.of_ids(old, new);
            }
            if addon_renaming(old, new) == Some(Renaming::Same) {
                return None;
            }
            if model.is_some() || field_renaming(None, old, new).is_some() {
                return self.of_paths(old, new, model);
            }
            // `unpaid` is no slip of `paid`: of two values only one that is misspelt means the other.
            if !is_slip(old, new) {
                return other(LossKind::Value);
            }
            return cardinality(old, new, None);
        }
        if likeness(old, new) >= NEAR_TEXT { None } else { other(LossKind::Value) }
    }
}

/// What changes between two fields of one Odoo model that both exist.
fn of_kinds(old: &str, new: &str, was: &FieldFacts, is: &FieldFacts) -> (LossKind, String) {
    if is_many(was) != is_many(is) && was.comodel.is_some() && is.comodel.is_some() {
        return (LossKind::Cardinality, format!("it was {old} ({}) and is {new} ({})", was.kind, is.kind));
    }
    if was.kind != is.kind || was.comodel != is.comodel {
        return (LossKind::Type, format!("it was {old} ({}) and is {new} ({})", was.kind, is.kind));
    }
    (LossKind::Value, format!("it was {old}, which exists, and is {new}"))
}

/// What the names alone tell: `_id` is one record, `_ids` are many.
fn cardinality(old: &str, new: &str, many: Option<bool>) -> Option<(LossKind, String)> {
    let (was_one, was_many) = (old.ends_with("_id") || old == "id", old.ends_with("_ids") || old == "ids");
    let is_many = many.unwrap_or(new.ends_with("_ids") || new == "ids");
    let is_one = many.map_or(new.ends_with("_id") || new == "id", |many| !many);
    let changed = (was_one && is_many) || (was_many && is_one);
    changed.then(|| {
        let (from, to) = if was_one { ("one record", "many") } else { ("many records", "one") };
        (LossKind::Cardinality, format!("it was {old}, {from}, and is {new}, {to}"))
    })
}

/// Whether one text is the other with a letter or two wrong behind the first, with other capitals and underscores, or without the ending
/// that Odoo gives to a relation.
fn is_slip(old: &str, new: &str) -> bool {
    let stem = |name: &str| plain(name.strip_suffix("_ids").or_else(|| name.strip_suffix("_id")).unwrap_or(name));
    let distance = strsim::osa_distance(old, new);
    let most = if old.chars().count().min(new.chars().count()) >= 8 { 2 } else { 1 };
    stem(old) == stem(new) || (distance <= most && old.chars().next() == new.chars().next())
}

fn otherwise(old: &str, new: &str) -> (LossKind, String) {
    cardinality(old, new, None).unwrap_or_else(|| (LossKind::Type, format!("it was {old} and is {new}, which holds other values")))
}

fn is_many(field: &FieldFacts) -> bool {
    matches!(field.kind.as_str(), "One2many" | "Many2many")
}

fn same_model_id(old: &str, new: &str) -> bool {
    let name = |id: &str| id.rsplit('.').next().filter(|name| name.starts_with("model_")).map(str::to_owned);
    name(old).is_some_and(|old| name(new) == Some(old))
}

fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// How alike two names or texts are, 0 to 1. Of names, one that holds all of the other's words is near.
pub(super) fn likeness(old: &str, new: &str) -> f64 {
    const LONGEST: usize = 400;
    let (a, b) = (plain(old), plain(new));
    let short = |text: &str| text.chars().take(LONGEST).collect::<String>();
    // Two letters that are swapped are one slip.
    let spelled = strsim::normalized_damerau_levenshtein(&short(&a), &short(&b));
    let words = |text: &str| -> BTreeSet<String> {
        text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
    };
    let (of_old, of_new) = (words(old), words(new));
    let holds = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.len() > 1 && a.iter().all(|word| b.contains(word));
    if holds(&of_old, &of_new) || holds(&of_new, &of_old) || (a.len() > 3 && b.len() > 3 && (a.starts_with(&b) || b.starts_with(&a))) {
        return spelled.max(0.7);
    }
    spelled
}

pub(super) fn is_sql(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default().to_lowercase();
    let more = text.split_whitespace().count() > 3;
    more && matches!(first.as_str(), "select" | "insert" | "update" | "delete" | "with" | "alter" | "create")
}

/// The first word of an SQL text that is missing in another.
fn lost_words(old: &str, new: &str) -> Option<String> {
    const EMPTY: [&str; 9] = ["in", "any", "not", "and", "as", "array", "all", "is", "null"];
    let words = |text: &str| -> Vec<String> {
        let text = text.to_lowercase();
        text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let mut left = words(new);
    let mut gone = Vec::new();
    for word in words(old) {
        match left.iter().position(|other| *other == word) {
            Some(place) => drop(left.remove(place)),
            None if EMPTY.contains(&word.as_str()) => {}
            None => gone.push(word),
        }
    }
    gone.into_iter().find(|word| {
        let near = left.iter().position(|other| likeness(word, other) >= NEAR);
        near.map(|place| left.remove(place)).is_none()
    })
}

/// A text as a sentence may hold it.
pub(super) fn shown(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    if short.len() < text.len() { format!("\"{short}…\"") } else { format!("\"{short}\"") }
}
