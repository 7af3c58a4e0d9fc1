//! From a chain of exceptions to a class and the object it names.
//!
//! Each recogniser reads one exception and says what it found and how specific that is; the most specific finding of the chain counts,
//! of two equal ones the last printed. Exception class and frames come before texts, because texts are translated.

mod data;
mod database;
mod fields;
mod python;
mod runtime;
mod values;
mod views;
mod words;

pub(super) use words::{of_entry, of_warning};

use super::log::Entry;
use super::pattern::Pattern;
use crate::domain::{ErrorClass, Frame, ObjectRef, Raised};

/// How much a finding says. The order is the order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Only the exception's class is known.
    Unknown,
    /// A message meant for the user: what caused it says more.
    Message,
    /// A class that Python or PostgreSQL gives.
    Generic,
    /// A class of Odoo's, with what it names.
    Specific,
}

/// What a recogniser found.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) class: ErrorClass,
    /// One of the class's subclasses, or empty.
    pub(super) sub: &'static str,
    pub(super) rank: Rank,
    pub(super) object: ObjectRef,
    /// A file that the text names, as the text has it, and a line.
    pub(super) file: Option<(String, Option<u32>)>,
    /// The addon, if the text names it.
    pub(super) module: Option<String>,
}

impl Finding {
    fn new(class: ErrorClass) -> Self {
        Self { class, sub: "", rank: Rank::Specific, object: ObjectRef::default(), file: None, module: None }
    }

    fn sub(mut self, sub: &'static str) -> Self {
        debug_assert!(self.class.subclasses().contains(&sub), "{} has no {sub}", self.class.as_str());
        self.sub = sub;
        self
    }

    fn rank(mut self, rank: Rank) -> Self {
        self.rank = rank;
        self
    }

    fn model(mut self, model: &str) -> Self {
        self.object.model = some(model);
        self
    }

    fn field(mut self, field: &str) -> Self {
        self.object.field = some(field);
        self
    }

    fn method(mut self, method: &str) -> Self {
        self.object.method = some(method);
        self
    }

    fn view(mut self, view: &str) -> Self {
        self.object.view = some(view);
        self
    }

    fn xmlid(mut self, xmlid: &str) -> Self {
        self.object.xmlid = some(xmlid);
        self
    }

    fn name(mut self, name: &str) -> Self {
        self.object.name = some(name);
        self
    }

    fn module(mut self, module: &str) -> Self {
        self.module = some(module);
        self
    }

    fn file(mut self, file: &str, line: Option<u32>) -> Self {
        self.file = some(file).map(|file| (file, line));
        self
    }
}

/// Names are bounded: they end in rows and prompts.
const NAME_MAX: usize = 300;

fn some(text: &str) -> Option<String> {
    let text = super::cut::head(text.trim(), NAME_MAX);
    (!text.is_empty()).then(|| text.to_owned())
}

/// One exception with what stands around it.
pub(super) struct Case<'a> {
    pub(super) chain: &'a [Raised],
    pub(super) index: usize,
    /// Entries before the error that may hold its reason.
    pub(super) reasons: &'a [&'a Entry<'a>],
    /// The addon that was being loaded.
    pub(super) loading: Option<&'a str>,
    /// The data file that was being loaded, below the addons folder.
    pub(super) data_file: Option<&'a str>,
}

impl Case<'_> {
    fn raised(&self) -> &Raised {
        &self.chain[self.index]
    }

    fn message(&self) -> &str {
        &self.raised().message
    }

    /// The exception without its Python module.
    fn exception(&self) -> &str {
        short(&self.raised().exception)
    }

    /// Whether a data file was being loaded when it was raised.
    fn in_data(&self) -> bool {
        self.passes(&["convert_xml_import", "convert_file", "_tag_record"])
            || self.chain.iter().any(|raised| short(&raised.exception) == "ParseError")
    }

    /// Whether a function is among the frames of this exception.
    fn ran(&self, functions: &[&str]) -> bool {
        self.raised().frames.iter().any(|frame| functions.contains(&frame.function.as_str()))
    }

    fn is(&self, names: &[&str]) -> bool {
        names.contains(&self.exception())
    }

    fn innermost(&self) -> Option<&Frame> {
        self.raised().frames.last()
    }

    /// Whether a function is among the frames of any exception of the chain.
    fn passes(&self, functions: &[&str]) -> bool {
        passes(self.chain, functions)
    }
}

