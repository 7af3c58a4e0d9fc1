//! What an image offers, and what of it a run starts from: the richest template database that holds nothing undeclared.
//!
//! A template that holds more than the declared dependencies would hide a missing `depends`, so the choice is made anew for every state
//! of the sources.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::earned::Wanted;
use super::{SandboxError, TestPlan};
use crate::odoo::Addon;

type Names = BTreeSet<String>;

/// The template that every other one contains.
const BASE: &str = "t_base";

/// The addons of Odoo itself and the template databases of an image, as `sandbox/run/catalog.py` prints them.
#[derive(Debug, Deserialize)]
pub(super) struct Catalog {
    core: BTreeMap<String, Depends>,
    templates: BTreeMap<String, Names>,
}

/// What one addon says about others.
#[derive(Debug, Clone, Deserialize)]
struct Depends {
    depends: Vec<String>,
    /// The addons whose presence has Odoo install this one by itself.
    auto_install: Option<Vec<String>>,
    installable: bool,
}

/// What a run starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    /// The template database.
    pub(super) template: String,
    /// Declared dependencies that the template does not hold, each after those it needs.
    pub(super) missing: Vec<String>,
    /// Odoo's own addons of both, each after those it needs.
    pub(super) core: Vec<String>,
}

impl Catalog {
    /// Reads the catalog of an image.
    pub(super) fn parse(text: &str) -> Result<Self, SandboxError> {
        let catalog: Self = serde_json::from_str(text)
            .map_err(|error| SandboxError::Protocol(format!("the catalog of the image cannot be read: {error}")))?;
        if catalog.templates.contains_key(BASE) { Ok(catalog) } else { Err(SandboxError::Protocol(format!("the image has no {BASE}"))) }
    }

    /// Odoo's own addons that every run has, each after those it needs.
    pub(super) fn base(&self) -> Vec<String> {
        in_order(&self.core, self.templates[BASE].clone())
    }

    /// What a run of this plan starts from. Fails if an addon could never be tested: Odoo's own folder comes first on its path.
    pub(super) fn start(&self, plan: &TestPlan<'_>) -> Result<Start, SandboxError> {
        let tested: Names = plan.modules().map(|module| module.as_str().to_owned()).collect();
        if let Some(shadowed) = tested.iter().find(|module| self.core.contains_key(*module)) {
            return Err(SandboxError::Sources(format!("{shadowed} is an addon of Odoo itself, which would be tested in its place")));
        }
        let known = self.known(plan.addons);
        let template = self.template(&known, &tested);
        let held = &self.templates[template];
        // What needs an addon under test, or one that nobody has, is Odoo's to deal with in the run itself.
        let ready = |module: &String| {
            let needed = closure(&known, Names::from([module.clone()]));
            needed.iter().all(|need| !tested.contains(need) && known.get(need).is_some_and(|found| found.installable))
        };
        let missing = closure(&known, tested.clone()).into_iter().filter(|module| !held.contains(module) && ready(module)).collect();
        let missing = in_order(&known, missing);
        let core = held.iter().chain(&missing).filter(|module| self.core.contains_key(*module)).cloned().collect();
        Ok(Start { template: template.to_owned(), core: in_order(&known, core), missing })
    }

    /// The addons of Odoo itself that this plan needs and no template holds.
    pub(super) fn wanted(&self, plan: &TestPlan<'_>) -> Result<Option<Wanted>, SandboxError> {
        let Start { template, missing, .. } = self.start(plan)?;
        let modules: Vec<String> = missing.into_iter().filter(|module| self.core.contains_key(module)).collect();
        Ok((!modules.is_empty()).then_some(Wanted { template, modules }))
    }

    /// The addons that a template holds.
    pub(super) fn held(&self, template: &str) -> &Names {
        self.templates.get(template).unwrap_or(&self.templates[BASE])
    }

