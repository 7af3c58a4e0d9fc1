//! What happens to users: access, missing records, messages, templates, code in the database, the machine.

use super::{Case, Finding, Rank};
use crate::domain::ErrorClass;
use crate::odoo::pattern::Pattern;

static IN_BRACKETS: Pattern = Pattern::new(r"\((\w+(?:\.\w+)+)\)");
static PRIVATE: Pattern = Pattern::new(r"'([\w.]+)\.(_\w+)'");
static RECORD: Pattern = Pattern::new(r"\w+: ([\w.]+)\(\d");
static TEMPLATE: Pattern = Pattern::new(r"(?m)^\s*Template: (\S+)");
static TEMPLATE_CAUSE: Pattern = Pattern::new(r"(?m)^\s+(\w+(?:Error|Exception)\w*: [^\n]+)");
static OLD_TEMPLATE: Pattern = Pattern::new(r"(?m)^Template: (\S+)|template [`'](\S+?)[`']");
static INNER_NAME: Pattern = Pattern::new(r"name \\?'(\w+)\\?' is not defined");
static INNER: Pattern = Pattern::new(r"^(?:<class ')?(\w+)");

const MACHINE: [&str; 17] = [
    "MemoryError",
    "TimeoutError",
    "ConnectionError",
    "ConnectionRefusedError",
    "ConnectionResetError",
    "ConnectionAbortedError",
    "BrokenPipeError",
    "ReadTimeout",
    "ConnectTimeout",
    "Timeout",
    "MaxRetryError",
    "NewConnectionError",
    "gaierror",
    "MailDeliveryException",
    "SMTPServerDisconnected",
    "CpuTimeLimitExceeded",
    "SSLError",
];

pub(super) fn database_code(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    if !case.is(&["ValueError"]) || !text.contains(" while evaluating") {
        return None;
    }
    // Where the evaluated code calls a method that fails, the method is at fault: frames of real files below `File ""`.
    let below = |frames: &[crate::domain::Frame]| {
        let code = frames.iter().position(|frame| matches!(frame.file.as_str(), "" | "<string>") || frame.file.starts_with("ir.actions"));
        code.is_some_and(|n| n + 1 < frames.len())
    };
    let rank = if case.chain[..case.index].iter().any(|cause| below(&cause.frames)) { Rank::Message } else { Rank::Specific };
    let name = INNER_NAME.first(text).or_else(|| INNER.first(text)).unwrap_or_default();
    Some(Finding::new(ErrorClass::DatabaseCode).rank(rank).name(name))
}

pub(super) fn qweb(case: &Case<'_>) -> Option<Finding> {
    if !case.is(&["QWebError", "QWebException", "QWebCodeFound"]) {
        return None;
    }
    let text = case.message();
    let [old, older] = OLD_TEMPLATE.groups(text).unwrap_or_default();
    let template = TEMPLATE.first(text).unwrap_or(if old.is_empty() { older } else { old });
    Some(Finding::new(ErrorClass::QwebRender).view(template).name(TEMPLATE_CAUSE.first(text).unwrap_or_default()))
}

pub(super) fn infrastructure(case: &Case<'_>) -> Option<Finding> {
    let os_error = case.is(&["OSError", "BlockingIOError"])
        && ["[Errno 28]", "[Errno 24]", "[Errno 98]", "[Errno 12]"].iter().any(|code| case.message().contains(code));
    (MACHINE.contains(&case.exception()) || os_error).then(|| Finding::new(ErrorClass::Infrastructure).name(case.exception()))
}

pub(super) fn said_no(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    let model = IN_BRACKETS.first(text).unwrap_or_default();
    Some(match case.exception() {
        "AccessError" | "AccessDenied" => {
            let found = Finding::new(ErrorClass::AccessDenied).rank(Rank::Generic);
            match PRIVATE.groups(text).filter(|_| model.is_empty()) {
                Some([model, method]) => found.model(model).method(method),
                None => found.model(model),
            }
        }
        "MissingError" => Finding::new(ErrorClass::RecordMissing).rank(Rank::Generic).model(RECORD.first(text).unwrap_or_default()),
        "UserError" | "ValidationError" | "RedirectWarning" | "except_orm" | "Warning" => {
            Finding::new(ErrorClass::UserMessage).rank(Rank::Message)
        }
        _ => return None,
    })
}
