//! Which method silently gave a wrong value, when the traceback shows only where that value did not fit.
//!
//! [`culprits`] starts at the expression that failed and follows its value backwards: through assignments, parameters, what callers handed
//! over. Each call that it meets on the way is a suspect. [`rank()`] holds the suspects against the definitions that are known of methods of
//! these names. It reads text and guesses; it proves nothing.

mod accuse;
mod addons;
mod bind;
mod callers;
mod clue;
mod found;
mod rank;
mod receiver;
mod suspects;
mod text;
mod trace;
mod words;

pub use addons::{AddonFacts, Addons};
pub use clue::is_silent;
pub use rank::{Definition, Ranked, deeper, rank};

use clue::Clue;
use found::{At, Found};
use suspects::suspects;
use text::Source;
use trace::Slice;

/// Frames that are read, the innermost.
const FRAMES_MAX: usize = 80;
/// Culprits that are named; what lies below them was never right.
const CULPRITS_MAX: usize = 60;
/// What a call before the failing line weighs, and how that falls with every frame further out.
const BYSTANDER: f32 = 0.12;
const FURTHER_OUT: f32 = 0.8;
/// The same where values are handed on as they are: in the framework, and those of a new record.
const HANDED_FURTHER_OUT: f32 = 0.93;

/// One frame of a traceback with the source of the function that it is in.
#[derive(Debug, Clone, Copy, Default)]
pub struct FrameSource<'a> {
    /// The whole source of the function; empty if it is not known.
    pub text: &'a str,
    /// The line of its first line in its file.
    pub first_line: u32,
    /// The line at which it stood. It may be off by some lines if the versions differ.
    pub line: u32,
    /// The source line that the traceback printed; it counts more than the number.
    pub code: Option<&'a str>,
    /// The name of the function.
    pub function: &'a str,
    /// The addon; `None` for the framework and for libraries.
    pub module: Option<&'a str>,
    /// The Odoo model that its class is of.
    pub odoo_model: Option<&'a str>,
    /// Its class.
    pub class: Option<&'a str>,
}

/// What a method was called on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Receiver {
    /// Records of this Odoo model.
    OdooModel(String),
    /// An earlier definition of the method that called, of this Odoo model if it is known.
    Super(Option<String>),
    /// What goes by these names: of a variable, a field, an item.
    Named(Vec<String>),
    /// Records that have a method of this name.
    With(String),
    /// Nothing is known.
    Unknown,
}

/// What may have given the bad value.
#[derive(Debug, Clone, PartialEq)]
pub struct Culprit {
    /// The method or function.
    pub name: String,
    /// Whether that is only how its name begins.
    pub starts: bool,
    /// What it was called on.
    pub receiver: Receiver,
    /// The frame that called it, as counted by the caller.
    pub from_frame: usize,
    /// From 0 to 1.
    pub weight: f32,
    /// What speaks against it, for people.
    pub why: String,
}

/// What may have given the bad value that an exception complains of, the most likely first, at most sixty. Frames as a traceback has them,
/// the innermost last.
pub fn culprits(exception: &str, message: &str, frames: &[FrameSource<'_>]) -> Vec<Culprit> {
    let skipped = frames.len().saturating_sub(FRAMES_MAX);
    let frames = &frames[skipped..];
    let clue = Clue::of(exception, message);
    let sources: Vec<Option<Source>> = frames.iter().map(Source::of).collect();
    let odoo_models = receiver::odoo_models(frames, &sources);
    let key = match &clue {
        Clue::Key(key) | Clue::Column(key) => Some(key.as_str()),
        _ => None,
    };
    let mut hints = hints(frames, &sources);
    hints.extend(odoo_models.iter().rev().flatten().next().map(|odoo_model| odoo_model.replace('.', "_")));
    let slice = Slice { frames, sources: &sources, odoo_models: &odoo_models, key, hints };
    let mut found = Found::default();
    if let Some(last) = frames.len().checked_sub(1) {
        slice_from(&slice, &mut found, last, &clue);
    } else if let Clue::Attribute(method) = &clue {
        without_frames(&mut found, method);
    }
    if let (Clue::Column(column), Some(last)) = (&clue, frames.len().checked_sub(1)) {
        let odoo_model = clue::relation(message).unwrap_or_default().replace('_', ".");
        slice.makers(&mut found, column, &Receiver::OdooModel(odoo_model), At::new(last, 0.6));
    }
    let mut weight = 1.0;
    for frame in (0..frames.len()).rev() {
        handed_over(&slice, &mut found, At::new(frame, weight * if key.is_some() { 0.8 } else { 0.3 }));
        slice.earlier_calls(&mut found, At::new(frame, weight * BYSTANDER));
        let hands_on = key.is_some() || frames[frame].module.is_none() || frames[frame].text.is_empty();
        weight *= if hands_on { HANDED_FURTHER_OUT } else { FURTHER_OUT };
    }
    let mut found = found.into_culprits();
    for culprit in &mut found {
        culprit.weight *= words::gives(&culprit.name);
        culprit.from_frame += skipped;
    }
    found.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    found.truncate(CULPRITS_MAX);
    found
}

fn slice_from(slice: &Slice<'_>, found: &mut Found, frame: usize, clue: &Clue) {
    let Some(source) = slice.source(frame) else { return };
    for (node, weight) in suspects(source, clue) {
        slice.trace(found, node, At::new(frame, weight));
    }
    if !source.whole && slice.frames[frame].module.is_some() {
        slice.accuse_start(found, slice.frames[frame].function, At::new(frame, 0.3));
    }
}

/// Of a traceback without frames only the method is known that should have been called: on what methods give that every Odoo model has.
fn without_frames(found: &mut Found, method: &str) {
    let shared = [("create", 0.5), ("copy", 0.3), ("search", 0.3), ("browse", 0.1), ("search_fetch", 0.1)];
    for (name, weight) in shared {
        let (name, receiver) = (name.to_owned(), Receiver::With(method.to_owned()));
        let why = format!("gives records that have {method}");
        found.add(Culprit { name, starts: false, receiver, from_frame: 0, weight, why });
    }
    // Asked for so that it is known which Odoo models have it.
    let why = "should have been called".to_owned();
    found.add(Culprit { name: method.to_owned(), starts: false, receiver: Receiver::Unknown, from_frame: 0, weight: 0.02, why });
}

/// Whatever a frame handed to the next one may be what was wrong further in.
fn handed_over(slice: &Slice<'_>, found: &mut Found, at: At) {
    let Some(source) = slice.source(at.frame) else { return };
    let Some(inner) = slice.frames.get(at.frame + 1) else { return };
    if let Some(call) = receiver::call_named(source, inner.function) {
        for argument in suspects::arguments(call) {
            slice.trace(found, argument, at);
        }
    }
}

/// The names in the failing line of the innermost frame of an addon.
fn hints(frames: &[FrameSource<'_>], sources: &[Option<Source>]) -> Vec<String> {
    let innermost = frames
        .iter()
        .zip(sources)
        .rev()
        .find(|(frame, source)| frame.module.is_some() && source.as_ref().is_some_and(|source| source.whole));
    let Some((_, Some(source))) = innermost else { return Vec::new() };
    let names = source.failing().into_iter().filter(|node| node.kind() == "identifier" && node.start_position().row == source.row);
    let mut found: Vec<String> = names.map(|node| source.of_node(node).to_owned()).filter(|name| name != "self").collect();
    found.sort();
    found.dedup();
    found.truncate(12);
    found
}

#[cfg(test)]
mod tests;