static RECORD: Pattern = Pattern::new(r#"<(?:record|template|menuitem|function|delete)\b([^>]*)"#);
static RECORD_MODEL: Pattern = Pattern::new(r#"\bmodel=["']([\w.]+)["']"#);
static RECORD_ID: Pattern = Pattern::new(r#"\bid=["']([\w.-]+)["']"#);

/// Odoo model and external id of the record that was being loaded, as `ParseError` shows it; empty where it does not.
pub(super) fn parsed_record(chain: &[Raised]) -> (&str, &str) {
    let shown = chain.iter().rev().filter(|raised| short(&raised.exception) == "ParseError" && raised.message.contains("somewhere inside"));
    let attributes = shown.filter_map(|raised| RECORD.first(&raised.message)).next().unwrap_or_default();
    (RECORD_MODEL.first(attributes).unwrap_or_default(), RECORD_ID.first(attributes).unwrap_or_default())
}

/// Whether a function is among the frames of a chain.
pub(super) fn passes(chain: &[Raised], functions: &[&str]) -> bool {
    chain.iter().flat_map(|raised| &raised.frames).any(|frame| functions.contains(&frame.function.as_str()))
}

/// `ParseError` for `odoo.tools.convert.ParseError`.
pub(super) fn short(exception: &str) -> &str {
    exception.rsplit('.').next().unwrap_or(exception)
}

type Recogniser = fn(&Case<'_>) -> Option<Finding>;

/// Every recogniser. Of two equal ranks for one exception the first counts.
const RECOGNISERS: [Recogniser; 29] = [
    data::dependency,
    data::external_dependency,
    views::attrs,
    views::tree,
    views::anchor,
    views::action,
    views::field,
    fields::invalid,
    fields::value,
    fields::domain,
    views::invalid,
    data::external_id,
    data::csv,
    data::missing_file,
    data::xml,
    fields::reference,
    fields::model,
    runtime::database_code,
    runtime::qweb,
    database::refused,
    runtime::infrastructure,
    python::hook,
    python::import,
    python::syntax,
    python::cursor,
    values::none,
    python::names,
    runtime::said_no,
    values::other,
];

/// The most telling finding of a chain, and which exception it is about.
pub(super) fn of_chain(
    chain: &[Raised],
    reasons: &[&Entry<'_>],
    loading: Option<&str>,
    data_file: Option<&str>,
) -> Option<(usize, Finding)> {
    let mut best: Option<(usize, Finding)> = None;
    for index in 0..chain.len() {
        let case = Case { chain, index, reasons, loading, data_file };
        let found = first_of_highest_rank(&case).unwrap_or_else(|| Finding::new(ErrorClass::Other).rank(Rank::Unknown));
        // A wrapper such as ParseError, about which nothing is known, says less than its cause.
        if best.as_ref().is_none_or(|(_, so_far)| found.rank > so_far.rank || (found.rank == so_far.rank && found.rank > Rank::Unknown)) {
            best = Some((index, found));
        }
    }
    best
}

/// Of equal ranks the first, so that nothing after one of the highest rank has to be asked.
fn first_of_highest_rank(case: &Case<'_>) -> Option<Finding> {
    let mut best: Option<Finding> = None;
    for found in RECOGNISERS.iter().filter_map(|recognise| recognise(case)) {
        if found.rank == Rank::Specific {
            return Some(found);
        }
        if best.as_ref().is_none_or(|so_far| found.rank > so_far.rank) {
            best = Some(found);
        }
    }
    best
}

static PARSED: Pattern = Pattern::new(r#"while parsing ["']?(?:file:)?(?:None:)?([^\n"']+?\.\w+)["']?:(\d{1,9})"#);

/// The file and line of the record that was being loaded, if a data file was.
pub(super) fn parsed_place(chain: &[Raised]) -> Option<(&str, Option<u32>)> {
    let parse_error = chain.iter().rev().find(|raised| short(&raised.exception) == "ParseError")?;
    let [file, line] = PARSED.groups(&parse_error.message)?;
    Some((file, line.parse().ok()))
}
