//! One occurrence, read into a report.

use std::borrow::Cow;
use std::cell::LazyCell;

use super::super::classify::{Finding, Rank, of_chain, of_entry, parsed_place, parsed_record, short};
use super::super::fingerprint::{Parts, fingerprint};
use super::super::log::Entry;
use super::super::pattern::Pattern;
use super::super::place::{Located, Places, is_core_file};
use super::super::traceback::stack;
use super::super::{cut, mask};
use super::group::{Occurrence, Severity};
use crate::domain::{
    ErrorClass, ErrorReport, Fault, Fingerprint, Frame, Location, ModuleName, ObjectRef, OdooVersion, Owner, Raised, Subclass,
};

static VERSION: Pattern = Pattern::new(r"^Odoo version (?:saas[~-])?(\d{1,2}\.\d)");
static LOGGER: Pattern = Pattern::new(r"^(?:odoo|openerp)\.addons\.(\w+)");

const TITLE_MAX: usize = 200;
const TEXT_HEAD: usize = 16 * 1024;
const TEXT_TAIL: usize = 32 * 1024 - 128;
const REASON_MAX: usize = 2 * 1024;
const MESSAGE_HEAD: usize = 6 * 1024;
const MESSAGE_TAIL: usize = 2 * 1024;
const SOURCE_MAX: usize = 300;
const NAME_MAX: usize = 300;

/// Addons of Odoo that log for others: their loggers do not tell whose error it is.
const BYSTANDERS: [&str; 9] = ["base", "web", "mail", "bus", "http_routing", "website", "portal", "queue_job", "sentry"];

