//! Naming methods as suspects: those that were called, and those that make the value of a field.

use tree_sitter::Node;

use super::bind::Kind;
use super::found::{At, Found};
use super::receiver::receiver;
use super::trace::Slice;
use super::{Culprit, Receiver};

const NAME_MAX: usize = 100;

/// Methods of Odoo's fields that call a method which the field's definition names, with how such names begin.
const OF_FIELDS: [(&str, &str); 3] =
    [("determine_domain", "_search_"), ("determine_group_expand", "_read_group_"), ("compute_value", "_compute_")];

impl Slice<'_> {
    pub(super) fn accuse(&self, found: &mut Found, name: &str, receiver: Receiver, at: At, why: &str) {
        if name.len() <= NAME_MAX && name.starts_with(|c: char| c.is_alphabetic() || c == '_') && !name.starts_with("__") {
            let why = format!("{why} in {}", self.frames[at.frame].function);
            found.add(Culprit { name: name.to_owned(), starts: false, receiver, from_frame: at.frame, weight: at.weight, why });
        }
    }

    /// Methods whose names begin with that of one whose source is not known are mostly called by it.
    pub(super) fn accuse_start(&self, found: &mut Found, name: &str, at: At) {
        if name.starts_with('_') && name.len() > 8 && name.len() <= NAME_MAX {
            let (name, receiver) = (name.to_owned(), self.own(at.frame));
            let why = format!("its name says that it belongs to {name}");
            found.add(Culprit { name, starts: true, receiver, from_frame: at.frame, weight: at.weight, why });
        }
    }

    /// What a call was made on; what only a framework's frame says is told by the names of the innermost addon's line.
    pub(super) fn receiver(&self, frame: usize, call: Node<'_>) -> Receiver {
        let Some(source) = self.source(frame) else { return Receiver::Unknown };
        match receiver(source, self.odoo_models[frame].as_deref(), call, 0) {
            Receiver::Unknown | Receiver::Named(_) if self.frames[frame].module.is_none() => self.own(frame),
            known => known,
        }
    }

    fn own(&self, frame: usize) -> Receiver {
        self.odoo_models[frame].clone().map_or_else(|| Receiver::Named(self.hints.clone()), Receiver::OdooModel)
    }

    /// The Odoo model of the frame, or of the innermost one further out of which it is known.
    fn nearest(&self, frame: usize) -> Receiver {
        let known = self.odoo_models.iter().take(frame + 1).rev().flatten().next();
        known.cloned().map_or_else(|| Receiver::Named(self.hints.clone()), Receiver::OdooModel)
    }

    /// Where the framework asks a field, the field asks a method of an addon.
    pub(super) fn accuse_of_field(&self, found: &mut Found, called: &str, at: At) {
        if let Some((_, start)) = OF_FIELDS.iter().find(|(name, _)| *name == called) {
            let why = format!("methods that fields name, asked in {}", self.frames[at.frame].function);
            let (name, receiver) = ((*start).to_owned(), self.nearest(at.frame));
            found.add(Culprit { name, starts: true, receiver, from_frame: at.frame, weight: at.weight * 0.9, why });
        }
    }

    /// The value of a field comes from the method that computes it, or from its default.
    pub(super) fn field(&self, found: &mut Found, name: Option<Node<'_>>, object: Option<Node<'_>>, at: At) {
        let (Some(source), Some(name)) = (self.source(at.frame), name) else { return };
        let name = source.of_node(name);
        let is_record = !matches!(name, "env" | "ids" | "id" | "cr" | "_fields" | "context" | "_origin");
        // In the framework it is an attribute of a field or a query.
        if self.frames[at.frame].module.is_none() || !is_record {
            return;
        }
        let receiver = match object.map(|object| source.of_node(object)).unwrap_or_default() {
            "self" => self.own(at.frame),
            text => Receiver::Named(text.rsplit('.').take(1).map(str::to_owned).collect()),
        };
        self.makers(found, name, &receiver, at);
    }

    /// Methods that by their names compute a field or give its default.
    pub(super) fn makers(&self, found: &mut Found, field: &str, receiver: &Receiver, at: At) {
        let field = field.trim_start_matches('_');
        let short = field.trim_end_matches("_ids").trim_end_matches("_id");
        for (prefix, share) in [("_compute_", 1.0), ("_default_", 0.5), ("_get_default_", 0.5), ("_get_", 0.4)] {
            for name in if short == field { vec![field] } else { vec![field, short] } {
                self.accuse(found, &format!("{prefix}{name}"), receiver.clone(), at.by(share), "computes the field");
            }
        }
    }

    /// `record[name]`: a field, if the name is one as far as it is known.
    pub(super) fn named_field(&self, found: &mut Found, key: Node<'_>, at: At) {
        let Some(source) = self.source(at.frame) else { return };
        let before = |binding: &&super::bind::Binding| binding.kind == Kind::Assigned && binding.at <= key.start_byte();
        let text = if key.kind() == "string" {
            key
        } else {
            let binding = source.bindings_of(source.of_node(key)).rfind(before);
            let Some(value) = binding.and_then(|binding| source.at(binding.value.0, binding.value.1)) else { return };
            if value.kind() == "string" { value } else { value.parent().unwrap_or(value) }
        };
        let is_part = |part: &Node<'_>| matches!(part.kind(), "string_content" | "interpolation");
        let parts: Vec<Node<'_>> = text.named_children(&mut text.walk()).filter(is_part).collect();
        let first = parts.first().filter(|part| text.kind() == "string" && part.kind() == "string_content");
        let Some(start) = first.map(|part| source.of_node(*part)) else { return };
        if start.len() >= 3 && start.chars().all(|c| c.is_alphanumeric() || c == '_') {
            let (name, receiver) = (format!("_compute_{}", start.trim_start_matches('_')), self.own(at.frame));
            let why = format!("computes the field in {}", self.frames[at.frame].function);
            found.add(Culprit { name, starts: parts.len() > 1, receiver, from_frame: at.frame, weight: at.weight, why });
        }
    }

    /// What is read out of the context was put there by a caller.
    pub(super) fn context(&self, found: &mut Found, key: &str, at: At) {
        let key = key.trim_matches(['\'', '"']);
        if !found.follows_context(key) {
            return;
        }
        for (frame, source) in self.sources.iter().enumerate().filter_map(|(frame, source)| Some((frame, source.as_ref()?))) {
            let is_key = |node: &Node<'_>| {
                node.kind() == "keyword_argument" && node.child_by_field_name("name").is_some_and(|name| source.of_node(name) == key)
            };
            let put = source.nodes(source.root()).find(is_key);
            if let Some(value) = put.and_then(|put| put.child_by_field_name("value")) {
                self.trace(found, value, at.of(frame).by(0.95));
            }
        }
    }
}
