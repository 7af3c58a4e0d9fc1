//! What sources define: Odoo models with their fields and methods, records with their external ids, views. Read from an addon's files
//! without running them, so that a question such as "which addon owns this Odoo model" has an exact answer.
//!
//! What is only known when Odoo runs (fields made by code, studio fields, records made by functions) is not in it: what is not found here
//! may still exist. It never guesses.

mod data;
mod index;
pub mod python;
mod rows;
pub mod script;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use index::Index;
pub use rows::{Row, Rows};
pub use view::Anchor;

use super::Addon;

/// The largest file that is read.
const MAX_FILE: usize = 2 * 1024 * 1024;

/// What a set of addons defines, by addon.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The addons, by technical name.
    pub modules: BTreeMap<String, ModuleFacts>,
    /// What Odoo itself gives to every Odoo model; empty where Odoo's own sources were not read.
    #[serde(default)]
    pub orm: OrmFacts,
}

/// Methods and attributes that every Odoo model has from Odoo itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrmFacts {
    /// The methods, by name.
    pub methods: BTreeMap<String, Signature>,
    /// Everything else that may be read from a record, fields included.
    pub attributes: Names,
}

/// How a method is defined.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Its parameters, `self` included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// The decorators that change how it is called, without arguments: `api.model`, `property`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decorators: Vec<String>,
    /// The reason that its sources give for not using it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<String>,
}

/// One parameter. Its name starts with `*` or `**` where it takes all that is left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Whether it can be left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Whether it is only given by name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_name: bool,
}

/// What one addon defines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleFacts {
    /// What its manifest says that it depends on; `base` where it says nothing.
    pub depends: Vec<String>,
    /// The addons whose presence has Odoo install this one by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_install: Option<Vec<String>>,
    /// What it defines of Odoo models, each class by itself, in reading order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<Class>,
    /// The records of its data files, by external id without the addon's name; those of other addons that it changes are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub records: BTreeMap<String, RecordFacts>,
    /// The full external ids that it makes besides: records of other addons' names, and those that its code or functions in data files make.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub made: Names,
    /// Its views, by external id without the addon's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub views: BTreeMap<String, ViewFacts>,
    /// The JavaScript modules, by path below `static/src` without the ending, each with the names that it exports.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scripts: BTreeMap<String, Names>,
    /// The templates that are rendered in the browser, by `t-name`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub templates: Names,
}

/// One class that defines or extends an Odoo model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    /// The Odoo model: `res.partner`.
    pub odoo_model: String,
    /// The Odoo models that it takes fields and methods from; the model itself is among them where it is extended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inherit: Vec<String>,
    /// The Odoo models whose fields it shows as its own (`_inherits`), with the field that leads there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub delegates: BTreeMap<String, String>,
    /// Its fields, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, FieldFacts>,
    /// Its methods, each with the line of its `def`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub methods: BTreeMap<String, u32>,
    /// How its methods are defined.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub signatures: BTreeMap<String, Signature>,
    /// The other names that its body assigns.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub attributes: Names,
    /// Whether it is an `AbstractModel`, so that `self` may have more than what is defined here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_abstract: bool,
    /// Whether it has a base class that is no model class of Odoo, so that it may have names that are not listed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_open: bool,
    /// The file, below the addons folder.
    pub path: String,
    /// The line of its `class`.
    pub line: u32,
}

impl Class {
    /// Whether the Odoo model is made here, and not one that exists extended.
    pub fn defines(&self) -> bool {
        !self.inherit.contains(&self.odoo_model)
    }
}

/// One field as its definition reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldFacts {
    /// `Char`, `Many2one` … as after `fields.`.
    pub kind: String,
    /// The Odoo model that a relational field leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comodel: Option<String>,
    /// The field of the other side of a `One2many`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inverse: Option<String>,
    /// The path of a related field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related: Option<String>,
    /// The name of the method that computes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compute: Option<String>,
    /// Whether it says `required=True`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// Whether it says `delegate=True`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delegate: bool,
    /// The values that it may have or that are added to those, where they are written as a list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// Whether its values are computed, so that they are not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open_values: bool,
    /// The line of its definition.
    pub line: u32,
}

/// One record of a data file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordFacts {
    /// The Odoo model that it is of.
    pub odoo_model: String,
    /// The file, below the addons folder.
    pub path: String,
    /// The line of the record; of a row in a CSV file, that row's.
    pub line: u32,
}

/// One view of a data file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewFacts {
    /// The Odoo model that it shows; `None` for a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub odoo_model: Option<String>,
    /// The external id of the view that it inherits from, with its addon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inherit: Option<String>,
    /// Its `arch` as it stands in the file, without the field around it.
    pub arch: String,
}

impl Facts {
    /// What these addons define.
    pub fn of<'a>(addons: impl IntoIterator<Item = &'a Addon>) -> Self {
        Self {
            modules: addons.into_iter().map(|addon| (addon.name().as_str().to_owned(), ModuleFacts::of(addon))).collect(),
            ..Self::default()
        }
    }
}

impl OrmFacts {
    /// Reads what the classes of one of Odoo's own files below `odoo/` give to every Odoo model, and adds it.
    pub fn read(&mut self, text: &str) {
        python::base_classes(text, self);
    }
}

impl ModuleFacts {
    /// What one addon defines. Files that cannot be read and tests are left out.
    pub fn of(addon: &Addon) -> Self {
        let manifest = addon.manifest();
        let texts = |key: &str| manifest.as_ref().map(|manifest| manifest.texts(key).into_iter().map(str::to_owned).collect::<Vec<_>>());
        let depends = texts("depends").filter(|depends| !depends.is_empty()).unwrap_or_else(|| vec!["base".to_owned()]);
        let automatic = manifest.as_ref().is_some_and(|manifest| manifest.truth("auto_install") == Some(true));
        let named = texts("auto_install").filter(|named| !named.is_empty());
        let auto_install = named.or_else(|| automatic.then(|| depends.clone()));
        let mut facts = Self { depends, auto_install, ..Self::default() };
        let counts = |path: &str| !path.starts_with("tests/") && !path.starts_with("static/") && !path.starts_with("migrations/");
        for (path, text) in addon.texts("py").filter(|(path, text)| counts(path.within_module()) && text.len() <= MAX_FILE) {
            facts.classes.extend(python::classes(path.as_str(), text));
        }
        for (path, text) in addon.texts("xml").filter(|(path, text)| counts(path.within_module()) && text.len() <= MAX_FILE) {
            data::xml(addon.name().as_str(), path.as_str(), text, &mut facts);
        }
        for (path, text) in addon.texts("csv").filter(|(path, text)| counts(path.within_module()) && text.len() <= MAX_FILE) {
            data::csv(addon.name().as_str(), path.as_str(), text, &mut facts);
        }
        for (_, text) in
            addon.texts("xml").chain(addon.texts("py")).filter(|(path, text)| counts(path.within_module()) && text.len() <= MAX_FILE)
        {
            data::made(addon.name().as_str(), text, &mut facts.made);
        }
        for (path, text) in addon.texts("js").filter(|(_, text)| text.len() <= MAX_FILE) {
            if let Some(path) = script::module_path(path.within_module()) {
                script::read(path, text, &mut facts.scripts);
            }
        }
        let in_browser = |path: &str| path.starts_with("static/src/");
        for (_, text) in addon.texts("xml").filter(|(path, text)| in_browser(path.within_module()) && text.len() <= MAX_FILE) {
            script::templates(text, &mut facts.templates);
        }
        facts
    }
}

/// Names, sorted, without repetition.
pub type Names = BTreeSet<String>;
