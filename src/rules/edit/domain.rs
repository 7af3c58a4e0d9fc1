//! `attrs` dictionaries and `states` lists, read into the Python expressions that views take since Odoo 17.

use std::sync::LazyLock;

use regex::Regex;
use tree_sitter::Node;

use super::python::{Source, children, field};

/// The longest domain that is read; it also bounds how deep expressions nest.
const MAX_TERMS: usize = 100;

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// Always or never.
    Const(bool),
    /// A field that is set.
    Field(String),
    /// A comparison, already as Python.
    Compare(String),
    /// The opposite.
    Not(Box<Expr>),
    /// All of them.
    All(Vec<Expr>),
    /// At least one of them.
    Any(Vec<Expr>),
}

impl Expr {
    /// The condition as Python, strings in single quotes.
    pub fn render(&self) -> String {
        let inner = |part: &Self| if part.binds_loosely() { format!("({})", part.render()) } else { part.render() };
        match self {
            Self::Const(value) => if *value { "True" } else { "False" }.to_owned(),
            Self::Field(text) | Self::Compare(text) => text.clone(),
            Self::Not(part) => match part.as_ref() {
                Self::Not(twice) => twice.render(),
                Self::Const(value) => Self::Const(!value).render(),
                Self::Compare(text) => format!("not ({text})"),
                other => format!("not {}", inner(other)),
            },
            Self::All(parts) => parts.iter().map(inner).collect::<Vec<_>>().join(" and "),
            Self::Any(parts) => parts.iter().map(inner).collect::<Vec<_>>().join(" or "),
        }
    }

    /// The condition with other texts.
    fn map(self, change: &dyn Fn(&str) -> String) -> Self {
        match self {
            Self::Const(value) => Self::Const(value),
            Self::Field(text) => Self::Field(change(&text)),
            Self::Compare(text) => Self::Compare(change(&text)),
            Self::Not(part) => Self::Not(Box::new(part.map(change))),
            Self::All(parts) => Self::All(parts.into_iter().map(|part| part.map(change)).collect()),
            Self::Any(parts) => Self::Any(parts.into_iter().map(|part| part.map(change)).collect()),
        }
    }

    fn binds_loosely(&self) -> bool {
        matches!(self, Self::All(_) | Self::Any(_))
    }

    fn both(self, other: Self) -> Self {
        match (self, other) {
            (Self::All(mut parts), Self::All(more)) => {
                parts.extend(more);
                Self::All(parts)
            }
            (one, Self::All(mut parts)) => {
                parts.insert(0, one);
                Self::All(parts)
            }
            (Self::All(mut parts), one) => {
                parts.push(one);
                Self::All(parts)
            }
            (one, two) => Self::All(vec![one, two]),
        }
    }

    /// This or the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Any(mut parts), Self::Any(more)) => {
                parts.extend(more);
                Self::Any(parts)
            }
            (one, Self::Any(mut parts)) => {
                parts.insert(0, one);
                Self::Any(parts)
            }
            (Self::Any(mut parts), one) => {
                parts.push(one);
                Self::Any(parts)
            }
            (one, two) => Self::Any(vec![one, two]),
        }
    }
}

/// Reads an `attrs` dictionary: modifier and condition, in its order. `None` if any part of it is not understood.
///
/// An external id, `%(id)d`, which Odoo replaces by a number before it reads the view, stays as it is.
pub fn from_attrs(text: &str) -> Option<Vec<(String, Expr)>> {
    let ids: Vec<&str> = XML_ID.as_ref().map(|pattern| pattern.find_iter(text).map(|found| found.as_str()).collect()).unwrap_or_default();
    // Numbers that nobody writes stand for them while the text is read.
    let number = |n: usize| format!("98765432100{n:03}");
    if ids.len() > MAX_TERMS || text.contains("98765432100") {
        return None;
    }
    let read = ids.iter().enumerate().fold(text.to_owned(), |text, (n, id)| text.replacen(id, &number(n), 1));
    let back = |text: &str| ids.iter().enumerate().fold(text.to_owned(), |text, (n, id)| text.replace(&number(n), id));
    Some(plain_attrs(&read)?.into_iter().map(|(key, found)| (key, found.map(&back))).collect())
}

/// `%(addon.name)d`.
static XML_ID: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"%\([A-Za-z0-9_.]+\)d").ok());

fn plain_attrs(text: &str) -> Option<Vec<(String, Expr)>> {
    let text = text.trim();
    let source = Source::parse(text)?;
    let statement = match children(source.root()).as_slice() {
        [only] => only.named_child(0).filter(|_| only.named_child_count() == 1)?,
        _ => return None,
    };
    if statement.kind() != "dictionary" {
        return None;
    }
    let mut found: Vec<(String, Expr)> = Vec::new();
    for pair in children(statement) {
        let key = source.literal(field(pair, "key")?)?;
        let condition = condition(&source, field(pair, "value")?)?;
        let known = matches!(key.as_str(), "invisible" | "required" | "readonly" | "column_invisible");
        if !known || found.iter().any(|(other, _)| *other == key) || (key == "column_invisible" && !of_parent(&condition)) {
            return None;
        }
        found.push((key, condition));
    }
    (!found.is_empty()).then_some(found)
}

