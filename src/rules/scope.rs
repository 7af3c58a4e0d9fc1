//! What an addon can use: its own definitions and those of all that it depends on.

use std::collections::BTreeMap;

use regex::Regex;

use super::Case;
use crate::domain::ErrorClass;
use crate::odoo::source::{FieldFacts, Index, Names};

/// How deep related fields are followed.
const MAX_HOPS: usize = 8;

/// An addon with what it depends on.
pub(super) struct Scope<'a> {
    /// Everything that is known.
    pub(super) index: Index<'a>,
    /// The addon's name.
    pub(super) module: &'a str,
    /// The addon and all that it depends on.
    pub(super) names: Names,
}

impl<'a> Scope<'a> {
    /// `None` where Odoo's own addons are not known: then nothing can be said to be missing.
    pub(super) fn of(case: &Case<'a>) -> Option<Self> {
        let module = case.addon.name().as_str();
        case.index.knows_core().then(|| Self { index: case.index, module, names: case.index.closure(module) })
    }

    /// The fields of an Odoo model, those that every Odoo model has left out.
    pub(super) fn fields(&self, odoo_model: &str) -> BTreeMap<&'a str, &'a FieldFacts> {
        self.index.fields(odoo_model, &self.names)
    }

    /// Whether the Odoo model exists here.
    pub(super) fn has_model(&self, odoo_model: &str) -> bool {
        self.index.classes(odoo_model).iter().any(|(module, class)| self.names.contains(*module) && class.defines())
    }

    /// Whether the addon itself brings this field.
    pub(super) fn is_own_field(&self, odoo_model: &str, field: &str) -> bool {
        self.index.classes(odoo_model).iter().any(|(module, class)| *module == self.module && class.fields.contains_key(field))
    }

    /// The Odoo model that a field leads to.
    pub(super) fn comodel(&self, odoo_model: &str, field: &str) -> Option<String> {
        self.hop(odoo_model, field, 0)
    }

    fn hop(&self, odoo_model: &str, field: &str, depth: usize) -> Option<String> {
        let facts = *self.fields(odoo_model).get(field).filter(|_| depth < MAX_HOPS)?;
        if let Some(comodel) = &facts.comodel {
            return Some(comodel.clone());
        }
        // Every step counts, so that fields related to one another in circles cost little.
        let mut path = facts.related.as_ref()?.split('.').enumerate();
        path.try_fold(odoo_model.to_owned(), |at, (n, name)| self.hop(&at, name, depth + 1 + n))
    }

    /// Follows a path of fields to the first that does not exist: its place in the path and the Odoo model that lacks it.
    pub(super) fn broken_at(&self, odoo_model: &str, path: &str) -> Option<(usize, String)> {
        let mut at = odoo_model.to_owned();
        for (place, name) in path.split('.').enumerate().take(MAX_HOPS) {
            if Index::is_magic(name) && !matches!(name, "create_uid" | "write_uid") {
                return None;
            }
            let user = matches!(name, "create_uid" | "write_uid");
            if !user && !self.fields(&at).contains_key(name) {
                return self.has_model(&at).then_some((place, at));
            }
            at = if user { "res.users".to_owned() } else { self.comodel(&at, name)? };
        }
        None
    }
}

/// The groups of the first match of a pattern in what the log says, the exceptions first.
pub(super) fn said<const N: usize>(case: &Case<'_>, pattern: &str) -> Option<[String; N]> {
    let regex = Regex::new(pattern).ok()?;
    let messages = case.report.chain.iter().rev().map(|raised| raised.message.as_str());
    let found = messages.chain([case.report.text.as_str()]).find_map(|text| regex.captures(text))?;
    Some(std::array::from_fn(|n| found.get(n + 1).map_or_else(String::new, |part| part.as_str().to_owned())))
}

