//! What: install hooks take `(env)`, no longer `(cr, registry)`.
//!
//! Why: Odoo 17 calls them with one argument.
//! Before: `def post_init_hook(cr, registry): env = api.Environment(cr, SUPERUSER_ID, {}); env["m"].x()`.
//! After: `def post_init_hook(env): env["m"].x()`; other uses of `cr` become `env.cr`, imports left over go.
//! A hook that uses the registry or an environment of its own making is not understood: only that of the superuser is the one given.
//! Since: 17.

use tree_sitter::Node;

use super::edit::python::{Source, children, field, is_reference, remove_statement, walk, without_unused};
use super::edit::{Edit, apply};
use super::{Case, Proposal, Rule, change, proposal};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule {
    name: "hook_signature",
    classes: &[ErrorClass::HookSignature, ErrorClass::CallArguments, ErrorClass::AttributeMissing],
    since: 17,
    propose,
};

/// Whose environment the given one is. Another user's has fewer rights, and is made for that.
const SUPERUSER: [&str; 4] = ["SUPERUSER_ID", "odoo.SUPERUSER_ID", "api.SUPERUSER_ID", "1"];

const HOOKS: [&str; 3] = ["pre_init_hook", "post_init_hook", "uninstall_hook"];

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let Some(manifest) = case.addon.manifest() else { return Vec::new() };
    let hooks: Vec<String> = HOOKS.iter().filter_map(|key| manifest.text(key)).map(str::to_owned).collect();
    let text = &case.report.text;
    let is_cursor = text.contains("'Environment' object has no attribute");
    if !hooks.iter().any(|hook| text.contains(&format!("{hook}()")) || (is_cursor && text.contains(&format!("in {hook}")))) {
        return Vec::new();
    }
    let mut changes = Vec::new();
    for (path, text) in case.addon.texts("py").filter(|(_, text)| hooks.iter().any(|hook| text.contains(hook.as_str()))) {
        let Some(edits) = Source::parse(text).and_then(|source| edits(&source, &hooks)) else { return Vec::new() };
        if let Some(after) = apply(text, edits) {
            changes.push(change(path, text, without_unused(&after, &["api", "SUPERUSER_ID"])));
        }
    }
    proposal("Odoo 17 calls install hooks with the environment alone: their signature and body follow.", changes)
}

/// `None` if a hook or a call of one is not understood.
fn edits(source: &Source<'_>, hooks: &[String]) -> Option<Vec<Edit>> {
    let is_hook = |text: &str| hooks.iter().any(|hook| hook == text);
    let mut edits = Vec::new();
    for function in source.all("function_definition").filter(|node| node.parent().is_some_and(|up| up.kind() == "module")) {
        if !field(function, "name").is_some_and(|name| is_hook(source.of(name))) {
            continue;
        }
        let parameters = children(field(function, "parameters")?);
        let names = match parameters.as_slice() {
            [cr, registry] if cr.kind() == "identifier" && registry.kind() == "identifier" => (source.of(*cr), source.of(*registry)),
            [_, _] => return None,
            // What runs before the installation was given the cursor alone.
            [cr] if source.of(*cr) == "cr" => ("cr", ""),
            _ => continue,
        };
        edits.push(Edit::new(field(function, "parameters")?.byte_range(), "(env)"));
        body_edits(source, field(function, "body")?, names, &is_hook, &mut edits)?;
    }
    let inside = |node: &Node<'_>| edits.iter().any(|edit| edit.range.start <= node.start_byte() && node.end_byte() <= edit.range.end);
    let mut calls = Vec::new();
    for call in source.all("call").filter(|call| !inside(call)) {
        let function = field(call, "function")?;
        let name = field(function, "attribute").unwrap_or(function);
        let arguments = field(call, "arguments")?;
        if let ([cr, _], true) = (children(arguments).as_slice(), is_hook(source.of(name))) {
            if inside(&arguments) {
                continue;
            }
            let env = source
                .of(*cr)
                .strip_suffix(".env.cr")
                .or(source.of(*cr).strip_suffix(".cr"))
                .filter(|owner| matches!(*owner, "self" | "cls"))?;
            calls.push(Edit::new(arguments.byte_range(), format!("({env}.env)")));
        }
    }
    edits.extend(calls);
    Some(edits)
}

fn body_edits(
    source: &Source<'_>,
    body: Node<'_>,
    names: (&str, &str),
    is_hook: &dyn Fn(&str) -> bool,
    edits: &mut Vec<Edit>,
) -> Option<()> {
    let (cr, registry) = names;
    let mut done: Vec<std::ops::Range<usize>> = Vec::new();
    for node in walk(body) {
        if done.iter().any(|range| range.start <= node.start_byte() && node.end_byte() <= range.end) {
            continue;
        }
        match node.kind() {
            "call" => {
                let (function, arguments) = (field(node, "function")?, field(node, "arguments")?);
                let given: Vec<&str> = children(arguments).iter().map(|argument| source.of(*argument)).collect();
                if source.of(function).ends_with("Environment") && given.first() == Some(&cr) {
                    if !matches!(given.as_slice(), [_, user, "{}" | "dict()"] if SUPERUSER.contains(user)) {
                        return None;
                    }
                    done.push(node.byte_range());
                    edits.push(environment(source, node)?);
                } else if is_hook(source.of(function)) && given == [cr, registry] {
                    done.push(node.byte_range());
                    edits.push(Edit::new(arguments.byte_range(), "(env)"));
                }
            }
            "identifier" if is_reference(node) => {
                let target = node.parent().is_some_and(|parent| field(parent, "left") == Some(node));
                match source.of(node) {
                    name if name == registry => return None,
                    name if name == cr && target => return None,
                    name if name == cr => edits.push(Edit::new(node.byte_range(), "env.cr")),
                    "env" if target && !makes_environment(source, node, cr) => return None,
                    _ => {}
                }
            }
            "function_definition" | "lambda" => return None,
            _ => {}
        }
    }
    Some(())
}

