//! The parameters of overridden methods and of calls.

use tree_sitter::Node;

use super::infer::Code;
use super::{Check, Kind, Place};
use crate::odoo::source::{Parameter, Signature};

/// Holds an override against what it overrides.
pub(super) fn read<'n>(check: &Check<'_, '_>, code: &Code<'n, '_>, path: &str, own: &str, statement: Node<'n>, method: Node<'n>) {
    let Some(name) = method.child_by_field_name("name").map(|name| code.text(name)) else { return };
    if name.starts_with("__") {
        return;
    }
    let mine = code.file.signature(statement);
    let parents = check.world.signatures(own, name, check.world.module);
    let parents: Vec<_> = parents.into_iter().filter(|(_, parent)| is_plain(parent)).collect();
    if parents.is_empty() || !is_plain(&mine) {
        return;
    }
    check.sink.checked();
    let line = u32::try_from(method.start_position().row + 1).unwrap_or(u32::MAX);
    let place = Place { path, line };
    let faults: Vec<_> = parents.iter().map(|(module, parent)| (*module, fault(&mine, parent))).collect();
    if let Some((module, Some(fault))) = faults.first().filter(|_| faults.iter().all(|(_, fault)| fault.is_some())) {
        let what = format!("{own}.{name} overrides a method that {module} has with other parameters in Odoo {}: {fault}", check.version);
        check.sink.unresolved(place, Kind::Signature, name, Some(own), what);
        return;
    }
    let lacking = |parent: &Signature| {
        parent.parameters.iter().filter(|parameter| !accepts(&mine, parent, parameter)).map(|p| p.name.clone()).collect()
    };
    let lacking: Vec<(&str, Vec<String>)> = parents.iter().map(|(module, parent)| (*module, lacking(parent))).collect();
    // What another override does without as well is not asked for.
    if let Some((module, names)) = lacking.first().filter(|_| lacking.iter().all(|(_, names)| !names.is_empty())) {
        let what = format!(
            "{own}.{name} overrides a method that {module} has with more parameters in Odoo {}: it does not take {}",
            check.version,
            names.join(", ")
        );
        check.sink.deprecated(place, Kind::Signature, name, Some(own), what);
    }
}

/// Holds a call against the definitions of the method, and says if it is one that should not be used any more.
pub(super) fn call<'n>(
    check: &Check<'_, '_>,
    place: Place<'_>,
    odoo_model: &str,
    (on_self, is_super): (bool, bool),
    name: &str,
    arguments: &[(Option<&'n str>, Node<'n>)],
) {
    let model = check.world.model(odoo_model);
    if model.fields.contains_key(name) {
        return;
    }
    // The override that calls super() is not what it calls; another class of the same addon may be.
    let own = model.methods.get(name).map_or(0, |found| found.iter().filter(|(module, _)| *module == check.world.module).count());
    let all = check.world.signatures(odoo_model, name, if is_super && own == 1 { check.world.module } else { "" });
    if let Some(reason) = all.iter().find_map(|(_, signature)| signature.deprecated.as_deref())
        && all.iter().all(|(_, signature)| signature.deprecated.is_some())
    {
        let what = format!("{odoo_model}.{name} is deprecated in Odoo {}: {reason}", check.version);
        check.sink.deprecated(place, Kind::Api, name, Some(odoo_model), what);
    }
    let is_sure = check.world.is_sure(odoo_model) && !(on_self && model.is_abstract);
    if all.is_empty() || !is_sure || !all.iter().all(|(_, signature)| is_plain(signature)) {
        return;
    }
    if arguments.iter().any(|(_, value)| matches!(value.kind(), "list_splat" | "dictionary_splat" | "generator_expression")) {
        return;
    }
    check.sink.checked();
    let by_place = arguments.iter().filter(|(name, _)| name.is_none()).count();
    let named: Vec<&str> = arguments.iter().filter_map(|(name, _)| *name).collect();
    let faults: Vec<_> = all.iter().map(|(_, signature)| misfit(signature, by_place, &named)).collect();
    if let Some(Some(fault)) = faults.first().filter(|_| faults.iter().all(Option::is_some)) {
        let what = format!("{odoo_model}.{name} has other parameters in Odoo {}: {fault}", check.version);
        check.sink.unresolved(place, Kind::Signature, name, Some(odoo_model), what);
    }
}

/// Why a call does not fit; `None` if it does.
fn misfit(signature: &Signature, by_place: usize, named: &[&str]) -> Option<String> {
    if let Some(unknown) = named.iter().find(|name| !has(signature, name)) {
        return Some(format!("it takes no {unknown}"));
    }
    if by_place > most(signature) {
        return Some(format!("it takes at most {}, and {by_place} are given", count(most(signature))));
    }
    let open = by_order(signature).skip(by_place).filter(|parameter| !parameter.optional);
    let by_name = signature.parameters.iter().filter(|parameter| parameter.by_name && !parameter.optional);
    let missing = open.chain(by_name).find(|parameter| !named.contains(&parameter.name.as_str()));
    missing.map(|parameter| format!("it needs {}", parameter.name))
}