/// The series that the log names at its start.
pub(super) fn version(entries: &[Entry<'_>]) -> Option<OdooVersion> {
    entries.iter().filter(|entry| entry.logger == "odoo").find_map(|entry| VERSION.first(&entry.message)?.parse().ok())
}

/// The report of one occurrence; of one whose fingerprint is enough only that, because the rest costs more.
pub(super) fn report(
    found: &Occurrence<'_>,
    places: &Places,
    version: Option<&OdooVersion>,
    is_enough: impl Fn(&Fingerprint) -> bool,
) -> Result<ErrorReport, Fingerprint> {
    let (picked, mut finding) = classify(found);
    let raised = picked.and_then(|index| found.chain.get(index));
    if let Some(test) = &found.test {
        // An assertion of Odoo's own fails a test too, and says more than that.
        if test.is_failure && finding.rank < Rank::Specific {
            finding.class = ErrorClass::TestFailure;
            finding.sub = assertion(raised.map_or("", |raised| &raised.message));
        }
        finding.object.name = Some(test.name.clone());
    }
    let place = Place::of(found, &finding, picked, places);
    let (module, location) = (place.module, place.location);
    qualify(&finding.class, module.as_ref(), &mut finding.object);
    let first_line = found.entry.message.lines().next().unwrap_or_default().trim();
    let print = fingerprint(&Parts {
        class: finding.class,
        exception: raised.map_or("", |raised| &raised.exception),
        module: module.as_ref().map(ModuleName::as_str),
        object: &finding.object,
        frames: &place.frames,
        message: raised.map_or(first_line, |raised| &raised.message),
    });
    if is_enough(&print) {
        return Err(print);
    }
    // What stands around the error is named too, but only after the fingerprint: where it is cut off, the error is the same.
    surroundings(found, &finding.class, place.function, &mut finding.object);
    qualify(&finding.class, module.as_ref(), &mut finding.object);
    Ok(ErrorReport {
        fingerprint: print,
        class: finding.class,
        subclass: Subclass::new(finding.sub).filter(|sub| finding.class.subclasses().contains(&sub.as_str())),
        fault: fault(finding.class, found.severity, raised.is_some()),
        title: title(found, raised),
        occurred_at: found.entry.at,
        level: found.entry.level.to_owned(),
        logger: found.entry.logger.to_owned(),
        database: found.entry.database.map(str::to_owned),
        odoo_version: version.cloned(),
        module,
        owner: place.owner,
        location,
        object: finding.object,
        chain: found.chain.iter().map(masked).collect(),
        text: text(found),
    })
}

/// An external id without its addon is one of the addon that is loaded.
fn qualify(class: &ErrorClass, module: Option<&ModuleName>, object: &mut ObjectRef) {
    if let (Some(module), Some(xmlid)) = (module, &mut object.xmlid)
        && *class != ErrorClass::CsvInvalid
        && !xmlid.contains('.')
    {
        *xmlid = format!("{module}.{xmlid}");
    }
}

/// The record that was being loaded, and the function in which it happened.
fn surroundings(found: &Occurrence<'_>, class: &ErrorClass, function: Option<String>, object: &mut ObjectRef) {
    use ErrorClass as C;
    let (model, id) = parsed_record(&found.chain);
    let some = |text: &str| Some(cut::head(text, NAME_MAX).to_owned()).filter(|text| !text.is_empty());
    object.model = object.model.take().or_else(|| some(model));
    object.xmlid = object.xmlid.take().or_else(|| some(id));
    let happens_in_a_function = matches!(
        class,
        C::ExpectedSingleton
            | C::NameUndefined
            | C::SqlInvalid
            | C::DomainInvalid
            | C::NoneValue
            | C::KeyMissing
            | C::IndexMissing
            | C::TypeMismatch
            | C::ValueInvalid
            | C::Calculation
            | C::Recursion
            | C::AssertionFailed
            | C::NotImplemented
            | C::FileAccess
            | C::Other
    );
    if happens_in_a_function && object.method.is_none() {
        object.method = function.as_deref().and_then(some);
    }
}

/// What a failing assertion of a test compared.
fn assertion(said: &str) -> &'static str {
    let first = said.lines().next().unwrap_or_default();
    match first {
        _ if first.ends_with(" not raised") || first.contains(" not raised :") || first.contains(" not raised by ") => "raises",
        _ if first.contains("Query count") || first.contains("query count") => "queries",
        _ if first.starts_with("no logs of level") || first.starts_with("Unexpected logs") => "log",
        _ if first.contains(" not found in ") || first.contains(" unexpectedly found in ") => "membership",
        _ if first.contains(" is not true")
            || first.contains(" is not false")
            || first.contains(" is not None")
            || first.contains(" is None") =>
        {
            "truth"
        }
        _ if first.contains(" not less than ") || first.contains(" not greater than ") => "comparison",
        _ if first.contains(" != ") || first.contains(" == ") || first.contains("differ") || first.contains("almost") => "equality",
        _ => "other",
    }
}

/// The finding, and which exception of the chain it is about.
fn classify(found: &Occurrence<'_>) -> (Option<usize>, Finding) {
    match of_chain(&found.chain, &found.reasons, found.loading, found.data_file) {
        Some((index, finding)) => (Some(index), finding),
        None => (None, of_entry(found.entry, found.loading)),
    }
}

/// Where an error lies, and the frames it is recognised by.
struct Place {
    module: Option<ModuleName>,
    owner: Owner,
    location: Option<Location>,
    /// The innermost function of an addon.
    function: Option<String>,
    frames: Vec<(String, String)>,
}

