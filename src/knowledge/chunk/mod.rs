//! A file of sources to the pieces that are searched: a method, a class head with its fields, a view, the access rows of an Odoo model, a
//! section of a README, a manifest. Pieces follow the code and are never a window of characters.
//!
//! Pure: text in, values out. It never fails: what cannot be read gives fewer pieces, and says why.

use serde_json::Value;

/// The version of what is in this folder: raise it when the same file gives other pieces, and files are cut up anew when they are next seen.
pub const CHUNKER: i32 = 1;

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An addon: its manifest, with the names of what it brings.
    Module,
    /// A method of a class.
    Method,
    /// A function outside of classes.
    Function,
    /// The head of a class: its attributes and fields, in runs between methods.
    Class,
    /// A record of `ir.ui.view`.
    View,
    /// A `<template>`.
    Template,
    /// Any other record of a data file.
    Record,
    /// The rows of an access CSV about one Odoo model.
    Access,
    /// A record of `ir.rule`.
    Rule,
    /// Rows of another CSV file.
    Rows,
    /// A function or class of JavaScript.
    Script,
    /// A section of a README or of documentation.
    Section,
    /// A message that the code shows or raises, as it stands in the code.
    Message,
    /// Such a message in another language.
    Translation,
    /// A known error with its solution.
    KnownError,
    /// A fix that was tried.
    Fix,
    /// A ticket.
    Ticket,
}

impl Kind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Module,
        Self::Method,
        Self::Function,
        Self::Class,
        Self::View,
        Self::Template,
        Self::Record,
        Self::Access,
        Self::Rule,
        Self::Rows,
        Self::Script,
        Self::Section,
        Self::Message,
        Self::Translation,
        Self::KnownError,
        Self::Fix,
        Self::Ticket,
    ];

    /// The name in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Module => "module",
            Self::Method => "method",
            Self::Function => "function",
            Self::Class => "class",
            Self::View => "view",
            Self::Template => "template",
            Self::Record => "record",
            Self::Access => "access",
            Self::Rule => "rule",
            Self::Rows => "rows",
            Self::Script => "script",
            Self::Section => "section",
            Self::Message => "message",
            Self::Translation => "translation",
            Self::KnownError => "known_error",
            Self::Fix => "fix",
            Self::Ticket => "ticket",
        }
    }

    /// What it is searched together with: terms are as rare, and vectors as near, as they are among their like.
    pub const fn corpus(self) -> Corpus {
        match self {
            Self::Module => Corpus::Module,
            Self::Method | Self::Function | Self::Class | Self::Script => Corpus::Code,
            Self::View | Self::Template | Self::Record | Self::Access | Self::Rule | Self::Rows => Corpus::Data,
            Self::Section => Corpus::Doc,
            Self::Message | Self::Translation => Corpus::Message,
            Self::KnownError | Self::Fix => Corpus::Error,
            Self::Ticket => Corpus::Ticket,
        }
    }
}

/// Texts that are searched together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Corpus {
    /// Python and JavaScript.
    Code,
    /// Records and rows.
    Data,
    /// Addons as a whole.
    Module,
    /// Prose.
    Doc,
    /// Past errors.
    Error,
    /// Tickets.
    Ticket,
    /// What the code says to people.
    Message,
}

impl Corpus {
    /// The name in rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Data => "data",
            Self::Module => "module",
            Self::Doc => "doc",
            Self::Error => "error",
            Self::Ticket => "ticket",
            Self::Message => "message",
        }
    }
}

/// The part of a text that some words stand in; they weigh accordingly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Zone {
    /// What it is called: function, external id, addon.
    Name,
    /// What it belongs to: Odoo model, class.
    Owner,
    /// What it brings: fields, labels, arguments, menus.
    Members,
    /// What people wrote about it: docstring, help, summary, comments, messages.
    Prose,
    /// All of it.
    Body,
    /// The addon that it stands in.
    Context,
}

/// One piece of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// What it is.
    pub kind: Kind,
    /// `SaleOrder._compute_amounts`, `sale.view_order_form`, `sale`; of a message, the method that it stands in.
    pub symbol: String,
    /// The Odoo model that it is about.
    pub odoo_model: Option<String>,
    /// The language of a translation: `es`, `zh_CN`.
    pub lang: Option<String>,
    /// First line, counted from 1; decorators belong to their function.
    pub start_line: u32,
    /// Last line.
    pub end_line: u32,
    /// One line for people.
    pub title: String,
    /// The source as it stands in the file, at most [`MAX_TEXT`] bytes; of a message its text.
    pub text: String,
    /// Its words, by what they are.
    pub zones: Vec<(Zone, String)>,
    /// The few words that are embedded; `None` where names find it better than meaning.
    pub card: Option<String>,
}

/// The most bytes of one piece; what is larger is cut at the end of a line, and its lines stay those of the whole.
pub const MAX_TEXT: usize = 60_000;

/// One thing that a file defines or refers to. `docs/knowledge.md` lists what `name`, `target` and `odoo_model` are for each kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Symbol {
    /// `class inherit delegate field method function record view template access rule depends calls` …
    pub kind: &'static str,
    /// The Odoo model it is of.
    pub odoo_model: Option<String>,
    /// Its name; of a record its full external id.
    pub name: String,
    /// What it leads to.
    pub target: Option<String>,
    /// The line it stands in.
    pub line: u32,
    /// More for programs.
    pub detail: Option<Value>,
    /// The piece that it stands in: its place in [`FileChunks::chunks`].
    pub chunk: usize,
}

/// What a manifest says.
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleCard {
    /// The addons it depends on; `base` where it says nothing.
    pub depends: Vec<String>,
    /// The addons whose presence has Odoo install it by itself.
    pub auto_install: Option<Vec<String>>,
    /// Name, version, category, licence, author, maturity and the like.
    pub detail: Value,
}

/// All of one file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FileChunks {
    /// The pieces, in reading order.
    pub chunks: Vec<Chunk>,
    /// What they define.
    pub symbols: Vec<Symbol>,
    /// Of a manifest, what it says.
    pub module: Option<ModuleCard>,
    /// Why there is less than there could be: the file does not parse, and the like.
    pub trouble: Option<String>,
}

/// One file to cut up.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The addon it belongs to; `None` for a file of the framework.
    pub module: Option<&'a str>,
    /// `module/path/file.py`; of the framework `odoo/path/file.py`.
    pub path: &'a str,
    /// What is in it.
    pub text: &'a str,
}
