//! Questions to what an addon, all that it may depend on, and Odoo itself define.

use std::collections::{BTreeMap, BTreeSet};

use super::view::{Anchor, anchors};
use super::{Class, Facts, FieldFacts, ModuleFacts, Names, OrmFacts, RecordFacts, ViewFacts};

/// How deep inheritance of Odoo models and of views is followed.
const MAX_DEPTH: usize = 12;

/// The fields that every Odoo model has.
const MAGIC: [&str; 7] = ["id", "display_name", "create_uid", "create_date", "write_uid", "write_date", "xml_id"];

/// The sources that are known: those at hand, which come first, and Odoo's own.
#[derive(Debug, Clone, Copy)]
pub struct Index<'a> {
    own: &'a Facts,
    core: &'a Facts,
    /// Whether there are more addons at hand than were read.
    partial: bool,
    /// One addon as it is now, instead of what the others have of it.
    now: Option<(&'a str, &'a ModuleFacts)>,
}

static NOTHING: Facts = Facts { modules: BTreeMap::new(), orm: OrmFacts { methods: BTreeMap::new(), attributes: BTreeSet::new() } };

impl Default for Index<'_> {
    /// One that knows nothing.
    fn default() -> Self {
        Self { own: &NOTHING, core: &NOTHING, partial: false, now: None }
    }
}

impl<'a> Index<'a> {
    /// What these two define together; where both have an addon, the first counts.
    pub fn new(own: &'a Facts, core: &'a Facts) -> Self {
        Self { own, core, partial: false, now: None }
    }

    /// The same, where there are more addons at hand than were read.
    #[must_use]
    pub fn partial(self, partial: bool) -> Self {
        Self { partial, ..self }
    }

    /// Whether what is not found may be in an addon at hand that was not read.
    pub fn is_partial(&self) -> bool {
        self.partial
    }

    /// The same with this addon as it is now.
    #[must_use]
    pub fn with(self, name: &'a str, facts: &'a ModuleFacts) -> Self {
        Self { now: Some((name, facts)), ..self }
    }

    /// Whether the JavaScript of Odoo's own addons was read.
    pub fn knows_scripts(&self) -> bool {
        self.module("web").is_some_and(|facts| !facts.scripts.is_empty())
    }

    /// Whether Odoo's own addons are known, so that what is not found is not there.
    pub fn knows_core(&self) -> bool {
        self.core.modules.contains_key("base")
    }

