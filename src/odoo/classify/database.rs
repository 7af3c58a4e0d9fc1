//! What PostgreSQL refuses.

use super::{Case, Finding};
use crate::domain::ErrorClass;
use crate::odoo::pattern::Pattern;

static CONSTRAINT: Pattern = Pattern::new(r#"constraint "([^"\n]+)""#);
static COLUMN: Pattern = Pattern::new(r#"column "?([\w.]+)"? (?:of relation "(\w+)")?"#);
static RELATION: Pattern = Pattern::new(r#"(?:relation|table) "([^"\n]+)""#);
static NOT_THERE: Pattern = Pattern::new(r#"(?:column|relation) "?([\w.]+)"?(?: of relation "\w+")? does not exist"#);
// In other languages the words differ, the brackets do not.
static KEY: Pattern = Pattern::new(r"(?m)^\s*D[EÉ]T[A-Z]+\s?:[^\n(]*\((\w+)\)=\(");
static FROM: Pattern = Pattern::new(r#"(?i)\bfrom "?(\w+)"?"#);
static EMPTY_IN: Pattern = Pattern::new(r"(?i)\bin\s*\(\s*\)");
static NAMED: Pattern =
    Pattern::new(r#"^column (?:reference )?"?([\w.]+)"?|^(?:function|operator) ([^\n]+?) does not exist|for type (\w+):"#);
static QUALIFIED: Pattern = Pattern::new(r#""(\w+)"\."(\w+)""#);
static QUOTED: Pattern = Pattern::new(r#"["«»„“]\s?([\w.]+)\s?["«»“”]"#);
static DOTTED: Pattern = Pattern::new(r#"["']([a-z]\w*(?:\.\w+)+)["']"#);
static NEAR: Pattern = Pattern::new(r#"at or near ("[^\w\n]+")"#);

/// What is over by itself, and what it is about.
const PASSING: [(&str, &str); 17] = [
    ("SerializationFailure", "serialization"),
    ("TransactionRollbackError", "serialization"),
    ("LockNotAvailable", "lock"),
    ("DeadlockDetected", "deadlock"),
    ("QueryCanceled", "timeout"),
    ("QueryCanceledError", "timeout"),
    ("IdleInTransactionSessionTimeout", "timeout"),
    ("OperationalError", "connection"),
    ("InterfaceError", "connection"),
    ("AdminShutdown", "connection"),
    ("CrashShutdown", "connection"),
    ("TooManyConnections", "connection"),
    ("PoolError", "connection"),
    ("DiskFull", "disk"),
    ("OutOfMemory", "memory"),
    ("ReadOnlySqlTransaction", "read_only"),
    ("InsufficientPrivilege", "database"),
];
const VIOLATIONS: [(&str, &str); 8] = [
    ("NotNullViolation", "not_null"),
    ("UniqueViolation", "unique"),
    ("ForeignKeyViolation", "foreign_key"),
    ("CheckViolation", "check"),
    ("ExclusionViolation", "exclusion"),
    ("StringDataRightTruncation", "length"),
    ("NumericValueOutOfRange", "range"),
    ("IntegrityError", "other"),
];
const STATEMENTS: [(&str, &str); 12] = [
    ("SyntaxError", "syntax"),
    ("GroupingError", "group_by"),
    ("AmbiguousColumn", "ambiguous"),
    ("InvalidTextRepresentation", "type"),
    ("DatatypeMismatch", "type"),
    ("CannotCoerce", "type"),
    ("IndeterminateDatatype", "type"),
    ("UndefinedFunction", "function"),
    ("DuplicateColumn", "duplicate"),
    ("DuplicateTable", "duplicate"),
    ("InFailedSqlTransaction", "transaction_aborted"),
    ("ProgrammingError", "parameters"),
];

fn known(table: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == name).map(|(_, sub)| *sub)
}

pub(super) fn refused(case: &Case<'_>) -> Option<Finding> {
    let raised = case.raised();
    if !raised.exception.starts_with("psycopg") {
        return None;
    }
    let name = case.exception();
    Some(if let Some(sub) = known(&PASSING, name) {
        Finding::new(ErrorClass::Infrastructure).sub(sub).name(name)
    } else if let Some(sub) = known(&VIOLATIONS, name) {
        let found = constraint(&raised.message, sub);
        let named = found.object.model.as_deref().and_then(|guess| model_in(case, guess)).map(str::to_owned);
        match named {
            Some(model) => found.model(&model),
            None => found,
        }
    } else if matches!(name, "UndefinedColumn" | "UndefinedTable") {
        outdated(&raised.message, if name == "UndefinedTable" { "table" } else { "column" })
    } else {
        invalid(&raised.message, known(&STATEMENTS, name).unwrap_or("other"))
    })
}

/// What PostgreSQL said, when the exception's class is not known: the text after `ERROR:` of a `bad query` entry.
pub(super) fn of_text(message: &str) -> Finding {
    let passing = [
        ("could not serialize", "SerializationFailure"),
        ("deadlock detected", "DeadlockDetected"),
        ("could not obtain lock", "LockNotAvailable"),
    ];
    if let Some((_, name)) = passing.iter().find(|(words, _)| message.contains(words)) {
        Finding::new(ErrorClass::Infrastructure).sub(known(&PASSING, name).unwrap_or("other")).name(name)
    } else if message.contains(" violates ") {
        let kinds = [
            ("not-null", "not_null"),
            ("unique", "unique"),
            ("foreign key", "foreign_key"),
            ("check", "check"),
            ("exclusion", "exclusion"),
        ];
        constraint(message, kinds.iter().find(|(word, _)| message.contains(&format!("{word} constraint"))).map_or("other", |(_, sub)| sub))
    } else if NOT_THERE.is_match(message) {
        outdated(message, if message.starts_with("relation") { "table" } else { "column" })
    } else {
        invalid(message, SAID.iter().find(|(words, _)| message.contains(words)).map_or("other", |(_, sub)| sub))
    }
}

/// Words of PostgreSQL where the class of the exception is not known.
const SAID: [(&str, &str); 6] = [
    ("syntax error", "syntax"),
    ("GROUP BY", "group_by"),
    ("is ambiguous", "ambiguous"),
    ("invalid input syntax", "type"),
    ("function ", "function"),
    ("already exists", "duplicate"),
];

fn constraint(message: &str, sub: &'static str) -> Finding {
    // In every language the names are quoted, in the same order.
    let mut quoted = QUOTED.all(message.lines().next().unwrap_or_default());
    let [first, second] = [quoted.next().unwrap_or_default(), quoted.next().unwrap_or_default()];
    let (first_column, first_table, first_name) = match sub {
        "not_null" => (first, second, ""),
        "foreign_key" | "check" if !second.is_empty() => ("", first, second),
        _ => ("", "", first),
    };
    let name = CONSTRAINT.first(message).unwrap_or(first_name);
    let [column, table] = COLUMN.groups(message).unwrap_or([first_column, first_table]);
    let key = KEY.first(message).filter(|key| *key != "id").unwrap_or_default();
    let field = if column.is_empty() { key } else { column };
    let related = || RELATION.first(message).or(Some(first_table).filter(|table| !table.is_empty()));
    let table = Some(table).filter(|table| !table.is_empty()).or_else(related).or_else(|| table_of(name, field)).unwrap_or_default();
    Finding::new(ErrorClass::DataConstraint).sub(sub).field(field).name(name).model(&model_of(table))
}

/// The model of this table as the sources around the error write it: one with an underscore in its name is guessed wrong from the table.
fn model_in<'c>(case: &'c Case<'_>, guess: &str) -> Option<&'c str> {
    let same = |name: &&str| name.len() == guess.len() && name.replace('_', ".") == guess;
    let sources = case.chain.iter().flat_map(|raised| &raised.frames).map(|frame| frame.source.as_str());
    sources.flat_map(|source| DOTTED.all(source)).find(same).or_else(|| Some(super::parsed_record(case.chain).0).filter(same))
}

/// The table that a constraint's name starts with: the column stands after it.
fn table_of<'n>(constraint: &'n str, column: &str) -> Option<&'n str> {
    let table = match column {
        "" => return None,
        column => &constraint[..constraint.rfind(&format!("_{column}_"))?],
    };
    (!table.is_empty()).then_some(table)
}

fn outdated(message: &str, sub: &'static str) -> Finding {
    let name = NOT_THERE.first(message).unwrap_or_default();
    let found = Finding::new(ErrorClass::SchemaOutdated).sub(sub).name(name);
    if sub == "table" {
        return found.model(&model_of(name));
    }
    let (table, column) = name.rsplit_once('.').unwrap_or_default();
    let table = if table.is_empty() { FROM.first(message).unwrap_or_default() } else { table };
    found.field(if column.is_empty() { name } else { column }).model(&model_of(table))
}

fn invalid(message: &str, sub: &'static str) -> Finding {
    let first = message.lines().next().unwrap_or_default();
    let sub = if sub == "syntax" && EMPTY_IN.is_match(message) { "empty_in" } else { sub };
    let near = NEAR.first(first).map(|near| format!("near {near}"));
    // A word there may be a value that somebody typed, so it would make every occurrence another error.
    let syntax = || first.split_once(" at or near ").map(|(what, _)| what.to_owned());
    let named = || NAMED.groups(first).map(|[column, function, kind]| [column, function, kind].concat());
    let name = near.or_else(syntax).or_else(named);
    // The column that is quoted in the statement is the one at fault only where the error is about a column's type.
    let quoted = matches!(sub, "type" | "function").then(|| QUALIFIED.last_groups(message)).flatten();
    let dotted = NAMED.first(first).filter(|name| !name.is_empty()).map(|name| name.rsplit_once('.').unwrap_or(("", name)));
    let (table, column) = dotted.or(quoted).unwrap_or_default();
    Finding::new(ErrorClass::SqlInvalid).sub(sub).name(name.as_deref().unwrap_or_default()).field(column).model(&model_of(table))
}

/// Odoo names the table after the model; a model with an underscore in its name is guessed wrong.
pub(super) fn model_of(table: &str) -> String {
    table.replace('_', ".")
}