/// The Odoo model that is missing, wherever the log says so.
pub(super) fn missing_model(case: &Case<'_>) -> Option<String> {
    let patterns = [
        r"inherits(?: from)? non-existing model '([\w.]+)'",
        r"Model '([\w.]+)' does not exist in registry",
        r"with (?:unknown|non-existent) co-?model(?:_name)? '?([\w.]*\w)'?",
        r"Object ([\w.]*\w) doesn't exist",
        r#"Invalid model name ["“«']([\w.]*\w)["”»'] in action"#,
    ];
    let named = patterns.iter().find_map(|pattern| said::<1>(case, pattern)).map(|[name]| name);
    if case.report.class == ErrorClass::Other {
        return named;
    }
    let key = || {
        let keys = case.report.chain.iter().filter(|raised| raised.exception.ends_with("KeyError"));
        keys.map(|raised| raised.message.trim().trim_matches('\'')).find(|key| is_model_name(key)).map(str::to_owned)
    };
    let of_report = || case.report.object.model.clone().filter(|_| case.report.class == ErrorClass::ModelMissing);
    named.or_else(key).or_else(of_report)
}

fn is_model_name(text: &str) -> bool {
    text.contains('.') && text.split('.').all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

/// A field that does not exist, of an Odoo model whose fields are known and that lacks it indeed.
pub(super) struct Lacking<'a> {
    pub(super) scope: Scope<'a>,
    pub(super) odoo_model: String,
    pub(super) wrong: String,
    pub(super) fields: BTreeMap<&'a str, &'a FieldFacts>,
}

impl<'a> Lacking<'a> {
    /// What the error says, if the sources bear it out.
    pub(super) fn of(case: &Case<'a>) -> Option<Self> {
        let scope = Scope::of(case)?;
        let (odoo_model, wrong) = missing_field(case)?;
        let fields = scope.fields(&odoo_model);
        let lacks = !fields.is_empty() && !fields.contains_key(wrong.as_str());
        lacks.then_some(Self { scope, odoo_model, wrong, fields })
    }
}

/// A field that does not exist and the Odoo model that lacks it, in any of Odoo's many words.
pub(super) fn missing_field(case: &Case<'_>) -> Option<(String, String)> {
    let field_first = [
        r"Dependency field '(\w+)' not found in model ([\w.]*\w)",
        r"'(\w+)' declared in '[\w.]+' does not exist on '([\w.]+)'",
        r"Invalid field '(\w+)' (?:in|on model|on) '([\w.]+)'",
        r#"(?i)field ["“'«]\s?(\w+)\s?["”'»] does not exist in model ["“'«]\s?([\w.]+)\s?["”'»]"#,
        r"'([\w.]+)' object has no attribute '(\w+)'",
    ];
    let model_first = [r"Invalid field '?([\w.]+)\.(\w+)'? in (?:condition|leaf)", r#"Unknown field "([\w.]+)\.(\w+)""#];
    if let Some([field, odoo_model]) = field_first[..4].iter().find_map(|pattern| said::<2>(case, pattern)) {
        return Some((odoo_model, field));
    }
    let attribute = said::<2>(case, field_first[4]).filter(|[owner, _]| owner.contains('.'));
    if let Some([odoo_model, field]) = model_first.iter().find_map(|pattern| said::<2>(case, pattern)).or(attribute) {
        return Some((odoo_model, field));
    }
    let object = &case.report.object;
    if let Some([field]) = said::<1>(case, r#"Unknown field ["“](\w+)["”] in"#) {
        let of_view = said::<1>(case, r"'view\.model': '([\w.]+)'").map(|[odoo_model]| odoo_model);
        return Some((of_view.or_else(|| object.model.clone())?, field));
    }
    Some((object.model.clone()?, object.field.clone()?))
}

/// The external id that was not found, in full.
pub(super) fn missing_id(case: &Case<'_>) -> Option<String> {
    let patterns = [r"External ID not found in the system: ([\w.-]+)", r"No matching record found for external id '([\w.-]+)'"];
    let id = patterns.iter().find_map(|pattern| said::<1>(case, pattern)).map(|[id]| id).or_else(|| case.report.object.xmlid.clone())?;
    let id = id.trim_end_matches('.');
    Some(if id.contains('.') { id.to_owned() } else { format!("{}.{id}", case.addon.name()) })
}

/// How often a text has `name` as a whole word.
pub(super) fn mentions(text: &str, name: &str) -> usize {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| *word == name).count()
}

/// How often the addon's sources have `name` as a whole word, translations left out.
pub(super) fn mentioned(case: &Case<'_>, name: &str) -> usize {
    let texts = case.addon.files().filter(|(path, _)| !path.within_module().starts_with("i18n/"));
    texts.filter_map(|(_, bytes)| std::str::from_utf8(bytes).ok()).map(|text| mentions(text, name)).sum()
}
