//! What: a well-known name that a file uses without importing it is imported.
//!
//! Why: Python finds it missing only when the line runs.
//! Before: `raise UserError(…)` without an import. After: `from odoo.exceptions import UserError` among the imports.
//! Since: any Odoo.

use regex::Regex;
use tree_sitter::Node;

use super::edit::imports::{Wanted, add};
use super::edit::python::{Source, field};
use super::edit::scopes::unbound;
use super::edit::{Edit, apply};
use super::{Case, Proposal, Rule, change, proposal};
use crate::domain::ErrorClass;

/// The rule. The text says enough, whatever the class.
pub(super) const RULE: Rule = Rule { name: "missing_import", classes: ErrorClass::ALL, since: 0, propose };

/// Names by the module that they are imported from.
const FROM: &[(&str, &[&str])] = &[
    ("odoo", &["_", "_lt", "Command", "api", "exceptions", "fields", "http", "models", "release", "tools"]),
    ("odoo.exceptions", &["AccessDenied", "AccessError", "CacheMiss", "MissingError", "RedirectWarning", "UserError", "ValidationError"]),
    ("odoo.http", &["Controller", "Response", "content_disposition", "request", "route"]),
    ("odoo.tests", &["Form", "HttpCase", "TransactionCase", "new_test_user", "users"]),
    ("odoo.tests.common", &["BaseCase", "RecordCapturer"]),
    (
        "odoo.tools",
        &[
            "DEFAULT_SERVER_DATETIME_FORMAT",
            "DEFAULT_SERVER_DATE_FORMAT",
            "SQL",
            "OrderedSet",
            "config",
            "date_utils",
            "email_normalize",
            "email_split",
            "file_open",
            "float_compare",
            "float_is_zero",
            "float_repr",
            "float_round",
            "format_amount",
            "format_date",
            "format_datetime",
            "format_duration",
            "frozendict",
            "html2plaintext",
            "html_sanitize",
            "is_html_empty",
            "ormcache",
            "plaintext2html",
            "split_every",
            "sql",
            "topological_sort",
        ],
    ),
    ("odoo.tools.misc", &["formatLang", "get_lang", "clean_context", "file_path", "str2bool", "unique"]),
    ("odoo.tools.safe_eval", &["safe_eval", "test_python_expr"]),
    ("odoo.tools.translate", &["LazyTranslate", "html_translate", "xml_translate"]),
    ("odoo.tools.image", &["image_data_uri", "image_process"]),
    ("odoo.modules.registry", &["Registry"]),
    ("collections", &["Counter", "OrderedDict", "defaultdict", "deque", "namedtuple"]),
    ("contextlib", &["closing", "contextmanager", "nullcontext", "suppress"]),
    ("copy", &["deepcopy"]),
    ("datetime", &["timedelta", "timezone"]),
    ("dateutil", &["rrule"]),
    ("dateutil.relativedelta", &["relativedelta"]),
    ("decimal", &["Decimal"]),
    ("freezegun", &["freeze_time"]),
    ("functools", &["partial", "reduce", "wraps"]),
    ("io", &["BytesIO", "StringIO"]),
    ("itertools", &["chain", "product", "zip_longest"]),
    ("lxml", &["etree"]),
    ("lxml.builder", &["E"]),
    ("markupsafe", &["Markup"]),
    ("operator", &["attrgetter", "itemgetter", "methodcaller"]),
    ("pathlib", &["Path"]),
    ("psycopg2", &["IntegrityError", "OperationalError"]),
    ("psycopg2.extensions", &["AsIs"]),
    ("textwrap", &["dedent"]),
    ("urllib.parse", &["parse_qs", "quote_plus", "unquote", "urlencode", "urlparse", "urlsplit"]),
    ("werkzeug.exceptions", &["BadRequest", "Forbidden", "NotFound"]),
    ("werkzeug.urls", &["url_encode", "url_quote"]),
];

/// Modules that are imported whole.
const MODULES: &[&str] = &[
    "ast",
    "babel",
    "base64",
    "calendar",
    "codecs",
    "collections",
    "contextlib",
    "copy",
    "csv",
    "functools",
    "hashlib",
    "hmac",
    "io",
    "itertools",
    "json",
    "logging",
    "math",
    "mimetypes",
    "odoo",
    "operator",
    "os",
    "pprint",
    "psycopg2",
    "pytz",
    "random",
    "re",
    "requests",
    "secrets",
    "shutil",
    "string",
    "sys",
    "tempfile",
    "threading",
    "traceback",
    "unicodedata",
    "uuid",
    "warnings",
    "werkzeug",
    "zipfile",
];

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let Some(name) = reported(&case.report.text) else { return Vec::new() };
    let mut changes = Vec::new();
    let mut hit = false;
    for (path, text) in case.addon.texts("py") {
        let Some(source) = Source::parse(text) else { continue };
        let names = unbound(&source);
        let mut edits = Vec::new();
        let mut wanted: Vec<Wanted<'_>> = Vec::new();
        for missing in &names {
            match import_of(&source, missing, case.version.major()) {
                Some(one) => wanted.push(one),
                None if *missing == "_logger" => {
                    if !names.contains("logging") && source.all("import_statement").all(|node| source.of(node) != "import logging") {
                        wanted.push(Wanted::Module("logging"));
                    }
                    edits.extend(logger(&source));
                }
                None => continue,
            }
            hit |= *missing == name;
        }
        edits.extend(add(&source, &wanted));
        if let Some(after) = apply(text, joined(edits)) {
            changes.push(change(path, text, after));
        }
    }
    if !hit {
        return Vec::new();
    }
    proposal(format!("{name} is used without being imported: the import is added."), changes)
}

