//! What code of an addon may name, and what it may not.

use std::sync::LazyLock;

use regex::Regex;

/// Built-in functions that lead out of ordinary code.
pub(super) const BUILTINS: [&str; 16] = [
    "globals",
    "locals",
    "vars",
    "eval",
    "exec",
    "compile",
    "open",
    "__import__",
    "breakpoint",
    "input",
    "exit",
    "quit",
    "memoryview",
    "SystemExit",
    "KeyboardInterrupt",
    "GeneratorExit",
];
/// Attributes of frames, functions and code.
pub(super) const FRAMES: [&str; 15] = [
    "f_globals",
    "f_locals",
    "f_back",
    "f_code",
    "f_builtins",
    "tb_frame",
    "tb_next",
    "gi_frame",
    "gi_code",
    "cr_frame",
    "func_globals",
    "func_code",
    "co_code",
    "mro",
    "cell_contents",
];
/// Attributes that lead to the test runner, the process or the environment.
pub(super) const REACHING: [&str; 30] = [
    "_patch_method",
    "_revert_method",
    "_register_hook",
    "in_test_mode",
    "test_enable",
    "test_tags",
    "testing",
    "current_test",
    "environ",
    "getenv",
    "gethostname",
    "getuid",
    "geteuid",
    "getlogin",
    "getpid",
    "_exit",
    "abort",
    "popen",
    "system",
    "modules",
    "settrace",
    "setprofile",
    "addHandler",
    "removeHandler",
    "setLevel",
    "addFilter",
    "currentframe",
    "_assertion_report",
    "enter_test_mode",
    "leave_test_mode",
];
/// Built-in types.
pub(super) const TYPES: [&str; 16] = [
    "int",
    "str",
    "float",
    "bool",
    "list",
    "dict",
    "tuple",
    "set",
    "frozenset",
    "bytes",
    "bytearray",
    "complex",
    "type",
    "BaseException",
    "SystemExit",
    "memoryview",
];

/// Parts of the standard library and of what Odoo brings that only compute.
const LIBRARIES: [&str; 46] = [
    "datetime",
    "re",
    "math",
    "json",
    "logging",
    "collections",
    "itertools",
    "functools",
    "base64",
    "decimal",
    "operator",
    "string",
    "textwrap",
    "uuid",
    "hashlib",
    "html",
    "urllib.parse",
    "typing",
    "dateutil",
    "pytz",
    "lxml",
    "babel",
    "markupsafe",
    "werkzeug.exceptions",
    "werkzeug.urls",
    "werkzeug.utils",
    "psycopg2",
    "calendar",
    "time",
    "copy",
    "enum",
    "dataclasses",
    "abc",
    "contextlib",
    "io",
    "csv",
    "random",
    "secrets",
    "statistics",
    "fractions",
    "numbers",
    "unicodedata",
    "zoneinfo",
    "binascii",
    "__future__",
    "stdnum",
];
/// Parts of Odoo that addons are made of.
const ODOO: [&str; 12] = [
    "odoo.api",
    "odoo.fields",
    "odoo.models",
    "odoo.exceptions",
    "odoo.http",
    "odoo.tools",
    "odoo.addons",
    "odoo.osv",
    "odoo.orm.domains",
    "odoo.release",
    "odoo._",
    "odoo.SUPERUSER_ID",
];
/// Parts of those that lead elsewhere.
const NEVER: [&str; 10] = [
    "odoo.tools.config",
    "odoo.tools.safe_eval",
    "odoo.tools.profiler",
    "odoo.tools.cloc",
    "odoo.tools.convert",
    "logging.config",
    "logging.handlers",
    "odoo.tools.misc.config",
    "functools.singledispatch",
    "io.open",
];
/// What may stand above a function.
const DECORATORS: [&str; 17] = [
    "property",
    "staticmethod",
    "classmethod",
    "tagged",
    "users",
    "contextmanager",
    "contextlib.contextmanager",
    "wraps",
    "functools.wraps",
    "lru_cache",
    "functools.lru_cache",
    "route",
    "ormcache",
    "tools.ormcache",
    "functools.cached_property",
    "cached_property",
    "lazy_property",
];

/// Whether a module, or a name of it, may be imported.
pub(super) fn may_be_imported(full: &str, is_from: bool) -> bool {
    let lists =
        |names: &[&str]| names.iter().any(|name| full == *name || full.strip_prefix(*name).is_some_and(|rest| rest.starts_with('.')));
    if lists(&NEVER) || full.split('.').any(|part| matches!(part, "tests" | "unittest" | "sql_db" | "service" | "cli")) {
        return false;
    }
    // `import odoo` alone gives everything.
    let is_bare = full == "odoo" && is_from;
    is_bare || lists(&ODOO) || lists(&LIBRARIES)
}

/// Whether a decorator is one of those that addons use.
pub(super) fn may_decorate(target: &str) -> bool {
    let last = target.rsplit('.').next().unwrap_or(target);
    target.starts_with("api.")
        || DECORATORS.contains(&target)
        || matches!(
            target,
            "http.route" | "odoo.api.model" | "tools.ormcache_context" | "ormcache_context" | "tools.lazy_property" | "tools.conditional"
        )
        || matches!(last, "setter" | "deleter")
}

fn pattern(text: &str) -> Option<Regex> {
    Regex::new(text).ok()
}

/// Whether SQL touches the tables in which Odoo keeps modules, models, users and groups.
pub(super) fn touches_own_tables(text: &str) -> bool {
    static SQL: LazyLock<Option<Regex>> = LazyLock::new(|| {
        pattern(
            r"(?is)\b(?:select|insert|update|delete|truncate|alter|drop|copy|create)\b.*\b(?:ir_module\w*|ir_model\w*|res_users\w*|res_groups\w*|ir_rule\w*|ir_config_parameter)\b",
        )
    });
    SQL.as_ref().is_none_or(|pattern| pattern.is_match(text))
}

/// Whether a text reads like what Odoo itself says of tests.
pub(super) fn looks_like_a_test_log(text: &str) -> bool {
    static LOG: LazyLock<Option<Regex>> = LazyLock::new(|| {
        pattern(
            r"(?i)failed,.*error\(?s?\)?.*of .*tests|\bof \S+ tests\b|\btests? in [\d%{]|\bran \S+ tests?\b|\bpost-tests?\b|\bstarting \w+\.test_|modules loaded|\bodoo\.tests\b|\bat_install\b|\bcurrent-tests?\b",
        )
    });
    LOG.as_ref().is_none_or(|pattern| pattern.is_match(text))
}