fn makes_environment(source: &Source<'_>, target: Node<'_>, cr: &str) -> bool {
    let right = target.parent().and_then(|assignment| field(assignment, "right"));
    right.is_some_and(|right| right.kind() == "call" && source.of(right).contains("Environment(") && source.of(right).contains(cr))
}

/// The call gives what the hook now gets: `env = Environment(…)` goes, any other use becomes `env`.
fn environment(source: &Source<'_>, call: Node<'_>) -> Option<Edit> {
    let assignment = call.parent().filter(|parent| parent.kind() == "assignment");
    match assignment {
        Some(assignment) if source.of(field(assignment, "left")?) == "env" => Some(remove_statement(source, assignment.parent()?)),
        _ => Some(Edit::new(call.byte_range(), "env")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{first_diff, fixture, mended_file};

    const CLASS: ErrorClass = ErrorClass::HookSignature;
    const TEXT: &str = "TypeError: ph() missing 1 required positional argument: 'registry'";
    const MANIFEST: (&str, &str) = ("__manifest__.py", "{'post_init_hook': 'ph'}");

    fn after(hook: &str) -> Option<String> {
        mended_file(&[MANIFEST, ("hooks.py", hook)], "hooks.py", CLASS, TEXT)
    }

    #[test]
    fn probe_is_mended() {
        insta::assert_snapshot!(first_diff(&fixture("hook_signature", "p_hook"), CLASS, TEXT));
    }

    #[test]
    fn environment_is_given_not_made() {
        let before = "from odoo import SUPERUSER_ID, api\n\n\ndef ph(cr, registry):\n    env = api.Environment(cr, SUPERUSER_ID, {})\n    env['m'].x()\n    cr.execute('x')\n    helper(cr)\n";
        assert_eq!(after(before).unwrap(), "\n\ndef ph(env):\n    env['m'].x()\n    env.cr.execute('x')\n    helper(env.cr)\n");
        let before = "from odoo.api import Environment\n\n\ndef ph(cr, r):\n    Environment(cr, 1, {})['m'].x()\n";
        assert_eq!(after(before).unwrap(), "from odoo.api import Environment\n\n\ndef ph(env):\n    env['m'].x()\n");
    }

    #[test]
    fn hook_with_the_cursor_alone_follows() {
        let hook = "def ph(cr):\n    cr.execute('x')\n";
        let text = "  File \"/mnt/extra/m/hooks.py\", line 2, in ph\nAttributeError: 'Environment' object has no attribute 'execute'";
        let files = [("__manifest__.py", "{'pre_init_hook': 'ph'}"), ("hooks.py", hook)];
        let after = mended_file(&files, "hooks.py", ErrorClass::AttributeMissing, text);
        assert_eq!(after.as_deref(), Some("def ph(env):\n    env.cr.execute('x')\n"));
    }

    #[test]
    fn calls_in_tests_follow() {
        let hook = "def ph(cr, registry):\n    pass\n";
        let test = "class T(TransactionCase):\n    def test(self):\n        ph(self.env.cr, self.registry)\n";
        let files = [MANIFEST, ("hooks.py", hook), ("tests/test.py", test)];
        assert_eq!(mended_file(&files, "tests/test.py", CLASS, TEXT).unwrap(), test.replace("self.env.cr, self.registry", "self.env"));
    }

    #[test]
    fn registry_in_the_body_is_not_understood() {
        for body in ["registry['m']", "env = api.Environment(cr, 1, {'a': 1})", "env = other(cr)", "cr = 1", "x = lambda cr: cr"] {
            assert_eq!(after(&format!("def ph(cr, registry):\n    {body}\n")), None, "{body}");
        }
    }

    #[test]
    fn only_the_environment_of_the_superuser_is_the_given_one() {
        let hook = |user: &str, context: &str| {
            format!("def ph(cr, registry):\n    env = api.Environment(cr, {user}, {context})\n    env['m'].x()\n")
        };
        for user in ["SUPERUSER_ID", "odoo.SUPERUSER_ID", "api.SUPERUSER_ID", "1"] {
            for context in ["{}", "dict()"] {
                assert_eq!(after(&hook(user, context)).as_deref(), Some("def ph(env):\n    env['m'].x()\n"), "{user} {context}");
            }
        }
        for user in ["2", "uid", "user.id", "other.SUPERUSER_ID", "11"] {
            assert_eq!(after(&hook(user, "{}")), None, "{user}");
        }
    }
}
