//! What: a field of Python that leads to another field which does not exist is given the one that is meant.
//!
//! Why: a slip in `inverse_name`, `related` or `@api.depends`, or the other field was renamed.
//! Before: `fields.One2many("a.line", "partner")`. After: `fields.One2many("a.line", "partner_id")`.
//! The other side of a `One2many` is a `Many2one` that leads back, so that mostly only one name is possible.
//! Since: any Odoo.

use tree_sitter::Node;

use super::edit::python::{Source, field, walk};
use super::edit::{Edit, apply, classes};
use super::meaning::{joined, only_read};
use super::near::{self, is_near, ranked};
use super::scope::{Scope, mentions, said};
use super::{Case, FileChange, LAST_RUN, Proposal, Rule, change, graded, removal, renames};
use crate::domain::ErrorClass;
use crate::odoo::source::FieldFacts;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "field_name", classes: &[ErrorClass::FieldReferenceBroken], since: 0, propose };

/// How many are proposed.
const MOST: usize = 3;

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let Some(scope) = Scope::of(case) else { return Vec::new() };
    let mut found = inverse(case, &scope).or_else(|| related(case, &scope)).or_else(|| depends(case, &scope)).unwrap_or_default();
    found.truncate(MOST);
    found
}

/// `inverse_name`: a field of the other Odoo model that leads back here.
fn inverse(case: &Case<'_>, scope: &Scope<'_>) -> Option<Vec<Proposal>> {
    let [wrong, owner, comodel] = said(case, r"'(\w+)' declared in '([\w.]+)' does not exist on '([\w.]+)'")?;
    let (odoo_model, name) = owner.rsplit_once('.')?;
    let fields = scope.fields(&comodel);
    let leads_back = |facts: &FieldFacts| {
        let is_column = facts.related.is_none() && facts.compute.is_none();
        is_column && facts.kind == "Many2one" && facts.comodel.as_deref() == Some(odoo_model)
    };
    // What another Odoo model lends (`_inherits`) is no column of this one.
    let classes = scope.index.classes(&comodel);
    let lent = |name: &str| {
        classes.iter().any(|(_, class)| !class.delegates.is_empty()) && !classes.iter().any(|(_, class)| class.fields.contains_key(name))
    };
    let of_its_own = fields.iter().filter(|(name, facts)| leads_back(facts) && !lent(name));
    let all: Vec<&str> = of_its_own.map(|(name, _)| *name).collect();
    let mut names = all.clone();
    if names.len() > 1 {
        let near = ranked(&wrong, names.iter().copied(), |name| scope.is_own_field(&comodel, name));
        let own: Vec<&str> = names.iter().copied().filter(|name| scope.is_own_field(&comodel, name)).collect();
        // Of several, a near one, or the only one that the addon itself brings.
        names = if near.is_empty() && own.len() == 1 { own } else { near };
    }
    let of = |right: &str| {
        let summary = format!("{comodel} has no field {wrong}; {right} is what leads from it to {odoo_model}.");
        // Where only one field leads back there is nothing to choose.
        let is_told = all.len() == 1 || near::lacks_ending(&wrong, right, all.iter().copied());
        let doubt = (!is_told).then(|| near::doubt(case, &wrong, right, all.iter().copied())).flatten();
        graded(summary, doubt, in_definition(case, odoo_model, name, |text| (text == wrong).then(|| right.to_owned())))
    };
    Some(names.into_iter().flat_map(of).collect())
}

