//! Which addons are installed where a traceback comes from, and in which order Odoo loads them.

use std::collections::{BTreeSet, HashMap};

use super::FrameSource;

/// How likely an addon is to be installed, and so to be asked for the value: one that the traceback goes through; what those depend on; what
/// Odoo installs by itself on top of them; what joins one of them with another; any other.
const SEEN: f32 = 1.0;
const BELOW: f32 = 0.9;
const BY_ITSELF: f32 = 0.7;
const JOINING: f32 = 0.35;
const UNKNOWN: f32 = 0.12;
/// What is not in an addon is seldom at fault.
pub(super) const FRAMEWORK: f32 = 0.2;
/// From here on an addon is taken to be installed.
pub(super) const LIKELY: f32 = 0.5;

/// What the manifest of an addon says.
#[derive(Debug, Clone, Copy)]
pub struct AddonFacts<'a> {
    /// The addon.
    pub name: &'a str,
    /// What it depends on.
    pub depends: &'a [String],
    /// What has to be there for Odoo to install it by itself.
    pub auto_install: Option<&'a [String]>,
}

/// Which addons are likely to be installed where the traceback comes from, and in which order Odoo loads them.
#[derive(Debug, Clone, Default)]
pub struct Addons {
    share: HashMap<String, f32>,
    depth: HashMap<String, usize>,
}

impl Addons {
    /// What the frames say of these addons: those that they stand in are installed, and all that these depend on; what installs itself on
    /// top of them is likely to be.
    pub fn of(frames: &[FrameSource<'_>], facts: &[AddonFacts<'_>]) -> Self {
        let by_name: HashMap<&str, &AddonFacts<'_>> = facts.iter().map(|addon| (addon.name, addon)).collect();
        let mut share = HashMap::from([("base".to_owned(), BELOW)]);
        let seen: BTreeSet<&str> = frames.iter().filter_map(|frame| frame.module).collect();
        let mut open: Vec<&str> = seen.iter().copied().collect();
        while let Some(name) = open.pop() {
            let fresh = share.insert(name.to_owned(), BELOW).is_none();
            if fresh || name == "base" {
                open.extend(
                    by_name
                        .get(name)
                        .into_iter()
                        .flat_map(|addon| addon.depends.iter().map(String::as_str))
                        .filter(|name| !share.contains_key(*name)),
                );
            }
        }
        loop {
            let ready = |addon: &&AddonFacts<'_>| addon.auto_install.is_some_and(|with| with.iter().all(|name| share.contains_key(name)));
            let next: Vec<&str> =
                facts.iter().filter(|addon| !share.contains_key(addon.name)).filter(ready).map(|addon| addon.name).collect();
            if next.is_empty() {
                break;
            }
            share.extend(next.into_iter().map(|name| (name.to_owned(), BY_ITSELF)));
        }
        // What joins two addons is often there with the one that is seen.
        let joins = |addon: &&AddonFacts<'_>| addon.auto_install.is_some_and(|with| with.iter().any(|name| seen.contains(name.as_str())));
        for addon in facts.iter().filter(joins) {
            share.entry(addon.name.to_owned()).or_insert(JOINING);
        }
        share.extend(seen.into_iter().map(|name| (name.to_owned(), SEEN)));
        let mut depth = HashMap::new();
        for addon in facts {
            depth_of(addon.name, &by_name, &mut depth, 0);
        }
        Self { share, depth }
    }

    /// How likely it is to be installed.
    pub(super) fn share(&self, module: Option<&str>) -> f32 {
        module.map_or(FRAMEWORK, |module| self.share.get(module).copied().unwrap_or(UNKNOWN))
    }

    /// Where Odoo loads it: later is greater.
    pub(super) fn order<'m>(&self, module: Option<&'m str>) -> (usize, &'m str) {
        let module = module.unwrap_or_default();
        (self.depth.get(module).copied().unwrap_or(0), module)
    }
}

fn depth_of<'a>(name: &'a str, by_name: &HashMap<&'a str, &'a AddonFacts<'a>>, known: &mut HashMap<String, usize>, level: usize) -> usize {
    if let Some(depth) = known.get(name) {
        return *depth;
    }
    // Kept before it is known, so that addons that depend on each other in a circle come to an end.
    known.insert(name.to_owned(), 0);
    let below = by_name.get(name).map(|addon| addon.depends).unwrap_or_default();
    let deepest = if level > 200 { 0 } else { below.iter().map(|next| depth_of(next, by_name, known, level + 1) + 1).max().unwrap_or(0) };
    known.insert(name.to_owned(), deepest);
    deepest
}
