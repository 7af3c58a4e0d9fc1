//! The facts that a source states: what is compared between the two sides of a patch.

use crate::domain::LossKind;

/// The grammatical role of an ingredient. Only ingredients of like roles take the place of one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Role {
    /// An attribute that is read.
    Attribute,
    /// A function or method that is called.
    Call,
    /// A name from outside of the function.
    Name,
    /// The name of an argument or a key.
    Key,
    /// A string.
    Text,
    /// The name of an Odoo model.
    Model,
    /// An external id.
    Id,
    /// A number.
    Number,
    /// `True`, `False` or `None`.
    Constant,
    /// An operator that compares.
    Operator,
}

/// One ingredient of an expression.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Its role.
    pub(super) role: Role,
    /// Its text.
    pub(super) text: String,
    /// The Odoo model that it is asked of, if that is known.
    pub(super) model: Option<String>,
    /// Its line, counted from 1.
    pub(super) line: u32,
}

impl Item {
    /// Whether both say the same, wherever they stand.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.role == other.role && self.text == other.text
    }
}

/// The kind of a fact. Only facts of one kind take the place of one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// A function or method.
    Function,
    /// A decorator, or an argument of one.
    Decorator,
    /// A field of an Odoo model.
    Field,
    /// A property of a field.
    Property,
    /// A constraint of the database.
    Constraint,
    /// A value that a class or module states.
    Statement,
    /// An entry of a dictionary or a named argument.
    Entry,
    /// An assignment to an attribute.
    Assignment,
    /// A call that is made for what it does.
    Effect,
    /// A `raise` or an `assert`.
    Check,
    /// A part of a condition.
    Condition,
    /// A term of a domain.
    Term,
    /// How the parts of a condition or of a domain are joined.
    Junction,
    /// A text that is to be translated.
    Translation,
    /// A `return` with a value.
    Return,
    /// An import of a part of the addon.
    Import,
    /// A record, menu or template of a data file.
    Record,
    /// A field of a record, a cell of a row.
    Value,
    /// An element of a view.
    Node,
    /// An attribute of an element.
    Attribute,
    /// The text of an element.
    Content,
    /// An entry of a list of the manifest.
    Entries,
}

/// One fact.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    /// Its kind.
    pub(super) kind: Kind,
    /// The name of the thing that it is about.
    pub(super) key: String,
    /// The role of that name.
    pub(super) role: Role,
    /// The Odoo model that the name belongs to, if that is known.
    pub(super) model: Option<String>,
    /// Where it stands: a function of a file, a record.
    pub(super) unit: String,
    /// What it says, without layout and names of variables.
    pub(super) content: String,
    /// The ingredients of what it says.
    pub(super) items: Vec<Item>,
    /// How many variables what it says names.
    pub(super) variables: usize,
    /// The file.
    pub(super) path: String,
    /// The line, counted from 1.
    pub(super) line: u32,
    /// What is lost with it.
    pub(super) loss: LossKind,
    /// What it is, as the subject of a sentence.
    pub(super) subject: String,
}

/// Every fact of some sources, and every ingredient by the unit that holds it.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The facts, in the order of files and lines.
    pub(super) facts: Vec<Fact>,
    /// The ingredients of each unit.
    pub(super) units: Vec<Unit>,
}

/// The ingredients of one function, class or module without what is below.
#[derive(Debug)]
pub(super) struct Unit {
    /// The file.
    pub(super) path: String,
    /// Its name: file and function.
    pub(super) name: String,
    /// The ingredients.
    pub(super) items: Vec<Item>,
}
