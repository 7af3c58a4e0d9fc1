//! What is known of names: Python's own, the ORM's, and those that say what a method does.

/// Methods that hand on what they were called on, or a part of it: records, dictionaries, lists, texts.
pub(super) fn through(method: &str) -> bool {
    matches!(
        method,
        "sudo"
            | "with_context"
            | "with_company"
            | "with_user"
            | "with_env"
            | "with_prefetch"
            | "filtered"
            | "filtered_domain"
            | "mapped"
            | "sorted"
            | "grouped"
            | "browse"
            | "exists"
            | "ensure_one"
            | "union"
            | "concat"
            | "get"
            | "items"
            | "keys"
            | "values"
            | "pop"
            | "popitem"
            | "setdefault"
            | "update"
            | "append"
            | "extend"
            | "insert"
            | "remove"
            | "discard"
            | "add"
            | "index"
            | "count"
            | "sort"
            | "split"
            | "rsplit"
            | "splitlines"
            | "strip"
            | "lstrip"
            | "rstrip"
            | "lower"
            | "upper"
            | "title"
            | "replace"
            | "join"
            | "format"
            | "startswith"
            | "endswith"
            | "encode"
            | "decode"
            | "date"
            | "time"
            | "astimezone"
            | "isoformat"
            | "strftime"
            | "fromkeys"
            | "from_iterable"
            | "select"
            | "execute_query"
            | "execute"
            | "toggle_active"
    )
}

/// Functions of Python and of Odoo's tools that make something of their arguments.
pub(super) fn of_tools(function: &str) -> bool {
    function.starts_with(|c: char| c.is_ascii_uppercase())
        || matches!(
            function,
            "list"
                | "tuple"
                | "set"
                | "frozenset"
                | "dict"
                | "sorted"
                | "sum"
                | "any"
                | "all"
                | "zip"
                | "enumerate"
                | "reversed"
                | "map"
                | "filter"
                | "min"
                | "max"
                | "iter"
                | "next"
                | "len"
                | "str"
                | "int"
                | "float"
                | "bool"
                | "abs"
                | "round"
                | "isinstance"
                | "hasattr"
                | "getattr"
                | "repr"
                | "type"
                | "range"
                | "print"
                | "id"
                | "hash"
                | "frozendict"
                | "defaultdict"
                | "float_compare"
                | "float_is_zero"
                | "float_round"
                | "float_repr"
                | "super"
                | "groupby"
                | "_"
                | "_lt"
                | "partial"
                | "chain"
                | "formatLang"
                | "format_date"
                | "setattr"
                | "format_amount"
                | "is_html_empty"
                | "html2plaintext"
                | "clean_context"
        )
}

/// Modules that are called by their names.
pub(super) fn is_library(name: &str) -> bool {
    matches!(
        name,
        "re" | "json"
            | "itertools"
            | "functools"
            | "operator"
            | "math"
            | "os"
            | "time"
            | "datetime"
            | "base64"
            | "random"
            | "collections"
            | "tools"
            | "logging"
            | "_logger"
            | "psycopg2"
            | "lxml"
            | "etree"
            | "hashlib"
            | "pytz"
            | "babel"
            | "fields"
            | "api"
            | "werkzeug"
            | "requests"
            | "uuid"
            | "string"
            | "copy"
            | "date_utils"
            | "cr"
            | "env"
            | "date"
            | "calendar"
            | "markupsafe"
            | "ast"
            | "contextlib"
            | "warnings"
            | "threading"
            | "odoo"
            | "sql"
            | "html"
            | "textwrap"
            | "unicodedata"
            | "locale"
    )
}

/// How likely a method of this name is to be one that makes a value for others.
pub(super) fn gives(name: &str) -> f32 {
    let name = name.trim_start_matches('_');
    let starts = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
    if starts(&[
        "check",
        "assert",
        "ensure",
        "validate",
        "onchange",
        "log_",
        "unlink",
        "write",
        "message_post",
        "post_",
        "flush",
        "invalidate",
        "trigger",
        "modified",
    ]) {
        0.4
    } else if starts(&["is_", "has_", "can_", "should_", "must_"]) {
        0.6
    } else if starts(&[
        "get", "prepare", "compute_", "find", "search", "read", "default", "eval", "select", "where", "convert", "filter", "group",
        "create", "domain", "make", "build", "round",
    ]) {
        1.0
    } else {
        0.8
    }
}