/// Why an override cannot be called as what it overrides; `None` if it can.
fn fault(mine: &Signature, parent: &Signature) -> Option<String> {
    let needs = |signature: &Signature| by_order(signature).filter(|parameter| !parameter.optional).count();
    if most(mine) < needs(parent) {
        return Some(format!("it takes {}, and is called with {}", count(most(mine)), count(needs(parent))));
    }
    if needs(mine) > most(parent) {
        return Some(format!("it needs {}, and is called with {} at most", count(needs(mine)), count(most(parent))));
    }
    let required = |signature: &Signature| {
        signature.parameters.iter().filter(|p| p.by_name && !p.optional).map(|p| p.name.clone()).collect::<Vec<_>>()
    };
    let unknown =
        required(mine).into_iter().find(|name| !has(parent, name)).map(|name| format!("it needs {name}, which it is not called with"));
    unknown.or_else(|| required(parent).into_iter().find(|name| !has(mine, name)).map(|name| format!("it does not take {name}")))
}

/// Whether an override takes what may be given for a parameter of what it overrides.
fn accepts(mine: &Signature, parent: &Signature, parameter: &Parameter) -> bool {
    if !parameter.optional || parameter.name.starts_with('*') || has(mine, &parameter.name) {
        return true;
    }
    // A parameter that has another name only fails where it is given by name.
    let place = by_order(parent).position(|known| known.name == parameter.name);
    place.is_some_and(|place| place < most(mine))
}

fn has(signature: &Signature, name: &str) -> bool {
    signature.parameters.iter().any(|parameter| parameter.name == name || parameter.name.starts_with("**"))
}

/// The parameters that are given by place, without `self`.
fn by_order(signature: &Signature) -> impl Iterator<Item = &Parameter> {
    signature.parameters.iter().skip(1).filter(|parameter| !parameter.by_name && !parameter.name.starts_with('*'))
}

/// How many arguments can be given by place.
fn most(signature: &Signature) -> usize {
    let takes_all = signature.parameters.iter().any(|parameter| parameter.name.starts_with('*') && !parameter.name.starts_with("**"));
    if takes_all { usize::MAX } else { by_order(signature).count() }
}

fn count(number: usize) -> String {
    match number {
        usize::MAX => "any number of arguments".to_owned(),
        1 => "1 argument".to_owned(),
        _ => format!("{number} arguments"),
    }
}

/// Whether a method is called as it is written.
fn is_plain(signature: &Signature) -> bool {
    !signature.decorators.iter().any(|decorator| decorator.contains("property") || decorator.contains("staticmethod"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::odoo::source::python::{PythonFile, children};

    fn signature(parameters: &str) -> Signature {
        let text = format!("def f({parameters}): pass\n");
        let file = PythonFile::parse(&text).unwrap();
        file.signature(children(file.root())[0])
    }

    #[test]
    fn override_has_to_take_what_it_is_called_with() {
        for (mine, parent) in [
            ("self, vals", "self, vals"),
            ("self, *args, **kw", "self, a, b=None, *, c"),
            ("self, a, b=None", "self, a"),
            ("self, other", "self, name"),
        ] {
            assert_eq!(fault(&signature(mine), &signature(parent)), None, "{mine} over {parent}");
        }
        for (mine, parent) in [("self", "self, a"), ("self, a, b", "self, a"), ("self, a", "self, a, *, b"), ("self, *, b", "self")] {
            assert!(fault(&signature(mine), &signature(parent)).is_some(), "{mine} over {parent}");
        }
        let (mine, parent) = (signature("self, domain, offset=0"), signature("self, domain, offset=0, *, active_test=True"));
        let lacking: Vec<&str> = parent
            .parameters
            .iter()
            .filter(|parameter| !accepts(&mine, &parent, parameter))
            .map(|parameter| parameter.name.as_str())
            .collect();
        assert_eq!(lacking, ["active_test"]);
    }

    #[test]
    fn call_has_to_fit() {
        let post = signature("self, *, body='', message_type='notification'");
        assert_eq!(misfit(&post, 0, &["body"]), None);
        assert_eq!(misfit(&post, 0, &["type"]).as_deref(), Some("it takes no type"));
        assert!(misfit(&post, 1, &[]).is_some());
        assert_eq!(misfit(&signature("self, a, b=1"), 0, &[]).as_deref(), Some("it needs a"));
        assert_eq!(misfit(&signature("self, a, b=1"), 0, &["a"]), None);
    }
}