/// The name that Python did not find.
fn reported(text: &str) -> Option<String> {
    let pattern = Regex::new(r"NameError: name '(\w+)' is not defined").ok()?;
    Some(pattern.captures(text)?.get(1)?.as_str().to_owned())
}

fn import_of(source: &Source<'_>, name: &str, major: u8) -> Option<Wanted<'static>> {
    match name {
        "Domain" if major >= 19 => return Some(Wanted::Name("odoo.fields", "Domain")),
        "expression" if major < 19 => return Some(Wanted::Name("odoo.osv", "expression")),
        "date" => return Some(Wanted::Name("datetime", "date")),
        // The module and its class have one name: what is asked of it tells them apart.
        "datetime" if asks(source, "datetime", &["datetime", "date", "timedelta", "time", "timezone"]) => {
            return Some(Wanted::Module("datetime"));
        }
        "datetime" => return Some(Wanted::Name("datetime", "datetime")),
        "time" if asks(source, "time", &["time", "sleep", "strftime", "perf_counter", "monotonic", "mktime", "localtime"]) => {
            return Some(Wanted::Module("time"));
        }
        "time" => return Some(Wanted::Name("datetime", "time")),
        _ => {}
    }
    let from = FROM.iter().find_map(|(module, names)| names.iter().find(|known| **known == name).map(|known| Wanted::Name(module, known)));
    from.or_else(|| MODULES.iter().find(|known| **known == name).map(|module| Wanted::Module(module)))
}

/// Whether one of these attributes of the name is used.
fn asks(source: &Source<'_>, name: &str, attributes: &[&str]) -> bool {
    let part = |node: Node<'_>, role: &str| field(node, role).map(|part| source.of(part)).unwrap_or_default();
    source.all("attribute").any(|node| part(node, "object") == name && attributes.contains(&part(node, "attribute")))
}

/// The module's logger, behind the imports.
fn logger(source: &Source<'_>) -> Option<Edit> {
    let mut cursor = source.root().walk();
    let imports = source.root().named_children(&mut cursor).filter(|node| node.kind().contains("import"));
    let end = imports.last()?.end_byte();
    Some(Edit::new(end..end, "\n\n_logger = logging.getLogger(__name__)"))
}

/// Two insertions at one place become one: imports first.
fn joined(edits: Vec<Edit>) -> Vec<Edit> {
    let mut joined: Vec<Edit> = Vec::new();
    for edit in edits.into_iter().rev() {
        match joined.iter_mut().find(|other| other.range == edit.range && edit.range.is_empty()) {
            Some(other) => other.text.push_str(&edit.text),
            None => joined.push(edit),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{addon, candidates, first_diff, fixture, mended_file};

    const CLASS: ErrorClass = ErrorClass::NameUndefined;

    fn after(name: &str, text: &str) -> Option<String> {
        mended_file(&[("a.py", text)], "a.py", CLASS, &format!("NameError: name '{name}' is not defined"))
    }

    #[test]
    fn whole_addon_follows() {
        insta::assert_snapshot!(first_diff(
            &fixture("missing_import", "everything"),
            CLASS,
            "NameError: name 'UserError' is not defined. Did you mean: 'KeyError'?"
        ));
    }

    #[test]
    fn module_and_class_of_one_name() {
        assert_eq!(after("datetime", "datetime.datetime.now()\n").unwrap(), "import datetime\n\ndatetime.datetime.now()\n");
        assert_eq!(after("datetime", "datetime.now()\n").unwrap(), "from datetime import datetime\n\ndatetime.now()\n");
        assert_eq!(after("time", "time.sleep(1)\n").unwrap(), "import time\n\ntime.sleep(1)\n");
        let field = "from odoo import fields\n\n\nclass A:\n    date = fields.Date()\n\n    def f(self):\n        return date.today()\n";
        assert!(after("date", field).unwrap().starts_with("from datetime import date\n\nfrom odoo import fields\n"));
    }

    #[test]
    fn logger_is_made() {
        let before = "from odoo import models\n\n\nclass A(models.Model):\n    def f(self):\n        _logger.info('x')\n";
        let after = after("_logger", before).unwrap();
        assert!(
            after.starts_with("import logging\n\nfrom odoo import models\n\n_logger = logging.getLogger(__name__)\n\n\nclass"),
            "{after}"
        );
        let before = "import logging\n\nx = _logger\n";
        assert_eq!(
            super::tests::after("_logger", before).unwrap(),
            "import logging\n\n_logger = logging.getLogger(__name__)\n\nx = _logger\n"
        );
    }

    #[test]
    fn unknown_and_bound_names_are_left() {
        assert_eq!(after("zzz", "zzz\n"), None);
        assert_eq!(after("UserError", "from x import UserError\nUserError\n"), None);
        assert!(candidates(&addon(&[("a.py", "UserError\n")]), CLASS, "name 'zzz' is not defined").is_empty());
    }
}
