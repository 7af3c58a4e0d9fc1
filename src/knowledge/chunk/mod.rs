//! A file of sources to the pieces that are searched: a method, a class head with its fields, a view, the access rows of an Odoo model, a
//! section of a README, a manifest. Pieces follow the code and are never a window of characters.
//!
//! Pure: text in, values out. It never fails: what cannot be read gives fewer pieces, and says why.

mod abbreviations;
mod card;
mod csv;
mod lines;
mod manifest;
mod python;
mod script;
mod section;
mod translations;
mod tree;
mod wanted;
mod words;
mod xml;

use serde_json::Value;

pub use card::with_words;
pub use manifest::repository;
pub use wanted::wanted;
pub use words::module_words;

/// The version of what is in this folder: raise it when the same file gives other pieces, and files are cut up anew when they are next seen.
pub const CHUNKER: i32 = 3;

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
    /// The few words that are embedded, a vector a line; `None` where names find it better than meaning.
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

/// The most bytes of a file that is cut up.
pub const MAX_BYTES: usize = 2 * 1024 * 1024;
/// The most pieces of one file.
pub const MAX_CHUNKS: usize = 10_000;
/// The most symbols of one file.
pub const MAX_SYMBOLS: usize = 20_000;

/// Cuts a file up, by its name.
pub fn cut(source: &Source<'_>) -> FileChunks {
    let mut found = FileChunks::default();
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(source.text);
    let source = Source { text, ..*source };
    let name = source.path.rsplit('/').next().unwrap_or_default();
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default();
    let limit = if extension == "po" { translations::MAX_BYTES } else { MAX_BYTES };
    if text.len() > limit {
        found.trouble = Some(format!("it has {} bytes, and only files of up to {limit} are read", text.len()));
    } else if text.contains('\0') {
        found.trouble = Some("it is no text".to_owned());
    } else {
        match (name, extension.as_str()) {
            ("__manifest__.py" | "__openerp__.py", _) => manifest::cut(&source, &mut found),
            (_, "py") => python::cut(&source, &mut found),
            (_, "xml") => xml::cut(&source, &mut found),
            (_, "csv") => csv::cut(&source, &mut found),
            (_, "js") => script::cut(&source, &mut found),
            (_, "md" | "rst") => section::cut(&source, &mut found),
            (_, "po") => translations::cut(&source, &mut found),
            _ => found.trouble = Some("files of this sort are not cut up".to_owned()),
        }
    }
    found
}

impl FileChunks {
    /// Adds a piece and says its place, as long as there are not too many.
    fn add(&mut self, chunk: Chunk) -> Option<usize> {
        if self.chunks.len() >= MAX_CHUNKS {
            self.trouble(&format!("it has more than {MAX_CHUNKS} pieces; the rest is left out"));
            return None;
        }
        self.chunks.push(chunk);
        Some(self.chunks.len() - 1)
    }

    /// Adds a symbol, as long as there are not too many.
    fn define(&mut self, symbol: Symbol) {
        if self.symbols.len() < MAX_SYMBOLS {
            self.symbols.push(symbol);
        } else {
            self.trouble(&format!("it has more than {MAX_SYMBOLS} symbols; the rest is left out"));
        }
    }

    /// Says why something is missing; the first reason stays.
    fn trouble(&mut self, why: &str) {
        self.trouble.get_or_insert_with(|| why.to_owned());
    }
}

impl Source<'_> {
    /// The full external id of what this file calls so.
    fn full_id(&self, id: &str) -> String {
        match self.module {
            Some(module) if !id.contains('.') => format!("{module}.{id}"),
            _ => id.to_owned(),
        }
    }
}

/// What every zone list ends with: the addon that a piece stands in.
fn context(source: &Source<'_>) -> (Zone, String) {
    (Zone::Context, source.module.unwrap_or_default().to_owned())
}
