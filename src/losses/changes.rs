//! What is added where something was, and takes away from it.

use super::added;
use super::compare::loss;
use super::facts::{Fact, Facts, Kind};
use crate::domain::{FileChange, Loss, LossKind};

/// What a change of one file adds and ought not to.
pub(super) fn of_facts(change: &FileChange) -> Vec<Loss> {
    match &change.before {
        Some(before) if change.path.as_str().ends_with(".py") => added::python(change.path.as_str(), before, &change.after),
        _ => Vec::new(),
    }
}

/// What fields, elements and records get that takes from them.
pub(super) fn of_fields(before: &Facts, after: &Facts) -> Vec<Loss> {
    let mut found = Vec::new();
    let had =
        |kind: Kind, key: &str, path: &str| before.facts.iter().find(|fact| fact.kind == kind && fact.key == key && fact.path == path);
    for fact in &after.facts {
        let was = had(fact.kind, &fact.key, &fact.path);
        match fact.kind {
            Kind::Property if was.is_none() => {
                let Some((field, property)) = fact.key.rsplit_once('.') else { continue };
                let Some(owner) = had(Kind::Field, field, &fact.path) else { continue };
                found.extend(of_property(owner, property, &fact.content));
            }
            Kind::Attribute if was.is_none() => {
                let Some((element, attribute)) = fact.key.rsplit_once('@') else { continue };
                let name = element.split_once(' ').map_or(element, |(_, name)| name);
                let Some(owner) = had(Kind::Node, name, &fact.path) else { continue };
                let hides = attribute == "invisible" || attribute == "column_invisible";
                let had_states = before.facts.iter().any(|other| other.path == fact.path && other.key == format!("{element}@attrs"));
                if hides && matches!(fact.content.as_str(), "True" | "1") {
                    found.push(loss(owner.loss, &owner.path, owner.line, format!("{} is hidden", owner.subject)));
                } else if attribute == "groups" {
                    found.push(loss(LossKind::Right, &owner.path, owner.line, format!("{} is shown to some groups only", owner.subject)));
                } else if attribute == "t-if" && !had_states {
                    found.push(loss(
                        LossKind::Scope,
                        &owner.path,
                        owner.line,
                        format!("{} is shown under a condition only", owner.subject),
                    ));
                }
            }
            Kind::Value
                if was.is_none_or(|was| was.unit != fact.unit)
                    && fact.key == "active"
                    && matches!(fact.content.as_str(), "False" | "0") =>
            {
                let owner = before.facts.iter().find(|other| other.kind == Kind::Record && other.unit == fact.unit);
                found.extend(owner.map(|owner| loss(owner.loss, &owner.path, owner.line, format!("{} is switched off", owner.subject))));
            }
            _ => {}
        }
    }
    found
}

fn of_property(field: &Fact, property: &str, content: &str) -> Option<Loss> {
    let (kind, how) = match (property, content) {
        ("compute", _) => (LossKind::Field, "is computed now, so that what was written to it is lost"),
        ("related", _) => (LossKind::Field, "is another field's value now, so that what was written to it is lost"),
        ("store", "False") => (LossKind::Field, "is no longer stored"),
        ("groups", _) => (LossKind::Right, "is for some groups only"),
        ("readonly", "True") => (LossKind::Field, "can no longer be edited"),
        ("company_dependent", "True") => (LossKind::Field, "has a value of its own in each company now"),
        _ => return None,
    };
    Some(loss(kind, &field.path, field.line, format!("{} {how}", field.subject)))
}
