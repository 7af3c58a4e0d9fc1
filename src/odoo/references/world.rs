//! The Odoo models that an addon can use, each with all that its classes bring together.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use crate::odoo::source::{Class, FieldFacts, Index, Names, Signature};

/// How deep inheritance and related fields are followed.
const MAX_DEPTH: usize = 12;
/// The names that every record has and that no class of Odoo assigns.
const RECORD: [&str; 13] = [
    "id",
    "ids",
    "env",
    "pool",
    "display_name",
    "create_uid",
    "create_date",
    "write_uid",
    "write_date",
    "_ids",
    "_prefetch_ids",
    "_fields",
    "__last_update",
];

/// What an addon can use: its own definitions and those of all that is installed with it.
pub(super) struct World<'a> {
    /// Everything that is known.
    pub(super) index: Index<'a>,
    /// The addon.
    pub(super) module: &'a str,
    /// The addon and all that is installed with it.
    pub(super) scope: Names,
    /// Whether every addon that it depends on is known.
    is_whole: bool,
    classes: HashMap<&'a str, Vec<(&'a str, &'a Class)>>,
    models: RefCell<HashMap<String, Rc<Model<'a>>>>,
}

/// One Odoo model with all that its classes in the scope bring, inherited things included.
#[derive(Default)]
pub(super) struct Model<'a> {
    /// The definitions of each field.
    pub(super) fields: HashMap<&'a str, Vec<&'a FieldFacts>>,
    /// The definitions of each method, with the addon and the class.
    pub(super) methods: HashMap<&'a str, Vec<(&'a str, &'a Class)>>,
    attributes: BTreeSet<&'a str>,
    /// Whether a class in the scope makes it.
    pub(super) exists: bool,
    /// Whether it has nothing that is not listed.
    is_complete: bool,
    /// Whether it is only there to be inherited from.
    pub(super) is_abstract: bool,
}

/// What a name is on an Odoo model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    /// A field.
    Field,
    /// A method, or anything else that a class has.
    Other,
    /// Nothing, as far as all sources say.
    Missing,
    /// Not sure.
    Unknown,
}

impl<'a> World<'a> {
    pub(super) fn new(index: Index<'a>, module: &'a str, scope: Names) -> Self {
        let mut classes: HashMap<&str, Vec<(&str, &Class)>> = HashMap::new();
        for (name, facts) in index.modules() {
            for class in &facts.classes {
                classes.entry(class.odoo_model.as_str()).or_default().push((name, class));
            }
        }
        let is_whole = index.knows_core() && !index.orm().methods.is_empty() && scope.iter().all(|name| index.module(name).is_some());
        Self { index, module, scope, is_whole, classes, models: RefCell::default() }
    }