/// Reads a `states` list: hidden in every other state.
pub fn from_states(text: &str) -> Option<Expr> {
    let states: Vec<&str> = text.split(',').map(str::trim).filter(|state| !state.is_empty()).collect();
    let plain = |state: &&str| state.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if states.is_empty() || !states.iter().all(plain) {
        return None;
    }
    let list: Vec<String> = states.iter().map(|state| format!("'{state}'")).collect();
    Some(Expr::Compare(match list.as_slice() {
        [only] => format!("state != {only}"),
        _ => format!("state not in [{}]", list.join(", ")),
    }))
}

/// A column is hidden by what its parent record says; the fields of its own rows are not known there.
fn of_parent(condition: &Expr) -> bool {
    match condition {
        Expr::Const(_) => true,
        Expr::Field(text) | Expr::Compare(text) => text.starts_with("parent."),
        Expr::Not(part) => of_parent(part),
        Expr::All(parts) | Expr::Any(parts) => parts.iter().all(of_parent),
    }
}

fn condition(source: &Source<'_>, node: Node<'_>) -> Option<Expr> {
    match (node.kind(), source.of(node)) {
        ("list", _) => domain(source, node),
        ("true", _) | (_, "1") => Some(Expr::Const(true)),
        ("false" | "none", _) | (_, "0") => Some(Expr::Const(false)),
        _ => None,
    }
}

/// Prefix notation, read from its end. An empty domain never applied.
fn domain(source: &Source<'_>, node: Node<'_>) -> Option<Expr> {
    let terms = children(node);
    if terms.len() > MAX_TERMS {
        return None;
    }
    let mut stack: Vec<Expr> = Vec::new();
    for term in terms.into_iter().rev() {
        let next = match (term.kind(), source.literal(term).as_deref()) {
            (_, Some("!")) => Expr::Not(Box::new(stack.pop()?)),
            (_, Some("&")) => stack.pop()?.both(stack.pop()?),
            (_, Some("|")) => stack.pop()?.or(stack.pop()?),
            ("tuple" | "list", _) => leaf(source, term)?,
            _ => return None,
        };
        stack.push(next);
    }
    Some(stack.into_iter().reduce(|later, earlier| earlier.both(later)).unwrap_or(Expr::Const(false)))
}

/// A literal as Python writes it.
#[derive(Debug, PartialEq, Eq)]
enum Value {
    Truth(bool),
    Scalar(String),
    List(Vec<String>),
}

fn leaf(source: &Source<'_>, node: Node<'_>) -> Option<Expr> {
    let [left, operator, right] = children(node).try_into().ok()?;
    let operator = source.literal(operator)?;
    if left.kind() == "integer" {
        return match (source.of(left), operator.as_str(), source.of(right)) {
            ("1", "=", "1") | ("0", "=", "0") => Some(Expr::Const(true)),
            ("0", "=", "1") | ("1", "=", "0") => Some(Expr::Const(false)),
            _ => None,
        };
    }
    let name = source.literal(left).filter(|name| is_field(name))?;
    let equal = |positive: bool| if positive { Expr::Field(name.clone()) } else { Expr::Not(Box::new(Expr::Field(name.clone()))) };
    let compare = |operator: &str, value: &str| Some(Expr::Compare(format!("{name} {operator} {value}")));
    match (operator.as_str(), value(source, right)?) {
        ("=" | "==", Value::Truth(truth)) => Some(equal(truth)),
        ("!=" | "<>", Value::Truth(truth)) => Some(equal(!truth)),
        ("=" | "==", Value::List(items)) if items.is_empty() => Some(equal(false)),
        ("!=" | "<>", Value::List(items)) if items.is_empty() => Some(equal(true)),
        ("=" | "==", Value::Scalar(value)) => compare("==", &value),
        ("!=" | "<>", Value::Scalar(value)) => compare("!=", &value),
        (order @ ("<" | ">" | "<=" | ">="), Value::Scalar(value)) => compare(order, &value),
        // For a field of several records `in` asked for any of them, which the expression would not.
        ("in" | "not in", _) if name.ends_with("_ids") => None,
        ("in", Value::List(items)) if items.is_empty() => Some(Expr::Const(false)),
        ("not in", Value::List(items)) if items.is_empty() => Some(Expr::Const(true)),
        (membership @ ("in" | "not in"), Value::List(items)) => compare(membership, &format!("[{}]", items.join(", "))),
        ("in", Value::Scalar(value)) => compare("==", &value),
        ("not in", Value::Scalar(value)) => compare("!=", &value),
        _ => None,
    }
}

fn is_field(name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    let identifier = |part: &&str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    // Values of other records are reached through `parent` only.
    parts.iter().all(identifier) && parts[..parts.len() - 1].iter().all(|part| *part == "parent")
}

