//! Data files, external ids and what an addon depends on.

use super::{Case, Finding};
use crate::domain::ErrorClass;
use crate::odoo::pattern::Pattern;

static EXTERNAL_ID: Pattern = Pattern::new(r"External ID not found in the system: ([\w.-]+)");
static CSV: Pattern = Pattern::new(r"(?:Module loading (\w+) failed: file )?(\w+/[\w./-]+\.csv) ");
static CSV_XMLID: Pattern = Pattern::new(r"'([\w.]*\w)'[^'\n]*'([^'\n]+)'");
// The kind of reference stands in no translation's place: it is the column with `:id` that is quoted after it.
static CSV_REFERENCE: Pattern =
    Pattern::new(r"(?i)external id|database id|id(?:entifiant)? externe?|externe id|ID externo|No matching record");
static CSV_FIELD: Pattern = Pattern::new(r"(?i)unknown (?:sub-)?field|no such field|invalid field");
static NO_FILE: Pattern = Pattern::new(r"(?:No such file or directory|File not found)\s?:\s?'?([^'\n]+)'?");
static XML_PLACE: Pattern = Pattern::new(r"line (\d{1,9}), column \d+(?: \(([^()\n]+\.xml), line \d+\))?");
static NOT_IN_SCHEMA: Pattern = Pattern::new(r"The XML file '([^'\n]+)' does not fit");
static SCHEMA_PLACE: Pattern = Pattern::new(r"^([^\n:]+\.xml):(\d{1,9}):\d+:ERROR:RELAXNGV:\w+: ([^\n]+)");
static EXTRA: Pattern = Pattern::new(r"extra content: ([\w.-]+)");
static DEPENDS: Pattern = Pattern::new(r#"(?s)["“«']\s?(\w+)\s?["”»'].*?["“«']\s?(\w+)\s?["”»']"#);
static DEPENDS_TEXT: Pattern = Pattern::new(r"You try to (?:install|upgrade) (?:the )?module");
static LIBRARY: Pattern = Pattern::new(r"(?:External dependency|Python library|Unable to find) '?([\w.-]+)'?");
static NOT_MET: Pattern = Pattern::new(r#"["“«'](\w+)["”»'][^:\n]*external dependency[^:\n]*: ?([\w.-]+)?"#);

/// Words of libxml2, and what they are about.
const XML_FAULTS: [(&[&str], &str); 6] = [
    (&["Entity", "entity"], "entity"),
    (&["tag mismatch"], "tag_mismatch"),
    (&["AttValue", "attribute", "Attribute"], "attribute"),
    (&["Premature end", "EndTag", "not finished", "CDATA"], "unclosed"),
    (&["empty", "Start tag expected"], "empty"),
    (&["encoding", "PCDATA invalid Char", "not proper UTF-8"], "encoding"),
];

fn manifest(module: &str) -> String {
    format!("{module}/__manifest__.py")
}

pub(super) fn external_id(case: &Case<'_>) -> Option<Finding> {
    let xmlid = EXTERNAL_ID.first(case.message())?;
    let in_menu = || case.ran(&["_tag_menuitem"]);
    let sub = match case.in_data() {
        true if in_menu() => "menu",
        true => "data",
        false => "runtime",
    };
    Some(Finding::new(ErrorClass::ExternalIdMissing).sub(sub).xmlid(xmlid))
}

pub(super) fn csv(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    if !(case.passes(&["convert_csv_import"]) || text.starts_with("Module loading ")) || case.is(&["ParseError"]) {
        return None;
    }
    let [module, file] = CSV.groups(text).or_else(|| Some(["", case.data_file?]))?;
    let [xmlid, column] = text.split_once('\n').and_then(|(_, reason)| CSV_XMLID.groups(reason)).unwrap_or_default();
    let module = if module.is_empty() { file.split('/').next().unwrap_or_default() } else { module };
    let sub = match text {
        _ if !xmlid.is_empty() && CSV_REFERENCE.is_match(text) => "reference",
        _ if CSV_FIELD.is_match(text) => "field",
        _ if !xmlid.is_empty() => "value",
        _ => "other",
    };
    Some(Finding::new(ErrorClass::CsvInvalid).sub(sub).xmlid(xmlid).field(column).name(file).file(file, None).module(module))
}

pub(super) fn missing_file(case: &Case<'_>) -> Option<Finding> {
    let loaded = case.passes(&["convert_file", "load_data", "load_demo"]);
    let file = NO_FILE.first(case.message()).filter(|_| loaded && case.is(&["FileNotFoundError", "ValueError", "OSError"]))?;
    let file = file.trim();
    // What the manifest lists is the part below the addon.
    let listed = case.loading.and_then(|module| match file.strip_prefix(module) {
        Some(rest) => rest.strip_prefix('/'),
        None => file.split_once(&format!("/{module}/")).map(|(_, rest)| rest),
    });
    let found = Finding::new(ErrorClass::DataFileMissing).sub("listed").name(listed.unwrap_or(file));
    // The file that is there, and names the one that is not, is the manifest.
    Some(match case.loading {
        Some(module) => found.file(&manifest(module), None),
        None => found.file(file, None),
    })
}

pub(super) fn xml(case: &Case<'_>) -> Option<Finding> {
    if case.is(&["XMLSyntaxError"]) {
        let text = case.message();
        let first = text.lines().next().unwrap_or_default();
        let [line, file] = XML_PLACE.groups(text).unwrap_or_default();
        let frame = case.innermost().filter(|frame| frame.function.is_empty() && !frame.file.ends_with(".pxi"));
        let file = frame.map(|frame| frame.file.as_str()).or(Some(file).filter(|file| !file.is_empty())).or(case.data_file);
        let what = first.split(", line ").next().unwrap_or_default();
        let line = line.parse().ok().or(frame.map(|frame| frame.line));
        let sub = XML_FAULTS.iter().find(|(words, _)| words.iter().any(|word| what.contains(word))).map_or("other", |(_, sub)| sub);
        return Some(Finding::new(ErrorClass::XmlSyntax).sub(sub).name(what).file(file.unwrap_or_default(), line));
    }
    let reasons = || case.reasons.iter().map(|reason| reason.message.as_ref());
    let by_schema = case.raised().frames.iter().any(|frame| frame.function.ends_with("_Validator.assert_"));
    let named = reasons().find_map(|reason| NOT_IN_SCHEMA.first(reason));
    if !case.is(&["AssertionError", "DocumentInvalid"]) || !(by_schema || named.is_some()) {
        return None;
    }
    let [file, line, what] = reasons().find_map(|reason| SCHEMA_PLACE.groups(reason)).unwrap_or_default();
    let file = [file, named.unwrap_or_default(), case.data_file.unwrap_or_default()].into_iter().find(|file| !file.is_empty());
    let name = EXTRA.first(case.message()).or_else(|| EXTRA.first(what)).unwrap_or(what);
    let said = if EXTRA.is_match(case.message()) { case.message() } else { what };
    let sub = match said {
        said if said.contains("extra content") => "extra_content",
        said if said.contains("attribute") => "attribute",
        said if said.contains("Expecting") || said.contains("missing") => "missing_content",
        _ => "other",
    };
    Some(Finding::new(ErrorClass::XmlSchema).sub(sub).name(name).file(file.unwrap_or_default(), line.parse().ok()))
}

pub(super) fn dependency(case: &Case<'_>) -> Option<Finding> {
    let refused = case.innermost().is_some_and(|frame| frame.function == "_state_update" && frame.file.contains("ir_module"));
    let text = case.message();
    if !(DEPENDS_TEXT.is_match(text) || refused && case.is(&["UserError"])) {
        return None;
    }
    let [module, missing] = DEPENDS.groups(text)?;
    Some(Finding::new(ErrorClass::DependencyMissing).sub("not_available").name(missing).module(module).file(&manifest(module), None))
}

pub(super) fn external_dependency(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    let found = || Finding::new(ErrorClass::ExternalDependencyMissing);
    if case.is(&["MissingDependency"]) {
        let sub = if text.contains("in path") || text.contains("Unable to find") { "binary" } else { "python" };
        return Some(found().sub(sub).name(LIBRARY.first(text)?));
    }
    let caused = case.chain[..case.index].iter().find(|cause| super::short(&cause.exception) == "MissingDependency");
    let [module, library] = NOT_MET.groups(text).filter(|_| case.is(&["UserError"]))?;
    let library = caused.and_then(|cause| LIBRARY.first(&cause.message)).unwrap_or(library);
    let cause = caused.map_or("", |cause| cause.message.as_str());
    let sub = if cause.contains("in path") || cause.contains("Unable to find") { "binary" } else { "python" };
    Some(found().sub(sub).name(library).module(module).file(&manifest(module), None))
}