impl Place {
    fn of(found: &Occurrence<'_>, finding: &Finding, picked: Option<usize>, places: &Places) -> Self {
        let loading = found.loading.filter(|_| found.severity != Severity::Test);
        let locate =
            |file: &str, line: Option<u32>| places.locate(file, line, loading.or(found.test.as_ref().map(|test| test.module.as_str())));
        // What a test calls is at fault before the test; but an assertion that failed is the test's.
        let prefers_code = finding.class != ErrorClass::TestFailure;
        let in_frames = |frames: &[Frame], also_tests: bool| {
            let located = frames.iter().rev().filter_map(|frame| Some((locate(&frame.file, Some(frame.line))?, frame.function.clone())));
            located.into_iter().find(|(found, _)| also_tests || !found.in_tests())
        };
        let raised = picked.and_then(|index| found.chain.get(index));
        let own = finding.file.as_ref().and_then(|(file, line)| locate(file, *line));
        let parsed = LazyCell::new(|| parsed_place(&found.chain).and_then(|(file, line)| locate(file, line)));
        let parsed = || LazyCell::force(&parsed).clone();
        let frames = |also_tests: bool| {
            let picked = raised.and_then(|raised| in_frames(&raised.frames, also_tests));
            picked.or_else(|| found.chain.iter().find_map(|raised| in_frames(&raised.frames, also_tests)))
        };
        let by_frames = Some(()).filter(|()| prefers_code).and_then(|()| frames(false)).or_else(|| frames(true));
        let (by_frames, function) = by_frames.unzip();
        let by_stack = || in_frames(&stack(&found.entry.message), true).filter(|_| found.chain.is_empty()).map(|(found, _)| found);
        let in_data = || if lies_in_data(finding.class) { parsed() } else { None };
        let located = own.or_else(in_data).or(by_frames).or_else(parsed).or_else(by_stack);
        let frames = raised.map(|raised| own_frames(&raised.frames, |file| Some(locate(file, None)?.location.path))).unwrap_or_default();
        let module = Self::module(found, finding, located.as_ref().map(|located| &located.module), loading);
        // Neither `<module>` nor the body of a class.
        let function = function.filter(|function| function.starts_with(|first: char| first == '_' || first.is_ascii_lowercase()));
        let core = Some(()).filter(|()| module.is_none()).and_then(|()| Self::core(&found.chain));
        let owner = match (&module, &core) {
            (Some(module), _) => located
                .as_ref()
                .and_then(|located| located.owner)
                .or_else(|| parsed()?.owner)
                .unwrap_or_else(|| places.owner(module.as_str())),
            (None, Some(_)) => Owner::Core,
            (None, None) => Owner::Unknown,
        };
        Self { module, owner, location: located.map(|located: Located| located.location).or(core.flatten()), function, frames }
    }

    /// Whether only Odoo's own files are among the frames, and the innermost place in an addon of Odoo's.
    fn core(chain: &[Raised]) -> Option<Option<Location>> {
        let mut frames =
            chain.iter().rev().flat_map(|raised| raised.frames.iter().rev()).filter(|frame| is_core_file(&frame.file)).peekable();
        frames.peek()?;
        Some(frames.find_map(|frame| Places::locate_core(&frame.file, frame.line)))
    }

    fn module(found: &Occurrence<'_>, finding: &Finding, located: Option<&ModuleName>, loading: Option<&str>) -> Option<ModuleName> {
        let test = found.test.as_ref().map(|test| test.module.as_str());
        let named = finding.module.as_deref().and_then(|module| module.parse().ok());
        // The assertion that failed is the test's; any other exception is that of the file it came from.
        let tested = test.filter(|_| finding.class == ErrorClass::TestFailure).and_then(|module| module.parse().ok());
        let logged = || LOGGER.first(found.entry.logger).filter(|module| !BYSTANDERS.contains(module));
        // A template may be anybody's; code of an addon on the way there says more.
        let (named, template) = if finding.class == ErrorClass::QwebRender { (None, named) } else { (named, None) };
        named.or(tested).or_else(|| located.cloned()).or(template).or_else(|| loading.or(test).or_else(logged)?.parse().ok())
    }
}

/// Classes whose fault stands in a data file, whatever Python the loading of it passes.
fn lies_in_data(class: ErrorClass) -> bool {
    use ErrorClass as C;
    matches!(
        class,
        C::FieldValueInvalid
            | C::DomainInvalid
            | C::NoneValue
            | C::FieldInvalid
            | C::ExternalIdMissing
            | C::ModelMissing
            | C::DataConstraint
            | C::CsvInvalid
            | C::ViewInvalid
    )
}