fn value(source: &Source<'_>, node: Node<'_>) -> Option<Value> {
    match node.kind() {
        "true" => Some(Value::Truth(true)),
        "false" | "none" => Some(Value::Truth(false)),
        "list" | "tuple" => children(node).into_iter().map(|item| item_text(source, item)).collect::<Option<_>>().map(Value::List),
        _ => item_text(source, node).map(Value::Scalar),
    }
}

fn item_text(source: &Source<'_>, node: Node<'_>) -> Option<String> {
    match node.kind() {
        "integer" | "float" => Some(source.of(node).to_owned()),
        "unary_operator" if matches!(field(node, "argument")?.kind(), "integer" | "float") => Some(source.of(node).to_owned()),
        "true" => Some("True".to_owned()),
        "false" | "none" => Some("False".to_owned()),
        _ => {
            let text = source.literal(node).filter(|text| !text.contains('\n'))?;
            Some(format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invisible(domain: &str) -> Option<String> {
        let found = from_attrs(&format!("{{'invisible': {domain}}}"))?;
        Some(found[0].1.render())
    }

    #[test]
    fn domains_become_expressions() {
        for (domain, expression) in [
            ("[('a', '=', False)]", "not a"),
            ("[('a', '!=', False)]", "a"),
            ("[('a', '=', True)]", "a"),
            ("[('a', '!=', True)]", "not a"),
            ("[('a', '=', None)]", "not a"),
            ("[('a', '=', [])]", "not a"),
            ("[('a', '=', 'x')]", "a == 'x'"),
            ("[('a', '=', \"it's\")]", "a == 'it\\'s'"),
            ("[('a', '<>', 0)]", "a != 0"),
            ("[('a', '>=', -1.5)]", "a >= -1.5"),
            ("[('a', 'in', ('x', 'y'))]", "a in ['x', 'y']"),
            ("[('a', 'not in', ['x', False])]", "a not in ['x', False]"),
            ("[('a', '=', 'x'), ('b', '=', False)]", "a == 'x' and not b"),
            ("['|', ('a', '=', 1), ('b', '=', 2)]", "a == 1 or b == 2"),
            ("['|', ('a', '=', 1), ('b', '=', 2), ('c', '=', 3)]", "(a == 1 or b == 2) and c == 3"),
            ("['|', '&', ('a', '=', 1), ('b', '=', 2), ('c', '=', 3)]", "(a == 1 and b == 2) or c == 3"),
            ("['|', '|', ('a', '=', 1), ('b', '=', 2), ('c', '=', 3)]", "a == 1 or b == 2 or c == 3"),
            ("['!', ('a', '=', 1)]", "not (a == 1)"),
            ("['!', ('a', '=', False)]", "a"),
            ("['!', '|', ('a', '=', True), ('b', '=', True)]", "not (a or b)"),
            ("[('parent.state', '!=', 'draft')]", "parent.state != 'draft'"),
            ("[(1, '=', 1)]", "True"),
            ("[(0, '=', 1)]", "False"),
            ("[['a', '=', 1]]", "a == 1"),
            ("[('a_id', 'in', [%(x)d, %(m.y)d])]", "a_id in [%(x)d, %(m.y)d]"),
            ("[('a_id', '!=', %(x)d)]", "a_id != %(x)d"),
            ("True", "True"),
            ("0", "False"),
            ("[]", "False"),
        ] {
            assert_eq!(invisible(domain).as_deref(), Some(expression), "{domain}");
        }
    }

    #[test]
    fn what_is_not_understood_is_left() {
        for domain in [
            "[('a', '=', uid)]",
            "[('a', '=', context.get('x'))]",
            "[('a', 'ilike', 'x')]",
            "[('a', 'child_of', 1)]",
            "[('partner_id.name', '=', 'x')]",
            "[('tag_ids', 'in', [1])]",
            "['|', ('a', '=', 1)]",
            "['x', ('a', '=', 1)]",
            "[('a', '=')]",
            "[('a', '=', 1)] or []",
            "[('a b', '=', 1)]",
            "'1'",
            "foo",
        ] {
            assert_eq!(invisible(domain), None, "{domain}");
        }
        assert_eq!(from_attrs("{'string': [('a', '=', 1)]}"), None);
        assert_eq!(from_attrs("{'column_invisible': [('a', '=', 1)]}"), None);
        assert!(from_attrs("{'column_invisible': [('parent.a', '=', 1)]}").is_some());
        assert_eq!(from_attrs("{}"), None);
        assert_eq!(from_attrs(""), None);
        assert_eq!(from_attrs(&format!("{{'invisible': [{}('a', '=', 1)]}}", "'!', ".repeat(100_000))), None);
    }

    #[test]
    fn states_hide_in_every_other_state() {
        assert_eq!(from_states(" draft, done ").unwrap().render(), "state not in ['draft', 'done']");
        assert_eq!(from_states("draft").unwrap().render(), "state != 'draft'");
        assert_eq!(from_states("a'b"), None);
        assert_eq!(from_states(""), None);
    }
}
