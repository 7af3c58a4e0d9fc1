//! Data files, external ids and what an addon depends on.

use super::{Case, Finding};
use crate::domain::ErrorClass;
use crate::odoo::pattern::Pattern;

static EXTERNAL_ID: Pattern = Pattern::new(r"External ID not found in the system: ([\w.-]+)");
static CSV: Pattern = Pattern::new(r"(?:Module loading (\w+) failed: file )?(\w+/[\w./-]+\.csv) ");
static CSV_XMLID: Pattern = Pattern::new(r"'([\w.]*\w)'[^'\n]*'([^'\n]+)'");
static NO_FILE: Pattern = Pattern::new(r"(?:No such file or directory|File not found)\s?:\s?'?([^'\n]+)'?");
static XML_PLACE: Pattern = Pattern::new(r"line (\d{1,9}), column \d+(?: \(([^()\n]+\.xml), line \d+\))?");
static NOT_IN_SCHEMA: Pattern = Pattern::new(r"The XML file '([^'\n]+)' does not fit");
static SCHEMA_PLACE: Pattern = Pattern::new(r"^([^\n:]+\.xml):(\d{1,9}):\d+:ERROR:RELAXNGV:\w+: ([^\n]+)");
static EXTRA: Pattern = Pattern::new(r"extra content: ([\w.-]+)");
static DEPENDS: Pattern = Pattern::new(r#"(?s)["“«']\s?(\w+)\s?["”»'].*?["“«']\s?(\w+)\s?["”»']"#);
static DEPENDS_TEXT: Pattern = Pattern::new(r"You try to (?:install|upgrade) (?:the )?module");
static LIBRARY: Pattern = Pattern::new(r"(?:External dependency|Python library|Unable to find) '?([\w.-]+)'?");
static NOT_MET: Pattern = Pattern::new(r#"["“«'](\w+)["”»'][^:\n]*external dependency[^:\n]*: ?([\w.-]+)?"#);

pub(super) fn external_id(case: &Case<'_>) -> Option<Finding> {
    let xmlid = EXTERNAL_ID.first(case.message())?;
    Some(Finding::new(ErrorClass::ExternalIdMissing).xmlid(xmlid))
}

pub(super) fn csv(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    if !(case.passes(&["convert_csv_import"]) || text.starts_with("Module loading ")) || case.is(&["ParseError"]) {
        return None;
    }
    let [module, file] = CSV.groups(text).or_else(|| Some(["", case.data_file?]))?;
    let [xmlid, column] = text.split_once('\n').and_then(|(_, reason)| CSV_XMLID.groups(reason)).unwrap_or_default();
    let module = if module.is_empty() { file.split('/').next().unwrap_or_default() } else { module };
    Some(Finding::new(ErrorClass::CsvInvalid).xmlid(xmlid).field(column).name(file).file(file, None).module(module))
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
    Some(Finding::new(ErrorClass::DataFileMissing).name(listed.unwrap_or(file)).file(file, None))
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
        return Some(Finding::new(ErrorClass::XmlSyntax).name(what).file(file.unwrap_or_default(), line));
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
    Some(Finding::new(ErrorClass::XmlSchema).name(name).file(file.unwrap_or_default(), line.parse().ok()))
}

pub(super) fn dependency(case: &Case<'_>) -> Option<Finding> {
    let refused = case.innermost().is_some_and(|frame| frame.function == "_state_update" && frame.file.contains("ir_module"));
    let text = case.message();
    if !(DEPENDS_TEXT.is_match(text) || refused && case.is(&["UserError"])) {
        return None;
    }
    let [module, missing] = DEPENDS.groups(text)?;
    Some(Finding::new(ErrorClass::DependencyMissing).name(missing).module(module))
}

pub(super) fn external_dependency(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    let found = || Finding::new(ErrorClass::ExternalDependencyMissing);
    if case.is(&["MissingDependency"]) {
        return Some(found().name(LIBRARY.first(text)?));
    }
    let caused = case.chain[..case.index].iter().find(|cause| super::short(&cause.exception) == "MissingDependency");
    let [module, library] = NOT_MET.groups(text).filter(|_| case.is(&["UserError"]))?;
    let library = caused.and_then(|cause| LIBRARY.first(&cause.message)).unwrap_or(library);
    Some(found().name(library).module(module))
}