/// `related`: the first name of the path that does not exist.
fn related(case: &Case<'_>, scope: &Scope<'_>) -> Option<Vec<Proposal>> {
    let [_, owner] = said(case, r"Field (\w+) referenced in related field definition ([\w.]+) does not exist")?;
    let (odoo_model, name) = owner.rsplit_once('.')?;
    let facts = *scope.fields(odoo_model).get(name)?;
    let path = facts.related.as_deref()?;
    let (place, lacking) = scope.broken_at(odoo_model, path)?;
    let parts: Vec<&str> = path.split('.').collect();
    let wrong = parts[place];
    let is_last = place + 1 == parts.len();
    let others = scope.fields(&lacking);
    let fits = |kind: &str| if is_last { kind == facts.kind } else { kind.ends_with("2one") || kind.ends_with("2many") };
    let names = others.iter().filter(|(_, other)| fits(&other.kind)).map(|(name, _)| *name);
    let names = match renamed(case, &lacking, wrong).filter(|(name, _)| others.contains_key(name)) {
        Some(found) => vec![found],
        None => {
            let doubt = |right: &str| {
                near::doubt(case, wrong, right, others.keys().copied()).or_else(|| leads_elsewhere(facts, others.get(right)?))
            };
            let near = ranked(wrong, names, |name| scope.is_own_field(&lacking, name));
            near.into_iter().map(|right| (right, doubt(right))).collect()
        }
    };
    let of = |(right, doubt): (&str, Option<String>)| {
        let right = with_part(&parts, place, right);
        let summary = format!("{lacking} has no field {wrong}: {odoo_model}.{name} is related to {right}.");
        graded(summary, doubt, in_definition(case, odoo_model, name, |text| (text == path).then(|| right.clone())))
    };
    Some(names.into_iter().flat_map(of).collect())
}

/// Whether a relational field leads to another Odoo model than the one that is related to it says.
fn leads_elsewhere(own: &FieldFacts, other: &FieldFacts) -> Option<String> {
    let (own, other) = (own.comodel.as_deref()?, other.comodel.as_deref()?);
    (own != other).then(|| format!("It leads to {other}, not to {own}."))
}

fn with_part(parts: &[&str], place: usize, right: &str) -> String {
    let with = parts.iter().enumerate().map(|(n, part)| if n == place { right } else { part });
    with.collect::<Vec<_>>().join(".")
}

/// The addon's files with the strings in the definition of a field replaced.
fn in_definition(case: &Case<'_>, odoo_model: &str, name: &str, replace: impl Fn(&str) -> Option<String>) -> Vec<FileChange> {
    let edit = |source: &Source<'_>| -> Vec<Edit> {
        let statements = classes::of_model(source, odoo_model).filter_map(|class| classes::definition(source, class, name));
        statements.flat_map(|statement| strings(source, statement, &replace)).collect()
    };
    let texts = case.addon.texts("py");
    texts.filter_map(|(path, text)| Some(change(path, text, apply(text, edit(&Source::parse(text)?))?))).collect()
}

fn strings(source: &Source<'_>, node: Node<'_>, replace: &impl Fn(&str) -> Option<String>) -> Vec<Edit> {
    let strings = walk(node).filter(|node| node.kind() == "string");
    strings.filter_map(|node| Some(Edit::new(source.inside(node)?, replace(source.simple(node)?)?))).collect()
}

/// What `@api.depends` of a method names and where.
struct Watched<'s> {
    /// The decorator.
    decorator: Node<'s>,
    /// The definition of the method.
    method: Node<'s>,
}

fn watched<'s>(source: &'s Source<'_>, name: &str) -> Vec<Watched<'s>> {
    let decorated = source.all("decorated_definition").filter_map(|node| {
        let method = field(node, "definition").filter(|method| method.kind() == "function_definition")?;
        (source.of(field(method, "name")?) == name).then_some((node, method))
    });
    let of = |(node, method): (Node<'s>, Node<'s>)| {
        let decorators = super::edit::python::children(node).into_iter().filter(|child| child.kind() == "decorator");
        let watching = decorators.filter(|decorator| source.of(*decorator).trim_start_matches('@').starts_with("api.depends("));
        watching.map(|decorator| Watched { decorator, method }).collect::<Vec<_>>()
    };
    decorated.flat_map(of).collect()
}

