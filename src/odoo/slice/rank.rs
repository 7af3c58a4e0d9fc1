//! The definitions that are known of suspected methods, the most likely first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::addons::{Addons, FRAMEWORK, LIKELY};
use super::clue::Clue;
use super::found::{At, Found};
use super::text::Source;
use super::trace::{Slice, returned};
use super::{CULPRITS_MAX, Culprit, FrameSource, Receiver};

const DEPTH_MAX: usize = 12;
/// Definitions whose own returns are looked into.
const DEEPER_MAX: usize = 12;
/// What a call in the returned value weighs of the method that returns it.
const DEEPER: f32 = 0.6;
/// What the definition below weighs, by what the one above does with its value: hands it on as it is, works on it, never asks for it.
const HANDED_ON: f32 = 0.75;
const WORKED_ON: f32 = 0.4;
const REPLACED: f32 = 0.15;

/// One definition of a method or function.
#[derive(Debug, Clone, Copy)]
pub struct Definition<'a> {
    /// Its name.
    pub name: &'a str,
    /// The Odoo model that its class is of.
    pub odoo_model: Option<&'a str>,
    /// Its class.
    pub class: Option<&'a str>,
    /// The addon; `None` for the framework.
    pub module: Option<&'a str>,
    /// Its source.
    pub text: &'a str,
}

/// A definition with how likely it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// Which of the definitions.
    pub definition: usize,
    /// Which of the culprits led to it.
    pub culprit: usize,
    /// The higher, the more likely.
    pub score: f32,
}

/// What the ranking knows besides the culprits.
struct Known<'a> {
    clue: Clue,
    definitions: &'a [Definition<'a>],
    frames: &'a [FrameSource<'a>],
    addons: &'a Addons,
    lineage: &'a BTreeMap<String, Vec<String>>,
}

/// The definitions, the most likely first; those that the traceback itself went through are left out, because what they returned is not known
/// to have been wrong. `lineage` says of Odoo models which others they inherit from.
pub fn rank(
    (exception, message): (&str, &str),
    culprits: &[Culprit],
    definitions: &[Definition<'_>],
    frames: &[FrameSource<'_>],
    addons: &Addons,
    lineage: &BTreeMap<String, Vec<String>>,
) -> Vec<Ranked> {
    let known = Known { clue: Clue::of(exception, message), definitions, frames, addons, lineage };
    let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (n, definition) in definitions.iter().enumerate().filter(|(_, definition)| !known.is_in_frames(definition)) {
        by_name.entry(definition.name).or_default().push(n);
    }
    let mut best: HashMap<usize, Ranked> = HashMap::new();
    for (n, culprit) in culprits.iter().enumerate() {
        let named: Vec<usize> = if culprit.starts {
            let from = by_name.range(culprit.name.as_str()..).take_while(|(name, _)| name.starts_with(&culprit.name));
            from.filter(|(name, _)| **name != culprit.name).flat_map(|(_, found)| found.iter().copied()).collect()
        } else {
            by_name.get(culprit.name.as_str()).cloned().unwrap_or_default()
        };
        for (definition, score) in known.scored(culprit, named) {
            let ranked = Ranked { definition, culprit: n, score };
            let kept = best.entry(definition).or_insert_with(|| ranked.clone());
            if kept.score < score {
                *kept = ranked;
            }
        }
    }
    let mut found: Vec<Ranked> = best.into_values().collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.definition.cmp(&b.definition)));
    found
}

impl Known<'_> {
    fn is_in_frames(&self, definition: &Definition<'_>) -> bool {
        let same = |frame: &FrameSource<'_>| {
            let function = frame.function.rsplit('.').next().unwrap_or_default();
            function == definition.name && frame.module == definition.module && frame.class == definition.class && !frame.text.is_empty()
        };
        self.frames.iter().any(same)
    }

    fn scored(&self, culprit: &Culprit, named: Vec<usize>) -> Vec<(usize, f32)> {
        let caller = self.frames.get(culprit.from_frame);
        let mut found: Vec<(usize, f32)> = named.into_iter().map(|n| (n, self.fits(culprit, caller, &self.definitions[n]))).collect();
        if let (Receiver::Super(wanted), Some(caller)) = (&culprit.receiver, caller.filter(|caller| caller.module.is_some())) {
            let below = |n: usize| self.addons.order(self.definitions[n].module) < self.addons.order(caller.module);
            let other = |odoo_model: Option<&str>| odoo_model != caller.odoo_model && odoo_model != wanted.as_deref();
            found.retain(|(n, _)| below(*n) || other(self.definitions[*n].odoo_model));
        }
        // Among those of one Odoo model, the last loaded is asked first.
        let order = |n: usize| self.addons.order(self.definitions[n].module);
        found.sort_by(|(a, _), (b, _)| order(*b).cmp(&order(*a)));
        let mut left: HashMap<(&str, Option<&str>), f32> = HashMap::new();
        let mut out = Vec::new();
        for (n, fits) in found {
            let definition = &self.definitions[n];
            let share = self.addons.share(definition.module);
            let left = left.entry((definition.name, definition.odoo_model)).or_insert(1.0);
            out.push((n, culprit.weight * fits * share * *left * gives_back(definition) * self.clue.fits(definition.text)));
            if share >= LIKELY {
                *left *= handed_on(definition);
            }
        }
        out
    }

    /// How well a definition fits what the method was called on.
    fn fits(&self, culprit: &Culprit, caller: Option<&FrameSource<'_>>, definition: &Definition<'_>) -> f32 {
        let of_caller = definition.odoo_model.is_some() && caller.is_some_and(|caller| caller.odoo_model == definition.odoo_model);
        match (&culprit.receiver, definition.odoo_model) {
            (Receiver::OdooModel(wanted) | Receiver::Super(Some(wanted)), Some(odoo_model)) => {
                if odoo_model == wanted {
                    1.0
                } else if self.ancestors(wanted).contains(odoo_model) {
                    0.85
                } else if of_caller || odoo_model == "base" {
                    0.7
                } else if wanted == "base" {
                    0.5
                } else {
                    0.08
                }
            }
            (Receiver::Named(names), Some(odoo_model)) => {
                let akin = names.iter().map(|name| akin(name, odoo_model)).fold(0.0, f32::max);
                0.45 + 0.5 * akin
            }
            (Receiver::With(method), Some(odoo_model)) => {
                let has = |other: &Definition<'_>| other.name == method && other.odoo_model == Some(odoo_model);
                if self.definitions.iter().any(has) { 1.0 } else { 0.05 }
            }
            (Receiver::Super(None), Some(_)) if of_caller => 0.9,
            (Receiver::Unknown | Receiver::Super(None), Some(_)) => 0.45,
            // A class whose Odoo model is not known; the framework's own are those of every Odoo model, but seldom at fault.
            (_, None) => {
                if definition.module.is_some() && definition.class.is_some() {
                    0.1
                } else {
                    0.35
                }
            }
        }
    }

    fn ancestors(&self, odoo_model: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut open = vec![(odoo_model, 0)];
        while let Some((name, depth)) = open.pop() {
            for next in self.lineage.get(name).into_iter().flatten().filter(|_| depth < DEPTH_MAX) {
                if found.insert(next.as_str()) {
                    open.push((next, depth + 1));
                }
            }
        }
        found
    }
}

