//! What PostgreSQL refuses.

use super::{Case, Finding};
use crate::domain::ErrorClass;
use crate::odoo::pattern::Pattern;

static CONSTRAINT: Pattern = Pattern::new(r#"constraint "([^"\n]+)""#);
static COLUMN: Pattern = Pattern::new(r#"column "?([\w.]+)"? (?:of relation "(\w+)")?"#);
static RELATION: Pattern = Pattern::new(r#"(?:relation|table) "([^"\n]+)""#);
static NOT_THERE: Pattern = Pattern::new(r#"(?:column|relation) "?([\w.]+)"?(?: of relation "\w+")? does not exist"#);
static NEAR: Pattern = Pattern::new(r#"at or near ("[^\w\n]+")"#);

const PASSING: [&str; 16] = [
    "SerializationFailure",
    "LockNotAvailable",
    "DeadlockDetected",
    "TransactionRollbackError",
    "QueryCanceled",
    "OperationalError",
    "InterfaceError",
    "AdminShutdown",
    "DiskFull",
    "OutOfMemory",
    "TooManyConnections",
    "ReadOnlySqlTransaction",
    "PoolError",
    "InsufficientPrivilege",
    "IdleInTransactionSessionTimeout",
    "CrashShutdown",
];
const VIOLATIONS: [&str; 8] = [
    "NotNullViolation",
    "UniqueViolation",
    "ForeignKeyViolation",
    "CheckViolation",
    "ExclusionViolation",
    "IntegrityError",
    "StringDataRightTruncation",
    "NumericValueOutOfRange",
];

pub(super) fn refused(case: &Case<'_>) -> Option<Finding> {
    let raised = case.raised();
    if !raised.exception.starts_with("psycopg") {
        return None;
    }
    Some(match case.exception() {
        name if PASSING.contains(&name) => Finding::new(ErrorClass::Infrastructure).name(name),
        name if VIOLATIONS.contains(&name) => constraint(&raised.message),
        "UndefinedColumn" | "UndefinedTable" => outdated(&raised.message),
        _ => invalid(&raised.message),
    })
}

/// What PostgreSQL said, when the exception's class is not known: the text after `ERROR:` of a `bad query` entry.
pub(super) fn of_text(message: &str) -> Finding {
    if message.contains("could not serialize") || message.contains("deadlock detected") || message.contains("could not obtain lock") {
        Finding::new(ErrorClass::Infrastructure).name("SerializationFailure")
    } else if message.contains(" violates ") {
        constraint(message)
    } else if NOT_THERE.is_match(message) {
        outdated(message)
    } else {
        invalid(message)
    }
}

fn constraint(message: &str) -> Finding {
    let [column, table] = COLUMN.groups(message).unwrap_or_default();
    let table = if table.is_empty() { RELATION.first(message).unwrap_or_default() } else { table };
    let found = Finding::new(ErrorClass::DataConstraint).field(column).name(CONSTRAINT.first(message).unwrap_or_default());
    found.model(&model_of(table))
}

fn outdated(message: &str) -> Finding {
    Finding::new(ErrorClass::SchemaOutdated).name(NOT_THERE.first(message).unwrap_or_default())
}

fn invalid(message: &str) -> Finding {
    let first = message.lines().next().unwrap_or_default();
    let near = NEAR.first(first).map(|near| format!("near {near}"));
    // A word there may be a value that somebody typed, so it would make every occurrence another error.
    let syntax = || first.split_once(" at or near ").map(|(what, _)| what.to_owned());
    let name = near.or_else(syntax).or_else(|| COLUMN.first(first).map(str::to_owned));
    Finding::new(ErrorClass::SqlInvalid).name(name.as_deref().unwrap_or_default())
}

/// Odoo names the table after the model; a model with an underscore in its name is guessed wrong.
pub(super) fn model_of(table: &str) -> String {
    table.replace('_', ".")
}