/// `@api.depends`: the first name of a path that does not exist. What the method itself uses is preferred.
fn depends(case: &Case<'_>, scope: &Scope<'_>) -> Option<Vec<Proposal>> {
    let pattern =
        r"Wrong @depends on '(\w+)' \(compute method of field ([\w.]+)\)\. Dependency field '(\w+)' not found in model ([\w.]*\w)";
    let [method, owner, wrong, lacking] = said(case, pattern)?;
    let (odoo_model, _) = owner.rsplit_once('.')?;
    let others = scope.fields(&lacking);
    let texts: Vec<_> = case.addon.texts("py").filter(|(_, text)| text.contains(method.as_str())).collect();
    let uses: Vec<&str> = texts
        .iter()
        .filter_map(|(_, text)| Source::parse(text))
        .flat_map(|source| watched(&source, &method).iter().map(|found| source.of(found.method)).collect::<Vec<_>>())
        .collect();
    let used = |name: &str| uses.iter().any(|text| mentions(text, name) > 0);
    let in_use = ranked(&wrong, others.keys().copied().filter(|name| used(name)), |name| scope.is_own_field(&lacking, name));
    let all = || ranked(&wrong, others.keys().copied(), |name| scope.is_own_field(&lacking, name));
    let names: Vec<(&str, Option<String>)> = match renamed(case, &lacking, &wrong).filter(|(name, _)| others.contains_key(name)) {
        Some(found) => vec![found],
        None => {
            // What the method itself reads is what it must depend on, if there is only one such name.
            let read = in_use.len() == 1;
            let near = if in_use.is_empty() { all() } else { in_use };
            let doubt = |right: &str| near::doubt(case, &wrong, right, others.keys().copied()).filter(|_| !read);
            near.into_iter().map(|right| (right, doubt(right))).collect()
        }
    };
    let mended = |text: &str, right: &str| -> Option<String> {
        let source = Source::parse(text)?;
        let replace = |path: &str| {
            let parts: Vec<&str> = path.split('.').collect();
            let (place, at) = scope.broken_at(odoo_model, path)?;
            (at == lacking && parts[place] == wrong).then(|| with_part(&parts, place, right))
        };
        let edits: Vec<Edit> = watched(&source, &method).iter().flat_map(|found| strings(&source, found.decorator, &replace)).collect();
        if !edits.is_empty() {
            return apply(text, edits);
        }
        // The paths may come out of another method of the class; a path that breaks in the same place is the one.
        let path = |text: &str| if text.contains('.') { replace(text) } else { None };
        apply(text, classes::of_model(&source, odoo_model).flat_map(|class| strings(&source, class, &path)).collect())
    };
    let of = |(right, doubt): (&str, Option<String>)| {
        let changes = texts.iter().filter_map(|(path, text)| Some(change(path, text, mended(text, right)?))).collect();
        graded(format!("{lacking} has no field {wrong}, which {method} depends on; {right} is meant."), doubt, changes)
    };
    let mut found: Vec<Proposal> = names.into_iter().flat_map(of).collect();
    if !used(&wrong) && !is_near(&wrong, others.keys().copied()) {
        let changes = texts.iter().filter_map(|(path, text)| Some(change(path, text, unwatched(text, &method, &wrong)?))).collect();
        let summary = format!("{lacking} has no field {wrong} and {method} does not use it: it no longer depends on it.");
        found.extend(removal(summary, "The method is no longer called when what it named changes.", changes));
    }
    Some(found)
}

/// The name under which Odoo has this field of its own now: the one to read, for code that depends on it reads it.
fn renamed(case: &Case<'_>, odoo_model: &str, old: &str) -> Option<(&'static str, Option<String>)> {
    let row = renames::row(case.version.major(), odoo_model, old)?;
    let only_read = (row.since > LAST_RUN).then(|| only_read(row.since));
    match renames::find(case.version.major(), odoo_model, old)? {
        renames::To::Field { write, read } => Some((read.unwrap_or(write), joined(row.doubt().into_iter().chain(only_read)))),
        _ => None,
    }
}

/// The text where a method no longer depends on what does not exist.
fn unwatched(text: &str, method: &str, wrong: &str) -> Option<String> {
    let source = Source::parse(text)?;
    let mut edits = Vec::new();
    for found in watched(&source, method) {
        let call = walk(found.decorator).find(|node| node.kind() == "argument_list")?;
        let arguments = super::edit::python::children(call);
        let gone = |node: &Node<'_>| source.simple(*node).is_some_and(|path| path.split('.').any(|part| part == wrong));
        if !arguments.iter().any(gone) {
            continue;
        }
        let kept: Vec<&str> = arguments.iter().filter(|node| !gone(node)).map(|node| source.of(*node)).collect();
        edits.push(Edit::new(call.byte_range(), format!("({})", kept.join(", "))));
    }
    apply(text, edits)
}

#[cfg(test)]
mod tests;
