//! What was read out of a log: one error, with its class, its cause and the object it names.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Fingerprint, ModuleName, OdooVersion};

macro_rules! error_classes {
    ($($(#[$doc:meta])* $name:ident = $text:literal [$($sub:literal),* $(,)?]),+ $(,)?) => {
        /// The class of an error. The names are those of `docs/errors.md`; each is stored, so a name once given stays.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum ErrorClass {
            $($(#[$doc])* #[serde(rename = $text)] $name,)+
        }

        impl ErrorClass {
            /// Every class.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name in rows, answers and fingerprints.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// What is told apart within the class. As the name of the class, each is stored.
            pub const fn subclasses(self) -> &'static [&'static str] {
                match self {
                    $(Self::$name => &[$($sub),*],)+
                }
            }
        }
    };
}

error_classes! {
    /// An inheriting view names an anchor that its parent does not have (xpath or field).
    ViewAnchorMissing = "view_anchor_missing" ["xpath", "field", "element"],
    /// A view names a field that its Odoo model does not have.
    ViewUnknownField = "view_unknown_field" ["node", "expression"],
    /// `attrs` or `states` in a view, from Odoo 17 on.
    ViewAttrsRemoved = "view_attrs_removed" ["attrs_or_states"],
    /// A view whose root or type is `tree`, from Odoo 18 on.
    ViewTypeTree = "view_type_tree" ["root_tag"],
    /// A view that does not fit its schema; the reason stands in the warnings before the error.
    ViewInvalid = "view_invalid" ["attribute", "element", "expression", "other"],
    /// A button that names an action or method that does not exist.
    ViewInvalidAction = "view_invalid_action" ["missing", "private"],
    /// An external id that does not exist (yet).
    ExternalIdMissing = "external_id_missing" ["data", "menu", "runtime"],
    /// A record or call names a field that its Odoo model does not have.
    FieldInvalid = "field_invalid" ["record", "create", "write", "order", "read", "domain", "group_by", "aggregate", "lookup"],
    /// An Odoo model that is not in the registry.
    ModelMissing = "model_missing" ["inherit", "record", "environment", "remote"],
    /// A relational, related or computed field that points to what does not exist.
    FieldReferenceBroken = "field_reference_broken" ["comodel", "related", "depends", "inverse"],
    /// A module that the addon depends on is not there.
    DependencyMissing = "dependency_missing" ["not_available", "not_loaded", "loop"],
    /// A Python or system library that the addon needs is not there.
    ExternalDependencyMissing = "external_dependency_missing" ["python", "binary"],
    /// A data file of CSV could not be loaded.
    CsvInvalid = "csv_invalid" ["reference", "field", "value", "other"],
    /// New Odoo models without access rules.
    AccessRulesMissing = "access_rules_missing" ["no_rows"],
    /// The manifest lists a file that is not there.
    DataFileMissing = "data_file_missing" ["listed"],
    /// A data file is not well-formed XML.
    XmlSyntax = "xml_syntax" ["entity", "tag_mismatch", "attribute", "unclosed", "empty", "encoding", "other"],
    /// A data file is XML but not what Odoo's schema allows.
    XmlSchema = "xml_schema" ["extra_content", "missing_content", "attribute", "other"],
    /// A name that can no longer be imported.
    ImportName = "import_name" ["odoo", "addon", "library", "circular"],
    /// An import of the addon's own package that finds nothing.
    ImportOwnPackage = "import_own_package" ["package", "module"],
    /// Any other failing import.
    ImportModule = "import_module" ["odoo", "addon", "library"],
    /// Python that does not parse.
    PythonSyntax = "python_syntax" ["syntax", "indentation", "tab"],
    /// A Python name that is not defined.
    NameUndefined = "name_undefined" ["global", "local"],
    /// An attribute or method that does not exist.
    AttributeMissing = "attribute_missing" ["api", "odoo_model", "module", "read_only", "other"],
    /// A hook with the signature of an older Odoo.
    HookSignature = "hook_signature" ["pre_init", "post_init", "uninstall", "post_load"],
    /// A call with the wrong arguments.
    CallArguments = "call_arguments" ["unexpected", "missing", "too_many", "duplicate"],
    /// A method for one record was called on none or on several.
    ExpectedSingleton = "expected_singleton" ["several", "empty"],
    /// `_sql_constraints`, ignored from Odoo 19 on.
    SqlConstraintsIgnored = "sql_constraints_ignored" ["class_attribute"],
    /// A constraint or index that PostgreSQL refused when the module was loaded.
    SchemaConstraint = "schema_constraint" ["not_null", "unique", "foreign_key", "check", "exclusion", "column", "other"],
    /// The version of the manifest is for another Odoo series.
    ManifestVersion = "manifest_version" ["series"],
    /// A test whose assertion failed.
    TestFailure = "test_failure" ["equality", "truth", "membership", "comparison", "raises", "queries", "log", "other"],
    /// A statement that PostgreSQL refused as such.
    SqlInvalid = "sql_invalid" ["syntax", "empty_in", "group_by", "ambiguous", "type", "function", "duplicate", "transaction_aborted", "parameters", "other"],
    /// Data that breaks a constraint of the database.
    DataConstraint = "data_constraint" ["not_null", "unique", "foreign_key", "check", "exclusion", "length", "range", "other"],
    /// A column or table that the database does not have: mostly an upgrade that was not run.
    SchemaOutdated = "schema_outdated" ["column", "table"],
    /// A QWeb template that could not be rendered.
    QwebRender = "qweb_render" ["name", "attribute", "key", "value", "template_missing", "other"],
    /// Code kept in the database (server action, cron) that failed.
    DatabaseCode = "database_code" ["server_action", "cron", "forbidden"],
    /// Access rights or record rules said no.
    AccessDenied = "access_denied" ["acl", "rule", "field", "private_method", "login", "session", "other"],
    /// A record that is gone.
    RecordMissing = "record_missing" ["deleted"],
    /// What the user is told on purpose (`UserError`, `ValidationError`).
    UserMessage = "user_message" ["user_error", "validation_error", "redirect_warning", "constraint", "other"],
    /// Locks, timeouts, memory, network: not the code.
    Infrastructure = "infrastructure" ["serialization", "deadlock", "lock", "timeout", "memory", "disk", "files", "port", "connection", "mail", "read_only", "database", "other"],
    /// A field that cannot be searched, ordered or grouped by, because it is not stored.
    FieldNotStored = "field_not_stored" ["search", "order", "group_by", "sql"],
    /// A value that the field does not take.
    FieldValueInvalid = "field_value_invalid" ["selection", "number", "date", "reference", "file", "other"],
    /// A compute method that left records without a value.
    ComputeUnassigned = "compute_unassigned" ["unassigned"],
    /// A domain that is none.
    DomainInvalid = "domain_invalid" ["malformed", "item", "operator", "type"],
    /// `None` where a value was expected: mostly a method that does not return what it overrides.
    NoneValue = "none_value" ["attribute", "iteration", "item", "call", "operand", "other"],
    /// A key that a dictionary does not have.
    KeyMissing = "key_missing" ["record", "text", "other"],
    /// A position that a list or text does not have.
    IndexMissing = "index_missing" ["list", "tuple", "text", "other"],
    /// Python was given a value of another type.
    TypeMismatch = "type_mismatch" ["operand", "iteration", "item", "call", "unhashable", "comparison", "serialization", "other"],
    /// A value that cannot be read or used.
    ValueInvalid = "value_invalid" ["number", "date", "base64", "json", "encoding", "unpack", "other"],
    /// A calculation that has no result.
    Calculation = "calculation" ["zero_division", "overflow", "decimal"],
    /// Calls without an end.
    Recursion = "recursion" ["calls"],
    /// An assertion in the code, outside of tests.
    AssertionFailed = "assertion_failed" ["assertion"],
    /// A method that is to be written by whoever inherits it.
    NotImplemented = "not_implemented" ["method"],
    /// A test in which the code commits or rolls back the cursor itself.
    CursorInTest = "cursor_in_test" ["commit", "rollback"],
    /// A file that the running code cannot open.
    FileAccess = "file_access" ["missing", "permission", "other"],
    /// What an HTTP request asked for is not there or not well-formed.
    HttpRequest = "http_request" ["not_found", "bad_request", "method", "csrf", "other"],
    /// Anything else.
    Other = "other" [],
}

/// What is told apart within a class of errors: one of [`ErrorClass::subclasses`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Subclass(&'static str);

impl Subclass {
    /// The subclass of this name, or `None` if no class has one.
    pub fn new(name: &str) -> Option<Self> {
        ErrorClass::ALL.iter().flat_map(|class| class.subclasses()).find(|known| **known == name).copied().map(Self)
    }

    /// The name in answers.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl<'de> Deserialize<'de> for Subclass {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&name).ok_or_else(|| serde::de::Error::custom(format!("{name:?} is no subclass of any class of errors")))
    }
}

/// Who writes the addon that an error points to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// Odoo itself, with its enterprise addons.
    Core,
    /// The Odoo Community Association.
    Oca,
    /// Whoever runs this Odoo.
    Custom,
    /// The log does not tell.
    #[default]
    Unknown,
}

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Sources of an addon.
    Code,
    /// Records in the database.
    Data,
    /// Settings, missing modules or libraries.
    Configuration,
    /// New code on a database that was not upgraded.
    MissingUpgrade,
    /// The machine or the network.
    Infrastructure,
    /// Nobody's: a message meant for the user. Counted, not fixed.
    User,
}

