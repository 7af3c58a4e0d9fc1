//! The sources of a request, as a patch leaves them.

use super::Request;
use crate::domain::Patch;
use crate::odoo::Addon;

impl Request<'_> {
    /// These addons after a patch, with what the patch makes them depend on, as far as that is at hand.
    pub(super) fn patched(&self, addons: &[Addon], patch: &Patch) -> Vec<Addon> {
        with_needed(addons.iter().map(|addon| addon.with(patch)).collect(), self.others)
    }
}

/// The addons, and those of `others` that they depend on.
fn with_needed(mut addons: Vec<Addon>, others: &[Addon]) -> Vec<Addon> {
    let mut next = 0;
    while let Some(addon) = addons.get(next) {
        next += 1;
        let manifest = addon.manifest();
        let depends = manifest.as_ref().map(|manifest| manifest.texts("depends")).unwrap_or_default();
        let is_there = |name: &str| addons.iter().any(|addon| addon.name().as_str() == name);
        let needed = others.iter().filter(|other| depends.contains(&other.name().as_str()) && !is_there(other.name().as_str()));
        let needed: Vec<Addon> = needed.cloned().collect();
        addons.extend(needed);
    }
    addons
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addon(name: &str, depends: &str) -> Addon {
        let manifest = format!("{{'depends': [{depends}]}}");
        Addon::new(name.parse().unwrap(), [(format!("{name}/__manifest__.py").parse().unwrap(), manifest.into_bytes())])
    }

    #[test]
    fn what_is_newly_needed_comes_along_and_nothing_else() {
        let others = [addon("b", "'c', 'sale'"), addon("c", "'a', 'b'"), addon("stranger", "'a'")];
        let names = |first: Addon| with_needed(vec![first], &others).iter().map(|addon| addon.name().to_string()).collect::<Vec<_>>();
        assert_eq!(names(addon("a", "'base'")), ["a"]);
        assert_eq!(names(addon("a", "'base', 'b'")), ["a", "b", "c"]);
    }
}