    /// What Odoo gives to every Odoo model.
    pub fn orm(&self) -> &'a OrmFacts {
        &self.core.orm
    }

    /// One addon.
    pub fn module(&self, name: &str) -> Option<&'a ModuleFacts> {
        let now = self.now.filter(|(now, _)| *now == name).map(|(_, facts)| facts);
        now.or_else(|| self.own.modules.get(name)).or_else(|| self.core.modules.get(name))
    }

    /// Every addon, by name.
    pub fn modules(&self) -> impl Iterator<Item = (&'a str, &'a ModuleFacts)> {
        let core = self.core.modules.iter().filter(|(name, _)| !self.own.modules.contains_key(*name));
        let kept = self.own.modules.iter().chain(core).map(|(name, facts)| (name.as_str(), facts));
        kept.filter(move |(name, _)| self.now.is_none_or(|(now, _)| now != *name)).chain(self.now)
    }

    /// Whether it is one of Odoo's own addons.
    pub fn is_core(&self, module: &str) -> bool {
        let is_own = self.own.modules.contains_key(module) || self.now.is_some_and(|(now, _)| now == module);
        self.core.modules.contains_key(module) && !is_own
    }

    /// An addon with all that it depends on, `base` included. What Odoo would install by itself on top is not in it.
    pub fn closure(&self, module: &str) -> Names {
        self.closure_of([module])
    }

    /// Several addons with all that they depend on.
    pub fn closure_of<'n>(&self, modules: impl IntoIterator<Item = &'n str>) -> Names {
        let mut found = Names::new();
        let mut open: Vec<String> = modules.into_iter().map(str::to_owned).chain(["base".to_owned()]).collect();
        while let Some(next) = open.pop() {
            if !found.contains(&next) {
                open.extend(self.module(&next).into_iter().flat_map(|facts| facts.depends.iter().cloned()));
                found.insert(next);
            }
        }
        found
    }

    /// An addon with all that Odoo installs with it: what it depends on, and what installs itself where that is there.
    pub fn installed(&self, module: &str) -> Names {
        let mut found = self.closure(module);
        loop {
            let ready = |facts: &ModuleFacts| facts.auto_install.as_ref().is_some_and(|with| with.iter().all(|name| found.contains(name)));
            let next: Vec<&str> =
                self.modules().filter(|(name, facts)| !found.contains(*name) && ready(facts)).map(|(name, _)| name).collect();
            if next.is_empty() {
                return found;
            }
            found.extend(self.closure_of(next));
        }
    }

    /// Every class of an Odoo model, with the addon that it stands in.
    pub fn classes(&self, odoo_model: &str) -> Vec<(&'a str, &'a Class)> {
        let of = |(name, facts): (&'a str, &'a ModuleFacts)| {
            facts.classes.iter().filter(|class| class.odoo_model == odoo_model).map(move |class| (name, class))
        };
        self.modules().flat_map(of).collect()
    }

    /// The addons that make an Odoo model (and do not merely extend it), those with the fewest dependencies first.
    pub fn owners(&self, odoo_model: &str) -> Vec<&'a str> {
        let found: BTreeSet<&str> =
            self.classes(odoo_model).into_iter().filter(|(_, class)| class.defines()).map(|(module, _)| module).collect();
        let mut found: Vec<&str> = found.into_iter().collect();
        found.sort_by_cached_key(|module| (self.closure(module).len(), *module));
        found
    }

    /// Every Odoo model that these addons make.
    pub fn odoo_models(&self, scope: &Names) -> BTreeSet<&'a str> {
        let of = |facts: &'a ModuleFacts| facts.classes.iter().filter(|class| class.defines()).map(|class| class.odoo_model.as_str());
        self.modules().filter(|(name, _)| scope.contains(*name)).flat_map(|(_, facts)| of(facts)).collect()
    }

    /// The fields of an Odoo model as these addons see it: its own, inherited and delegated ones. Those that every Odoo model has are not
    /// listed; [`Index::is_magic`] knows them. Empty if none of these addons makes it.
    pub fn fields(&self, odoo_model: &str, scope: &Names) -> BTreeMap<&'a str, &'a FieldFacts> {
        let mut found = BTreeMap::new();
        self.lineage(odoo_model, scope, true, 0, &mut Names::new(), &mut |class| {
            for (name, field) in &class.fields {
                found.entry(name.as_str()).or_insert(field);
            }
        });
        found
    }

    /// The methods of an Odoo model as these addons see it, those of the ORM left out.
    pub fn methods(&self, odoo_model: &str, scope: &Names) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::new();
        self.lineage(odoo_model, scope, false, 0, &mut Names::new(), &mut |class| found.extend(class.methods.keys().map(String::as_str)));
        found
    }

    /// Whether every Odoo model has a field of this name.
    pub fn is_magic(field: &str) -> bool {
        MAGIC.contains(&field)
    }

    fn lineage(&self, odoo_model: &str, scope: &Names, delegates: bool, depth: usize, seen: &mut Names, visit: &mut dyn FnMut(&'a Class)) {
        if depth > MAX_DEPTH || !seen.insert(odoo_model.to_owned()) {
            return;
        }
        let classes: Vec<_> = self.classes(odoo_model).into_iter().filter(|(module, _)| scope.contains(*module)).collect();
        for (_, class) in &classes {
            visit(class);
        }
        for (_, class) in classes {
            for parent in class.inherit.iter().chain(class.delegates.keys().filter(|_| delegates)) {
                self.lineage(parent, scope, delegates, depth + 1, seen, visit);
            }
        }
    }

    /// The addons that give an Odoo model this field, directly or through what it inherits there, those with the fewest dependencies first.
    pub fn modules_with_field(&self, odoo_model: &str, field: &str) -> Vec<&'a str> {
        let has = |class: &Class| class.fields.contains_key(field);
        let own: BTreeSet<&str> = self.classes(odoo_model).into_iter().filter(|(_, class)| has(class)).map(|(module, _)| module).collect();
        let mut found: Vec<&str> = own.into_iter().collect();
        found.sort_by_cached_key(|module| (self.closure(module).len(), *module));
        found
    }

    /// The record of a full external id (`module.name`), if a data file has it.
    pub fn record(&self, xmlid: &str) -> Option<&'a RecordFacts> {
        let (module, name) = xmlid.split_once('.')?;
        self.module(module)?.records.get(name)
    }

    /// Whether an external id exists among these addons: a record of a data file, or one that Odoo makes by itself for an Odoo model
    /// (`model_…`) or an addon (`base.module_…`). Those of fields and selections are taken to exist.
    pub fn has_id(&self, xmlid: &str, scope: &Names) -> bool {
        let Some((module, name)) = xmlid.split_once('.') else { return false };
        let made = || {
            let touched = |wanted: &str| {
                self.module(module).is_some_and(|facts| facts.classes.iter().any(|class| class.odoo_model.replace('.', "_") == wanted))
            };
            name.strip_prefix("model_").is_some_and(touched)
                || (module == "base" && name.strip_prefix("module_").is_some_and(|addon| self.module(addon).is_some()))
                || name.starts_with("field_")
                || name.starts_with("selection_")
        };
        scope.contains(module) && (self.record(xmlid).is_some() || made())
    }

    /// Every external id of records that these addons bring, in full.
    pub fn ids(&self, scope: &Names) -> impl Iterator<Item = (String, &'a RecordFacts)> {
        let scope = scope.clone();
        let of = |(module, facts): (&'a str, &'a ModuleFacts)| {
            facts.records.iter().map(move |(name, record)| (format!("{module}.{name}"), record))
        };
        self.modules().filter(move |(module, _)| scope.contains(*module)).flat_map(of)
    }

    /// The full external ids of all addons whose name after the dot is this one.
    pub fn ids_named(&self, name: &str) -> Vec<String> {
        let has = |facts: &&ModuleFacts| facts.records.contains_key(name);
        self.modules().filter(|(_, facts)| has(facts)).map(|(module, _)| format!("{module}.{name}")).collect()
    }

    /// The view of a full external id.
    pub fn view(&self, xmlid: &str) -> Option<&'a ViewFacts> {
        let (module, name) = xmlid.split_once('.')?;
        self.module(module)?.views.get(name)
    }

    /// The elements of a view as these addons see it: of the view at the root of its inheritance and of all that extends that, the
    /// extension `without` left out (it is the one that fails). What an extension takes away again is still listed.
    pub fn anchors(&self, xmlid: &str, scope: &Names, without: Option<&str>) -> Vec<Anchor> {
        let mut root = xmlid.to_owned();
        for _ in 0..MAX_DEPTH {
            match self.view(&root).and_then(|view| view.inherit.clone()) {
                Some(parent) => root = parent,
                None => break,
            }
        }
        let Some(base) = self.view(&root) else { return Vec::new() };
        let mut found = anchors(&root, &base.arch, false);
        let mut open = vec![root];
        let mut seen = Names::new();
        while let Some(parent) = open.pop() {
            for (id, view) in self.extensions(&parent, scope) {
                if without != Some(id.as_str()) && seen.insert(id.clone()) {
                    found.extend(anchors(&id, &view.arch, true));
                    open.push(id);
                }
            }
        }
        found
    }

    /// The views that inherit from a view, by their full external ids.
    pub fn extensions(&self, xmlid: &str, scope: &Names) -> Vec<(String, &'a ViewFacts)> {
        let of = |(module, facts): (&'a str, &'a ModuleFacts)| {
            let inheriting = facts.views.iter().filter(|(_, view)| view.inherit.as_deref() == Some(xmlid));
            inheriting.map(move |(name, view)| (format!("{module}.{name}"), view)).collect::<Vec<_>>()
        };
        self.modules().filter(|(module, _)| scope.contains(*module)).flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::odoo::Addon;

    fn addon(name: &str, files: &[(&str, &str)]) -> Addon {
        let files = files.iter().map(|(path, text)| (format!("{name}/{path}").parse().unwrap(), text.as_bytes().to_vec()));
        Addon::new(name.parse().unwrap(), files)
    }

    fn core() -> Facts {
        Facts::of(&[
            addon(
                "base",
                &[
                    ("__manifest__.py", "{'name': 'Base'}"),
                    ("models/p.py", "class P(models.Model):\n    _name = 'res.partner'\n    name = fields.Char()\n"),
                    (
                        "v.xml",
                        "<odoo><record id=\"form\" model=\"ir.ui.view\"><field name=\"model\">res.partner</field><field name=\"arch\" type=\"xml\"><form><field name=\"name\"/></form></field></record></odoo>",
                    ),
                ],
            ),
            addon(
                "mail",
                &[
                    ("__manifest__.py", "{'depends': ['base']}"),
                    (
                        "m.py",
                        "class T(models.AbstractModel):\n    _name = 'mail.thread'\n    message_ids = fields.One2many('mail.message', 'res_id')\n    def message_post(self):\n        pass\n",
                    ),
                    (
                        "p.py",
                        "class P(models.Model):\n    _name = 'res.partner'\n    _inherit = ['res.partner', 'mail.thread']\n    signup = fields.Char()\n",
                    ),
                ],
            ),
            addon(
                "user",
                &[
                    ("__manifest__.py", "{'depends': ['mail']}"),
                    (
                        "u.py",
                        "class U(models.Model):\n    _name = 'res.users'\n    _inherits = {'res.partner': 'partner_id'}\n    login = fields.Char()\n",
                    ),
                ],
            ),
        ])
    }

    #[test]
    fn fields_follow_inheritance_within_the_scope() {
        let (core, own) = (core(), Facts::default());
        let index = Index::new(&own, &core);
        let keys = |odoo_model: &str, scope: &Names| index.fields(odoo_model, scope).into_keys().collect::<Vec<_>>();
        assert_eq!(keys("res.partner", &index.closure("base")), ["name"]);
        assert_eq!(keys("res.partner", &index.closure("mail")), ["message_ids", "name", "signup"]);
        assert_eq!(keys("res.users", &index.closure("user")), ["login", "message_ids", "name", "signup"]);
        assert!(index.methods("res.partner", &index.closure("mail")).contains("message_post"));
        assert!(
            !index.methods("res.users", &index.closure("user")).contains("message_post"),
            "a delegate lends its fields, not its methods"
        );
    }

    #[test]
    fn owner_is_who_makes_it() {
        let (core, own) = (core(), Facts::default());
        let index = Index::new(&own, &core);
        assert_eq!(index.owners("res.partner"), ["base"]);
        assert_eq!(index.owners("mail.thread"), ["mail"]);
        assert_eq!(index.modules_with_field("res.partner", "signup"), ["mail"]);
        assert!(index.owners("zzz").is_empty());
    }

    #[test]
    fn ids_are_of_records_and_of_what_odoo_makes() {
        let core = core();
        let own = Facts::of(&[addon(
            "m",
            &[
                ("__manifest__.py", "{'depends': ['mail']}"),
                (
                    "v.xml",
                    "<odoo><record id=\"ext\" model=\"ir.ui.view\"><field name=\"inherit_id\" ref=\"base.form\"/><field name=\"arch\" type=\"xml\"><field name=\"name\" position=\"after\"><field name=\"signup\"/></field></field></record></odoo>",
                ),
            ],
        )]);
        let index = Index::new(&own, &core);
        let scope = index.closure("m");
        for id in ["base.form", "m.ext", "base.model_res_partner", "mail.model_res_partner", "base.module_mail"] {
            assert!(index.has_id(id, &scope), "{id}");
        }
        for id in ["base.zzz", "user.model_res_users", "form", "base.model_zzz"] {
            assert!(!index.has_id(id, &scope), "{id}");
        }
        assert_eq!(index.ids_named("form"), ["base.form"]);
        let names = |without| {
            index.anchors("m.ext", &scope, without).iter().filter_map(|found| found.name().map(str::to_owned)).collect::<Vec<_>>()
        };
        assert_eq!(names(None), ["name", "signup"]);
        assert_eq!(names(Some("m.ext")), ["name"]);
    }

    #[test]
    fn inheritance_in_a_circle_ends() {
        let own = Facts::of(&[addon(
            "m",
            &[
                ("__manifest__.py", "{'depends': ['m', 'n']}"),
                (
                    "a.py",
                    "class A(models.Model):\n    _name = 'a'\n    _inherit = 'b'\nclass B(models.Model):\n    _name = 'b'\n    _inherit = 'a'\n    x = fields.Char()\n",
                ),
                ("v.xml", "<odoo><template id=\"t\" inherit_id=\"u\"/><template id=\"u\" inherit_id=\"t\"/></odoo>"),
            ],
        )]);
        let none = Facts::default();
        let index = Index::new(&own, &none);
        let scope = index.closure("m");
        assert!(index.fields("a", &scope).contains_key("x"));
        assert!(index.anchors("m.t", &scope, None).is_empty() || !index.knows_core());
    }
}
