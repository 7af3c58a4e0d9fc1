//! What is known of Odoo models on one side of a patch.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::odoo::source::{FieldFacts, Index, Names};

/// How deep related fields are followed.
const MAX_HOPS: usize = 8;

/// Methods that every Odoo model has, as far as patches meet them.
const ORM: [&str; 40] = [
    "browse",
    "copy",
    "copy_data",
    "create",
    "ensure_one",
    "exists",
    "fields_get",
    "filtered",
    "filtered_domain",
    "flush_model",
    "flush_recordset",
    "get_metadata",
    "get_view",
    "grouped",
    "invalidate_model",
    "invalidate_recordset",
    "mapped",
    "modified",
    "name_create",
    "name_search",
    "new",
    "onchange",
    "read",
    "read_group",
    "_read_group",
    "search",
    "_search",
    "search_count",
    "search_fetch",
    "search_read",
    "sorted",
    "sudo",
    "unlink",
    "update",
    "with_company",
    "with_context",
    "with_env",
    "with_user",
    "write",
    "default_get",
];

/// One Odoo model.
#[derive(Debug, Default)]
pub(super) struct Model<'a> {
    /// Whether it is made by any of the addons in scope.
    pub(super) exists: bool,
    /// Its fields.
    pub(super) fields: BTreeMap<&'a str, &'a FieldFacts>,
    /// Its methods.
    pub(super) methods: BTreeSet<&'a str>,
}

impl Model<'_> {
    /// Whether a record has an attribute of this name; `None` if the Odoo model is not known.
    pub(super) fn has(&self, name: &str) -> Option<bool> {
        let found = || self.fields.contains_key(name) || self.methods.contains(name) || Index::is_magic(name) || ORM.contains(&name);
        self.exists.then(found)
    }
}

/// What the addons in scope define.
pub(super) struct Known<'a> {
    pub(super) index: Index<'a>,
    pub(super) scope: Names,
    models: RefCell<BTreeMap<String, Rc<Model<'a>>>>,
}

impl<'a> Known<'a> {
    pub(super) fn new(index: Index<'a>, scope: Names) -> Self {
        Self { index, scope, models: RefCell::default() }
    }

    /// One Odoo model.
    pub(super) fn model(&self, name: &str) -> Rc<Model<'a>> {
        if let Some(found) = self.models.borrow().get(name) {
            return Rc::clone(found);
        }
        let classes = self.index.classes(name);
        let exists = classes.iter().any(|(module, class)| self.scope.contains(*module) && class.defines());
        let found = if exists {
            Model { exists, fields: self.index.fields(name, &self.scope), methods: self.index.methods(name, &self.scope) }
        } else {
            Model::default()
        };
        let found = Rc::new(found);
        self.models.borrow_mut().insert(name.to_owned(), Rc::clone(&found));
        found
    }

    /// Whether an Odoo model exists; `None` if Odoo's own addons are not known.
    pub(super) fn has_model(&self, name: &str) -> Option<bool> {
        if self.model(name).exists {
            return Some(true);
        }
        (self.index.knows_core() && !self.index.is_partial()).then_some(false)
    }

    /// The field of an Odoo model.
    pub(super) fn field(&self, odoo_model: &str, name: &str) -> Option<&'a FieldFacts> {
        self.model(odoo_model).fields.get(name).copied()
    }

    /// The Odoo model that a field leads to.
    pub(super) fn comodel(&self, odoo_model: &str, name: &str) -> Option<String> {
        self.hop(odoo_model, name, 0)
    }

    fn hop(&self, odoo_model: &str, name: &str, depth: usize) -> Option<String> {
        if matches!(name, "create_uid" | "write_uid") {
            return Some("res.users".to_owned());
        }
        let facts = self.field(odoo_model, name).filter(|_| depth < MAX_HOPS)?;
        if let Some(comodel) = &facts.comodel {
            return Some(comodel.clone());
        }
        let mut path = facts.related.as_ref()?.split('.').enumerate();
        path.try_fold(odoo_model.to_owned(), |at, (step, part)| self.hop(&at, part, depth + 1 + step))
    }
}