/// A place in a source file, relative to its addons folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Location {
    /// `module/path/file.py`. Not a `RelPath`: it comes from a log and is only ever shown and compared.
    pub path: String,
    /// Line, counted from 1, if known.
    pub line: Option<u32>,
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.path),
            None => f.write_str(&self.path),
        }
    }
}

/// One frame of a traceback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The file as the log has it.
    pub file: String,
    /// Line, counted from 1.
    pub line: u32,
    /// Function or `<module>`; empty where the log has none.
    pub function: String,
    /// The source line, if printed.
    pub source: String,
}

/// One exception of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raised {
    /// The class as printed: `odoo.tools.convert.ParseError`.
    pub exception: String,
    /// Everything after the colon, several lines if it has them.
    pub message: String,
    /// Its frames, outermost first.
    pub frames: Vec<Frame>,
}

/// What the error names, as far as it names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Odoo model: `res.partner`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Field of that model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Method or function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// View name or key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<String>,
    /// External id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xmlid: Option<String>,
    /// Anything else with a name: an import, a library, an anchor, a constraint, a test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// One error, read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorReport {
    /// The same for every occurrence of the same error.
    pub fingerprint: Fingerprint,
    /// Its class.
    pub class: ErrorClass,
    /// What it is within its class. Reports stored before there were subclasses have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subclass: Option<Subclass>,
    /// Whose fault it is.
    pub fault: Fault,
    /// One line for people: the exception and the first line of what it says.
    pub title: String,
    /// When the log says it happened.
    pub occurred_at: Option<DateTime<Utc>>,
    /// Log level: `ERROR`, `CRITICAL`, `WARNING`.
    pub level: String,
    /// Python logger.
    pub logger: String,
    /// Database, or `None` for `?`.
    pub database: Option<String>,
    /// The series that the log names, if it does.
    pub odoo_version: Option<OdooVersion>,
    /// The addon whose sources the error points to.
    pub module: Option<ModuleName>,
    /// Who writes that addon.
    #[serde(default)]
    pub owner: Owner,
    /// Where in that addon.
    pub location: Option<Location>,
    /// What it names.
    pub object: ObjectRef,
    /// The exceptions, in the order in which they were printed: the cause first.
    pub chain: Vec<Raised>,
    /// The text, secrets masked, cut to a bounded length.
    pub text: String,
}