/// The frames in addons, each file and function once in a row: a recursion is as deep as chance makes it.
fn own_frames(frames: &[Frame], path_of: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let mut own: Vec<_> = frames.iter().filter_map(|frame| Some((path_of(&frame.file)?, frame.function.clone()))).collect();
    own.dedup();
    own
}

fn fault(class: ErrorClass, severity: Severity, is_raised: bool) -> Fault {
    use ErrorClass as C;
    let in_tests = severity == Severity::Test;
    // What a data file of an addon breaks when it is loaded, and what a test runs into, is the addon's doing.
    let by_addon = in_tests || (severity == Severity::Load && is_raised);
    match class {
        C::Infrastructure => Fault::Infrastructure,
        C::DependencyMissing | C::ExternalDependencyMissing => Fault::Configuration,
        C::SchemaOutdated if !in_tests => Fault::MissingUpgrade,
        C::UserMessage | C::HttpRequest if !by_addon => Fault::User,
        C::AccessDenied if !by_addon => Fault::Configuration,
        C::DataConstraint | C::DatabaseCode | C::RecordMissing if !by_addon => Fault::Data,
        _ => Fault::Code,
    }
}

fn title(found: &Occurrence<'_>, raised: Option<&Raised>) -> String {
    let said = match raised {
        Some(raised) => match (short(&raised.exception), telling_line(&raised.message)) {
            ("", line) => format!("Traceback cut off {line}"),
            (exception, "") => exception.to_owned(),
            (exception, line) => format!("{exception}: {line}"),
        },
        None => found.entry.message.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned(),
    };
    let said = match &found.test {
        Some(test) => format!("{}: {said}", test.name),
        None => said,
    };
    // Cut before masking, so that a huge line costs little; cut again because stars may be longer than what they hide.
    let masked = mask(cut::head(&said, 4 * TITLE_MAX)).into_owned();
    cut::head(&masked, TITLE_MAX).trim_end().to_owned()
}

/// The line that says what is wrong: the reason, and not the place or what merely introduces it.
fn telling_line(message: &str) -> &str {
    let mut lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let places = first.starts_with("while parsing ") && !first.contains("somewhere inside");
    if !places && !first.ends_with("could not be processed:") {
        return first;
    }
    let introduces = |line: &str| line.ends_with(':') || line.starts_with('<') || line.starts_with("View error context");
    lines.find(|line| !introduces(line)).unwrap_or(first)
}

fn masked(raised: &Raised) -> Raised {
    let frame = |frame: &Frame| Frame { source: mask(cut::head(&frame.source, SOURCE_MAX)).into_owned(), ..frame.clone() };
    Raised {
        exception: raised.exception.clone(),
        message: cut::middle(&mask(&raised.message), MESSAGE_HEAD, MESSAGE_TAIL).into_owned(),
        frames: raised.frames.iter().map(frame).collect(),
    }
}

/// The text in the form of a log, so that it reads like one and can be read again.
fn text(found: &Occurrence<'_>) -> String {
    let mut text = String::new();
    if let (Severity::Load, Some(module)) = (found.severity, found.loading) {
        text.push_str(&head(found.entry, "INFO", "odoo.modules.loading"));
        text.push_str(&format!("Loading module {module}\n"));
    }
    for reason in &found.reasons {
        text.push_str(&head(reason, reason.level, reason.logger));
        text.push_str(&cut::middle(&reason.message, REASON_MAX, REASON_MAX / 2));
        text.push('\n');
    }
    text.push_str(&head(found.entry, found.entry.level, found.entry.logger));
    text.push_str(&found.entry.message);
    let masked: Cow<'_, str> = mask(&text);
    cut::middle(&masked, TEXT_HEAD, TEXT_TAIL).into_owned()
}

fn head(entry: &Entry<'_>, level: &str, logger: &str) -> String {
    match entry.at {
        Some(at) => {
            let (pid, database) = (entry.pid.unwrap_or(0), entry.database.unwrap_or("?"));
            format!("{} {pid} {level} {database} {logger}: ", at.format("%Y-%m-%d %H:%M:%S,%3f"))
        }
        None => String::new(),
    }
}