/// How much the name of a variable or field says that it holds records of an Odoo model: `product_uom_id` of `uom.uom`.
fn akin(name: &str, odoo_model: &str) -> f32 {
    let singular = |word: &str| word.strip_suffix('s').filter(|stem| stem.len() > 2).unwrap_or(word).to_lowercase();
    let words: Vec<String> =
        name.trim_end_matches("_ids").trim_end_matches("_id").split('_').filter(|word| word.len() > 1).map(singular).collect();
    let parts: Vec<String> = odoo_model.split(['.', '_']).map(singular).collect();
    let common = parts.iter().filter(|part| words.contains(part)).count();
    if common == 0 || words.is_empty() {
        return 0.0;
    }
    let head = words.last() == parts.last();
    let union = words.len() + parts.len() - common;
    let count = |n: usize| f32::from(u8::try_from(n).unwrap_or(u8::MAX));
    (count(common) / count(union.max(1))).mul_add(0.6, if head { 0.4 } else { 0.0 })
}

/// A method that returns nothing is not asked for a value.
fn gives_back(definition: &Definition<'_>) -> f32 {
    if definition.name.starts_with("_compute_") {
        return 0.7;
    }
    let gives = definition.text.lines().map(str::trim_start).any(|line| {
        line.strip_prefix("return ").is_some_and(|value| value.trim() != "None") || line.starts_with("return(") || line.contains("yield")
    });
    if gives { 1.0 } else { 0.2 }
}

/// What is left for the definition below.
fn handed_on(definition: &Definition<'_>) -> f32 {
    let called = |line: &str| line.contains("super(") && line.contains(&format!(").{}(", definition.name));
    let mut calls = definition.text.lines().map(str::trim_start).filter(|line| called(line)).peekable();
    if calls.peek().is_none() {
        return REPLACED;
    }
    if calls.any(|line| line.starts_with("return super(")) { HANDED_ON } else { WORKED_ON }
}

/// What the values that the likeliest definitions return came from: `return self._other()` makes `_other` a suspect as well.
pub fn deeper(ranked: &[Ranked], culprits: &[Culprit], definitions: &[Definition<'_>]) -> Vec<Culprit> {
    let mut found = Vec::new();
    for entry in ranked.iter().take(DEEPER_MAX) {
        let (Some(definition), Some(culprit)) = (definitions.get(entry.definition), culprits.get(entry.culprit)) else { continue };
        let frame = FrameSource {
            text: definition.text,
            function: definition.name,
            module: definition.module,
            odoo_model: definition.odoo_model,
            class: definition.class,
            ..FrameSource::default()
        };
        let sources = [Source::of(&frame)];
        let Some(source) = sources[0].as_ref() else { continue };
        let odoo_model = match &culprit.receiver {
            Receiver::OdooModel(name) | Receiver::Super(Some(name)) => Some(name.clone()),
            _ => definition.odoo_model.map(str::to_owned),
        };
        let hints = if let Receiver::Named(names) = &culprit.receiver { names.clone() } else { Vec::new() };
        let slice = Slice { frames: &[frame], sources: &sources, odoo_models: &[odoo_model], key: None, hints };
        // The framework is seldom at fault, but what it calls may be.
        let score = if definition.module.is_none() { entry.score / FRAMEWORK / 2.0 } else { entry.score };
        let mut walk = Found::default();
        let values = if definition.name.starts_with("_compute_") { source.set_fields() } else { returned(source, source.root()) };
        for value in values {
            slice.trace(&mut walk, value, At::new(0, score * DEEPER));
        }
        found.extend(walk.into_culprits().into_iter().map(|found| Culprit { from_frame: culprit.from_frame, ..found }));
    }
    found.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    found.truncate(CULPRITS_MAX);
    found
}