    /// Whether a database with these addons would hold nothing that the plan does not declare.
    pub(super) fn fits(&self, plan: &TestPlan<'_>, modules: &Names) -> bool {
        let tested: Names = plan.modules().map(|module| module.as_str().to_owned()).collect();
        nothing_else(modules, &self.declared(&self.known(plan.addons), &tested), &tested)
    }

    /// Everything that a database may hold: what the addons under test declare, and what Odoo installs with that by itself.
    fn declared(&self, known: &BTreeMap<String, Depends>, tested: &Names) -> Names {
        with_automatic(known, tested.union(&self.templates[BASE]).cloned().collect())
    }

    /// Every addon that Odoo would find.
    fn known(&self, addons: &[Addon]) -> BTreeMap<String, Depends> {
        // A local addon that Odoo would install by itself is not part of what another one declares.
        let local = addons.iter().map(|addon| {
            let depends = addon.manifest().map(|manifest| manifest.texts("depends").into_iter().map(str::to_owned).collect());
            let depends = depends.filter(|depends: &Vec<String>| !depends.is_empty()).unwrap_or_else(|| vec!["base".to_owned()]);
            (addon.name().as_str().to_owned(), Depends { depends, auto_install: None, installable: true })
        });
        local.chain(self.core.clone()).collect()
    }

    /// The richest template that holds nothing which the addons under test do not declare.
    fn template(&self, known: &BTreeMap<String, Depends>, tested: &Names) -> &str {
        let declared = self.declared(known, tested);
        let fitting = self.templates.iter().filter(|(_, modules)| nothing_else(modules, &declared, tested));
        fitting.max_by_key(|(name, modules)| (modules.len(), *name)).map_or(BASE, |(name, _)| name)
    }
}

fn nothing_else(modules: &Names, declared: &Names, tested: &Names) -> bool {
    modules.iter().all(|module| declared.contains(module) && !tested.contains(module))
}

/// The modules and everything that they depend on, known or not.
fn closure(known: &BTreeMap<String, Depends>, modules: Names) -> Names {
    let mut closed = Names::new();
    let mut open: Vec<String> = modules.into_iter().collect();
    while let Some(name) = open.pop() {
        open.extend(known.get(&name).into_iter().flat_map(|found| found.depends.clone()));
        closed.insert(name);
        open.retain(|name| !closed.contains(name));
    }
    closed
}

/// The same with what Odoo then installs by itself.
fn with_automatic(known: &BTreeMap<String, Depends>, modules: Names) -> Names {
    let mut closed = closure(known, modules);
    loop {
        let triggered = |found: &Depends| found.auto_install.as_ref().is_some_and(|needs| needs.iter().all(|need| closed.contains(need)));
        let more: Names =
            known.iter().filter(|(name, found)| !closed.contains(*name) && triggered(found)).map(|(name, _)| name.clone()).collect();
        if more.is_empty() {
            return closed;
        }
        closed.extend(closure(known, more));
    }
}