    /// Whether what is not found is not there.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// An Odoo model, of which nothing is known if it does not exist.
    pub(super) fn model(&self, name: &str) -> Rc<Model<'a>> {
        if let Some(known) = self.models.borrow().get(name) {
            return known.clone();
        }
        let mut model = Model { is_complete: self.is_whole, ..Model::default() };
        let mut seen = BTreeSet::new();
        self.collect(name, true, true, 0, &mut seen, &mut model);
        self.collect("base", true, true, 0, &mut seen, &mut model);
        let own = self.classes_of(name);
        model.exists = own.iter().any(|class| class.defines());
        model.is_abstract = own.iter().any(|class| class.defines() && class.is_abstract);
        model.is_complete &= model.exists;
        let model = Rc::new(model);
        self.models.borrow_mut().insert(name.to_owned(), model.clone());
        model
    }

    fn classes_of(&self, name: &str) -> Vec<&'a Class> {
        let found = self.classes.get(name).map(Vec::as_slice).unwrap_or_default();
        found.iter().filter(|(module, _)| self.scope.contains(*module)).map(|(_, class)| *class).collect()
    }

    /// `methods`: a delegate lends its fields, not its methods.
    fn collect(&self, name: &str, fields: bool, methods: bool, depth: usize, seen: &mut BTreeSet<(String, bool)>, into: &mut Model<'a>) {
        if depth > MAX_DEPTH || seen.contains(&(name.to_owned(), true)) || !seen.insert((name.to_owned(), methods)) {
            return;
        }
        let found = self.classes.get(name).map(Vec::as_slice).unwrap_or_default();
        let found: Vec<_> = found.iter().filter(|(module, _)| self.scope.contains(*module)).copied().collect();
        if name != "base" && !found.iter().any(|(_, class)| class.defines()) {
            into.is_complete = false;
        }
        for (module, class) in &found {
            if fields {
                class.fields.iter().for_each(|(name, field)| into.fields.entry(name).or_default().push(field));
            }
            if methods {
                class.methods.keys().for_each(|name| into.methods.entry(name).or_default().push((module, class)));
                into.attributes.extend(class.attributes.iter().map(String::as_str));
                into.is_complete &= !class.is_open;
            }
        }
        for (_, class) in &found {
            for parent in class.inherit.iter().filter(|parent| *parent != name) {
                self.collect(parent, fields, methods, depth + 1, seen, into);
            }
            for parent in class.delegates.keys() {
                self.collect(parent, fields, false, depth + 1, seen, into);
            }
        }
    }

    /// What a name is on an Odoo model. `on_self`: on the `self` of a class of it, which may be of an Odoo model that inherits from it.
    pub(super) fn member(&self, odoo_model: &str, name: &str, on_self: bool) -> Member {
        let model = self.model(odoo_model);
        if model.fields.contains_key(name) {
            return Member::Field;
        }
        if RECORD.contains(&name) || (name.starts_with("__") && name.ends_with("__")) {
            return if Index::is_magic(name) { Member::Field } else { Member::Other };
        }
        let orm = self.index.orm();
        if model.methods.contains_key(name) || orm.methods.contains_key(name) {
            return Member::Other;
        }
        // What else a class assigns may be a field of a kind that Odoo does not have; a keyword of Python can only be set by code.
        if model.attributes.contains(name) || orm.attributes.contains(name) || name == "global" {
            return Member::Unknown;
        }
        let sure = model.is_complete && !name.starts_with("x_") && !(on_self && model.is_abstract);
        if sure { Member::Missing } else { Member::Unknown }
    }

    /// Whether everything that an Odoo model has is known.
    pub(super) fn is_sure(&self, odoo_model: &str) -> bool {
        self.model(odoo_model).is_complete
    }

    /// Whether an Odoo model is nowhere in the scope, for sure.
    pub(super) fn lacks_model(&self, name: &str) -> bool {
        self.is_whole && !name.starts_with("x_") && !self.model(name).exists && !matches!(name, "base" | "_unknown")
    }

    /// The Odoo model that a field leads to.
    pub(super) fn comodel(&self, odoo_model: &str, field: &str) -> Option<String> {
        self.hop(odoo_model, field, 0)
    }

    fn hop(&self, odoo_model: &str, field: &str, depth: usize) -> Option<String> {
        if depth > MAX_DEPTH {
            return None;
        }
        if matches!(field, "create_uid" | "write_uid") {
            return Some("res.users".to_owned());
        }
        let model = self.model(odoo_model);
        let definitions = model.fields.get(field)?;
        if let Some(comodel) = definitions.iter().find_map(|field| field.comodel.clone()) {
            return Some(comodel);
        }
        let related = definitions.iter().find_map(|field| field.related.as_deref())?;
        // Every step counts, so that fields related to one another in circles cost little.
        related.split('.').enumerate().try_fold(odoo_model.to_owned(), |at, (n, name)| self.hop(&at, name, depth + 1 + n))
    }

    /// The kind of a field: `Char`, `Many2one` …
    pub(super) fn kind(&self, odoo_model: &str, field: &str) -> Option<&'a str> {
        self.model(odoo_model).fields.get(field).and_then(|found| found.first()).map(|field| field.kind.as_str())
    }

    /// The values that a selection can have; `None` if they are not known to the last.
    pub(super) fn selection(&self, odoo_model: &str, field: &str) -> Option<BTreeSet<&'a str>> {
        let model = self.model(odoo_model);
        let definitions = model.fields.get(field).filter(|_| model.is_complete && !model.is_abstract)?;
        if !definitions.iter().all(|field| field.kind == "Selection" && !field.open_values && field.related.is_none()) {
            return None;
        }
        let found: BTreeSet<&str> = definitions.iter().flat_map(|field| field.values.iter().map(String::as_str)).collect();
        // A value that an addon at hand or of Odoo adds elsewhere is not gone.
        let others = self.classes.get(odoo_model).map(Vec::as_slice).unwrap_or_default();
        let elsewhere =
            others.iter().filter_map(|(_, class)| class.fields.get(field)).flat_map(|field| field.values.iter().map(String::as_str));
        (!found.is_empty()).then(|| found.iter().copied().chain(elsewhere).collect())
    }

    /// Who has a name that the scope lacks: the addons outside that bring it.
    pub(super) fn elsewhere(&self, odoo_model: &str, name: &str) -> Vec<&'a str> {
        let found = self.classes.get(odoo_model).map(Vec::as_slice).unwrap_or_default();
        let has = |class: &Class| class.fields.contains_key(name) || class.methods.contains_key(name);
        let mut found: Vec<&str> = found.iter().filter(|(_, class)| has(class)).map(|(module, _)| *module).collect();
        found.dedup();
        found
    }

    /// The definitions of a method that an override of `module` hides: those of Odoo models that it inherits from, and Odoo's own.
    pub(super) fn signatures(&self, odoo_model: &str, name: &str, without: &str) -> Vec<(&'a str, &'a Signature)> {
        let model = self.model(odoo_model);
        let of = |(module, class): &(&'a str, &'a Class)| Some((*module, class.signatures.get(name)?));
        let mut found: Vec<_> =
            model.methods.get(name).into_iter().flatten().filter(|(module, _)| *module != without).filter_map(of).collect();
        found.extend(self.index.orm().methods.get(name).map(|signature| ("odoo", signature)));
        found
    }

    /// Whether an external id exists in the scope.
    pub(super) fn has_id(&self, xmlid: &str) -> bool {
        let Some((module, name)) = xmlid.split_once('.') else { return true };
        if module == "base" && (name.starts_with("module_") || RECORDS.contains(&name)) {
            return true;
        }
        if self.index.has_id(xmlid, &self.scope) {
            return true;
        }
        if self.index.modules().any(|(name, facts)| self.scope.contains(name) && facts.made.contains(xmlid)) {
            return true;
        }
        // Odoo gives `model_…` to the addon whose class it meets first; classes in Python files that were not read are no reason to doubt.
        if let Some(wanted) = name.strip_prefix("model_") {
            return self.classes.keys().any(|known| known.replace('.', "_") == wanted)
                && self
                    .index
                    .module(module)
                    .is_none_or(|facts| facts.classes.iter().any(|class| class.odoo_model.replace('.', "_") == wanted));
        }
        false
    }
}

/// The records of `base` that Odoo makes in code when a database is made.
const RECORDS: [&str; 6] = ["lang_en", "main_company", "user_root", "partner_root", "main_partner", "USD"];
