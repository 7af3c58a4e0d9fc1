//! What happens to users: access, missing records, messages, templates, code in the database, the machine.

use super::{Case, Finding, Rank};
use crate::domain::ErrorClass;
use crate::odoo::pattern::Pattern;

static IN_BRACKETS: Pattern = Pattern::new(r"\((\w+(?:\.\w+)+)\)");
// Who is in debug mode sees the records too: `Expense, Hotel (hr.expense: 4, company=A)`.
static RECORD_IN_BRACKETS: Pattern = Pattern::new(r"(?m)^\s*- [^\n]*\((\w+(?:\.\w+)+)[,:] ?[^)\n]*\)");
static PRIVATE: Pattern = Pattern::new(r"'([\w.]+)\.(_\w+)'");
static RECORD: Pattern = Pattern::new(r"\w+: ([\w.]+)\(\d");
static RULE_RECORDS: Pattern = Pattern::new(r"(?m)^\s*- [^\n]*\(\w+(?:\.\w+)*(?:[,:] ?[^)\n]*)?\)");
static RULE_WORDS: Pattern =
    Pattern::new(r"(?i)security restrictions, you are not allowed|record rule|top-secret|doesn't have '\w+' access|multi-company issue");
static FIELDS_REFUSED: Pattern = Pattern::new(r"(?i)enough rights to access the field|group security restrictions|access the fields? ");
static FIELDS_LISTED: Pattern = Pattern::new(r#"(?i)the fields? ["'“]?(\w+)["'”]?|Fields?: (\w+)"#);
static TEMPLATE_MISSING: Pattern = Pattern::new(r"Template not found: '?([\w.-]+)'?");
static WRAPPED_MODEL: Pattern = Pattern::new(r"(?m)Model: '[^'\n]*' \(([\w.]+)\)|Model: [^\n(]*\(([\w.]+)\)");
static WRAPPED_FIELD: Pattern = Pattern::new(r"(?m)field '[^'\n]*' \((\w+)\)|Field: [^\n(]*\((\w+)\)");
static FORBIDDEN: Pattern = Pattern::new(r"(?s)^(?:forbidden|Access to forbidden) (?:opcode\(s\) in .*: |name )'?([A-Z_a-z, ]+)'?\s*");
static RECORD_ATTRIBUTE: Pattern = Pattern::new(r"'(\w+(?:\.\w+)+)' object has no attribute '(\w+)'");
static QUOTED: Pattern = Pattern::new(r"'(\w+)'");
static TEMPLATE: Pattern = Pattern::new(r"(?m)^\s*Template: (\S+)");
static TEMPLATE_CAUSE: Pattern = Pattern::new(r"(?m)^(?:\s+|Error to render compiling AST\s+)(\w+(?:Error|Exception)\w*: [^\n]+)");
static OLD_TEMPLATE: Pattern = Pattern::new(r"(?m)^Template: (\S+)|template [`'](\S+?)[`']");
static INNER_NAME: Pattern = Pattern::new(r"name \\?'(\w+)\\?' is not defined");
static INNER: Pattern = Pattern::new(r"^(?:<class ')?(\w+)");

/// Exceptions that the machine or the network makes, and what they are about.
const MACHINE: [(&str, &str); 21] = [
    ("MemoryError", "memory"),
    ("TimeoutError", "timeout"),
    ("ReadTimeout", "timeout"),
    ("ConnectTimeout", "timeout"),
    ("Timeout", "timeout"),
    ("CpuTimeLimitExceeded", "timeout"),
    ("ConnectionError", "connection"),
    ("ConnectionRefusedError", "connection"),
    ("ConnectionResetError", "connection"),
    ("ConnectionAbortedError", "connection"),
    ("BrokenPipeError", "connection"),
    ("MaxRetryError", "connection"),
    ("NewConnectionError", "connection"),
    ("gaierror", "connection"),
    ("SSLError", "connection"),
    ("RemoteDisconnected", "connection"),
    ("MailDeliveryException", "mail"),
    ("SMTPServerDisconnected", "mail"),
    ("SMTPAuthenticationError", "mail"),
    ("SMTPRecipientsRefused", "mail"),
    ("SMTPException", "mail"),
];
/// The same by the number of the operating system.
const ERRNO: [(&str, &str); 7] = [
    ("[Errno 28]", "disk"),
    ("[Errno 30]", "disk"),
    ("[Errno 24]", "files"),
    ("[Errno 98]", "port"),
    ("[Errno 12]", "memory"),
    ("[Errno 104]", "connection"),
    ("[Errno 111]", "connection"),
];

pub(super) fn database_code(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    if let Some(code) = FORBIDDEN.first(text).filter(|_| case.is(&["ValueError", "NameError"])) {
        return Some(Finding::new(ErrorClass::DatabaseCode).sub("forbidden").name(code));
    }
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
    let by_cron = case.passes(&["_process_job", "_process_jobs", "_callback", "_run_job", "method_direct_trigger"]);
    Some(Finding::new(ErrorClass::DatabaseCode).sub(if by_cron { "cron" } else { "server_action" }).rank(rank).name(name))
}

pub(super) fn qweb(case: &Case<'_>) -> Option<Finding> {
    if !case.is(&["QWebError", "QWebException", "QWebCodeFound"]) {
        return None;
    }
    // Older ones print the trace of the cause inside their own text, so the rest of it stands after that exception.
    let after = case.chain.get(case.index + 1).map_or("", |next| next.message.as_str());
    let text = if case.message().contains("Template") || !after.contains("Template: ") { case.message() } else { after };
    let [old, older] = OLD_TEMPLATE.groups(text).unwrap_or_default();
    let template = TEMPLATE.first(text).unwrap_or(if old.is_empty() { older } else { old });
    let caused = case.chain[..case.index]
        .last()
        .map(|cause| format!("{}: {}", super::short(&cause.exception), cause.message.lines().next().unwrap_or_default()));
    let cause = TEMPLATE_CAUSE.first(text).map(str::to_owned).or(caused).unwrap_or_default();
    let sub = match cause.split(':').next().unwrap_or_default() {
        "NameError" => "name",
        "AttributeError" => "attribute",
        "KeyError" => "key",
        "TypeError" | "ValueError" | "ZeroDivisionError" => "value",
        "MissingError" => "template_missing",
        _ => "other",
    };
    let model = RECORD_ATTRIBUTE.groups(&cause);
    let [model, attribute] = model.unwrap_or_default();
    let key = if sub == "key" { QUOTED.first(&cause).unwrap_or_default() } else { attribute };
    // No frame tells which addon a template is of; its key does.
    let module = template.split_once('.').map_or("", |(module, _)| module);
    Some(Finding::new(ErrorClass::QwebRender).sub(sub).module(module).view(template).name(&cause).model(model).field(key))
}

pub(super) fn infrastructure(case: &Case<'_>) -> Option<Finding> {
    let (name, text) = (case.exception(), case.message());
    let by_errno = || {
        let os_error = case.is(&["OSError", "BlockingIOError", "IOError", "error"]);
        ERRNO.iter().filter(|_| os_error).find(|(number, _)| text.contains(number))
    };
    let (_, sub) = MACHINE.iter().find(|(known, _)| *known == name).or_else(by_errno)?;
    Some(Finding::new(ErrorClass::Infrastructure).sub(sub).name(name))
}

pub(super) fn said_no(case: &Case<'_>) -> Option<Finding> {
    let text = case.message();
    let user = |sub| Some(Finding::new(ErrorClass::UserMessage).sub(sub).rank(Rank::Message));
    match case.exception() {
        "AccessError" => Some(access(text)),
        "AccessDenied" => {
            let by_login = case.raised().frames.is_empty() || case.ran(&["_login", "authenticate", "_check_credentials", "login", "check"]);
            Some(Finding::new(ErrorClass::AccessDenied).sub(if by_login { "login" } else { "other" }).rank(Rank::Generic))
        }
        "SessionExpiredException" => Some(Finding::new(ErrorClass::AccessDenied).sub("session").rank(Rank::Generic)),
        "MissingError" => Some(match TEMPLATE_MISSING.first(text) {
            Some(template) => Finding::new(ErrorClass::QwebRender).sub("template_missing").view(template).xmlid(template),
            None => gone(RECORD.first(text).unwrap_or_default()),
        }),
        "ValidationError" => Some(
            refused_by_database(text).unwrap_or_else(|| Finding::new(ErrorClass::UserMessage).sub("validation_error").rank(Rank::Message)),
        ),
        "UserError" => user("user_error"),
        "RedirectWarning" => user("redirect_warning"),
        "except_orm" | "Warning" => user("other"),
        "NotFound" => http("not_found"),
        "BadRequest" => http(if text.contains("CSRF") { "csrf" } else { "bad_request" }),
        "MethodNotAllowed" => http("method"),
        _ => None,
    }
}

fn http(sub: &'static str) -> Option<Finding> {
    Some(Finding::new(ErrorClass::HttpRequest).sub(sub).rank(Rank::Generic))
}

fn gone(model: &str) -> Finding {
    Finding::new(ErrorClass::RecordMissing).sub("deleted").rank(Rank::Generic).model(model)
}

/// Access rights name the groups that may, record rules the records that may not; the texts are translated, their form is not.
fn access(text: &str) -> Finding {
    let found = |sub| Finding::new(ErrorClass::AccessDenied).sub(sub).rank(Rank::Generic);
    let model = IN_BRACKETS.first(text).or_else(|| RECORD_IN_BRACKETS.first(text)).unwrap_or_default();
    if let Some([model, method]) = PRIVATE.groups(text).filter(|_| model.is_empty()) {
        return found("private_method").model(model).method(method);
    }
    let first = text.lines().next().unwrap_or_default();
    let sub = match text {
        _ if FIELDS_REFUSED.is_match(text) => "field",
        _ if RULE_RECORDS.is_match(text) || RULE_WORDS.is_match(text) => "rule",
        _ if IN_BRACKETS.is_match(first) => "acl",
        _ => "other",
    };
    let field = FIELDS_LISTED.groups::<2>(text).filter(|_| sub == "field").map(|names| names.concat()).unwrap_or_default();
    found(sub).model(model).field(&field)
}

/// What PostgreSQL refused, as a user sees it.
fn refused_by_database(text: &str) -> Option<Finding> {
    let wrapped = text.starts_with("The operation cannot be completed") || text.starts_with("Missing required value");
    let [model_19, model_18] = WRAPPED_MODEL.groups(text).unwrap_or_default();
    let [field_19, field_18] = WRAPPED_FIELD.groups(text).unwrap_or_default();
    if !wrapped {
        return None;
    }
    let sub = match text {
        _ if text.contains("mandatory field") || text.contains("required value") => "not_null",
        _ if text.contains("another model requires") || text.contains("another model is using") => "foreign_key",
        _ if text.contains("unique") || text.contains("already exists") || text.contains("must be unique") => "unique",
        _ => "other",
    };
    Some(Finding::new(ErrorClass::DataConstraint).sub(sub).model(&[model_19, model_18].concat()).field(&[field_19, field_18].concat()))
}