impl ErrorReport {
    /// Whether a change of sources is what it takes, so that a job is worth its cost.
    pub fn is_actionable(&self) -> bool {
        // A dependency that is not there may be a slip in the manifest.
        (self.fault == Fault::Code || self.class == ErrorClass::DependencyMissing) && self.module.is_some() && self.owner != Owner::Core
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_and_subclasses_have_names_of_their_own() {
        let mut classes: Vec<_> = ErrorClass::ALL.iter().map(|class| class.as_str()).collect();
        classes.sort_unstable();
        assert!(classes.windows(2).all(|pair| pair[0] != pair[1]));
        for class in ErrorClass::ALL {
            let subclasses = class.subclasses();
            assert!(subclasses.iter().enumerate().all(|(n, name)| !subclasses[..n].contains(name)), "{}", class.as_str());
            assert!(subclasses.iter().all(|name| Subclass::new(name).is_some_and(|found| found.as_str() == *name)));
        }
    }

    #[test]
    fn unknown_subclass_is_refused() {
        assert_eq!(serde_json::from_str::<Subclass>("\"xpath\"").unwrap().as_str(), "xpath");
        assert!(serde_json::from_str::<Subclass>("\"xpat\"").unwrap_err().to_string().contains("\"xpat\""));
    }
}
