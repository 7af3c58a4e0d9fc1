//! What the walk has found so far, and where it stands.

use std::collections::{HashMap, HashSet};

use super::{Culprit, Receiver};

const STEPS_MAX: usize = 6_000;
const DEPTH_MAX: usize = 60;
const CULPRITS_MAX: usize = 400;
/// What weighs less is not followed.
const WEIGHT_MIN: f32 = 0.005;
/// Keys of the context that are looked for.
const CONTEXTS_MAX: usize = 8;

/// Where the walk stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) frame: usize,
    pub(super) weight: f32,
    depth: usize,
}

impl At {
    pub(super) fn new(frame: usize, weight: f32) -> Self {
        Self { frame, weight, depth: 0 }
    }

    /// One step on, to something that is this share as suspicious.
    pub(super) fn by(self, share: f32) -> Self {
        Self { weight: self.weight * share, depth: self.depth + 1, ..self }
    }

    /// The same in another frame.
    pub(super) fn of(self, frame: usize) -> Self {
        Self { frame, ..self }
    }
}

/// What was found on the way.
#[derive(Default)]
pub(super) struct Found {
    culprits: HashMap<(String, bool, Receiver), Culprit>,
    seen: HashMap<(usize, usize, usize), f32>,
    contexts: HashSet<String>,
    steps: usize,
}

impl Found {
    /// Whether this text of the frame is to be followed: not if the walk has been there with more weight, or has gone far enough.
    pub(super) fn follows(&mut self, at: At, start: usize, end: usize) -> bool {
        self.steps += 1;
        if at.weight < WEIGHT_MIN || at.depth > DEPTH_MAX || self.steps > STEPS_MAX {
            return false;
        }
        let key = (at.frame, start, end);
        if self.seen.get(&key).is_some_and(|seen| *seen >= at.weight) {
            return false;
        }
        self.seen.insert(key, at.weight);
        true
    }

    /// Whether this key of the context is to be looked for.
    pub(super) fn follows_context(&mut self, key: &str) -> bool {
        !key.is_empty() && self.contexts.len() < CONTEXTS_MAX && self.contexts.insert(key.to_owned())
    }

    pub(super) fn add(&mut self, culprit: Culprit) {
        let key = (culprit.name.clone(), culprit.starts, culprit.receiver.clone());
        let is_full = self.culprits.len() >= CULPRITS_MAX;
        match self.culprits.get_mut(&key) {
            Some(known) if known.weight >= culprit.weight => {}
            Some(known) => *known = culprit,
            None if is_full => {}
            None => drop(self.culprits.insert(key, culprit)),
        }
    }

    pub(super) fn into_culprits(self) -> Vec<Culprit> {
        let mut found: Vec<Culprit> = self.culprits.into_values().collect();
        found.sort_by(|a, b| {
            let names = || (&a.name, a.starts, &a.receiver).cmp(&(&b.name, b.starts, &b.receiver));
            b.weight.total_cmp(&a.weight).then_with(names)
        });
        found
    }
}