/// Each after those it needs; by name where that leaves a choice, as Odoo does it.
fn in_order(known: &BTreeMap<String, Depends>, modules: Names) -> Vec<String> {
    let mut sized: Vec<(usize, String)> =
        modules.into_iter().map(|name| (closure(known, Names::from([name.clone()])).len(), name)).collect();
    // Whatever depends on something has everything that it has, and itself.
    sized.sort();
    sized.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ModuleName, RelPath};

    fn catalog() -> Catalog {
        let text = r#"{"core": {
            "base": {"depends": [], "auto_install": null, "installable": true},
            "web": {"depends": ["base"], "auto_install": ["base"], "installable": true},
            "mail": {"depends": ["web"], "auto_install": null, "installable": true},
            "contacts": {"depends": ["mail"], "auto_install": null, "installable": true},
            "mail_bot": {"depends": ["mail"], "auto_install": ["mail"], "installable": true},
            "product": {"depends": ["mail"], "auto_install": null, "installable": true},
            "off": {"depends": ["base"], "auto_install": null, "installable": false}
        }, "templates": {
            "t_base": ["base", "web"],
            "t_mail": ["base", "web", "mail", "mail_bot"],
            "t_product": ["base", "web", "mail", "mail_bot", "product"]
        }}"#;
        Catalog::parse(text).unwrap()
    }

    fn addon(name: &str, depends: &str) -> Addon {
        let manifest = format!("{{'name': 'x', 'depends': [{depends}], 'auto_install': True}}");
        Addon::new(name.parse().unwrap(), [(format!("{name}/__manifest__.py").parse::<RelPath>().unwrap(), manifest.into_bytes())])
    }

    fn start(addons: &[Addon]) -> Start {
        catalog().start(&TestPlan { module: addons[0].name(), also: &[], addons }).unwrap()
    }

    #[test]
    fn richest_template_that_is_declared_wins() {
        assert_eq!(start(&[addon("a", "'base'")]).template, "t_base");
        assert_eq!(start(&[addon("a", "")]).template, "t_base");
        assert_eq!(start(&[addon("a", "'mail'")]).template, "t_mail");
        assert_eq!(start(&[addon("a", "'contacts'")]).template, "t_mail");
        assert_eq!(start(&[addon("a", "'product'")]).template, "t_product");
    }

    #[test]
    fn what_the_template_lacks_comes_in_order() {
        let both = start(&[addon("a", "'contacts', 'z'"), addon("z", "'mail'")]);
        assert_eq!((both.template.as_str(), both.missing), ("t_mail", vec!["contacts".to_owned(), "z".to_owned()]));
        assert_eq!(both.core, ["base", "web", "mail", "contacts", "mail_bot"]);
        let chain = start(&[addon("a", "'b'"), addon("b", "'c'"), addon("c", "'base'")]);
        assert_eq!(chain.missing, ["c", "b"]);
        assert_eq!(start(&[addon("a", "'mail'")]).missing, Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_installed_is_left_to_odoo() {
        assert_eq!(start(&[addon("a", "'nobody'")]).missing, Vec::<String>::new());
        assert_eq!(start(&[addon("a", "'b'"), addon("b", "'nobody'")]).missing, Vec::<String>::new());
        assert_eq!(start(&[addon("a", "'off'")]).missing, Vec::<String>::new());
        assert_eq!(start(&[addon("a", "'b'"), addon("b", "'a'")]).missing, Vec::<String>::new(), "a circle");
        let unreadable = Addon::new("a".parse().unwrap(), [("a/__manifest__.py".parse().unwrap(), b"{'depends': [".to_vec())]);
        assert_eq!(start(&[unreadable]).template, "t_base");
    }

    #[test]
    fn dependents_leave_the_addon_under_test_alone() {
        let addons = [addon("a", "'base'"), addon("b", "'a', 'contacts'"), addon("c", "'b', 'd'"), addon("d", "'a'")];
        let also: Vec<ModuleName> = vec!["c".parse().unwrap()];
        let start = catalog().start(&TestPlan { module: addons[0].name(), also: &also, addons: &addons }).unwrap();
        assert_eq!((start.template.as_str(), start.missing), ("t_mail", vec!["contacts".to_owned()]));
    }

    #[test]
    fn addon_that_odoo_shadows_is_refused() {
        let addons = [addon("mail", "'base'")];
        let refused = catalog().start(&TestPlan { module: addons[0].name(), also: &[], addons: &addons });
        assert!(matches!(&refused, Err(SandboxError::Sources(why)) if why.contains("mail")), "{refused:?}");
    }

    #[test]
    fn garbage_is_no_catalog() {
        for text in ["", "[]", "{}", r#"{"core": {}, "templates": {}}"#, r#"{"core": 1, "templates": {"t_base": []}}"#] {
            assert!(matches!(Catalog::parse(text), Err(SandboxError::Protocol(_))), "{text}");
        }
    }
}
