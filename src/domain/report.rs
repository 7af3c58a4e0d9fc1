//! What was read out of a log: one error, with its class, its cause and the object it names.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Fingerprint, ModuleName, OdooVersion};

macro_rules! error_classes {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
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
        }
    };
}

error_classes! {
    /// An inheriting view names an anchor that its parent does not have (xpath or field).
    ViewAnchorMissing = "view_anchor_missing",
    /// A view names a field that its Odoo model does not have.
    ViewUnknownField = "view_unknown_field",
    /// `attrs` or `states` in a view, from Odoo 17 on.
    ViewAttrsRemoved = "view_attrs_removed",
    /// A view whose root or type is `tree`, from Odoo 18 on.
    ViewTypeTree = "view_type_tree",
    /// A view that does not fit its schema; the reason stands in the warnings before the error.
    ViewInvalid = "view_invalid",
    /// A button that names an action or method that does not exist.
    ViewInvalidAction = "view_invalid_action",
    /// An external id that does not exist (yet).
    ExternalIdMissing = "external_id_missing",
    /// A record or call names a field that its Odoo model does not have.
    FieldInvalid = "field_invalid",
    /// An Odoo model that is not in the registry.
    ModelMissing = "model_missing",
    /// A relational, related or computed field that points to what does not exist.
    FieldReferenceBroken = "field_reference_broken",
    /// A module that the addon depends on is not there.
    DependencyMissing = "dependency_missing",
    /// A Python or system library that the addon needs is not there.
    ExternalDependencyMissing = "external_dependency_missing",
    /// A data file of CSV could not be loaded.
    CsvInvalid = "csv_invalid",
    /// New Odoo models without access rules.
    AccessRulesMissing = "access_rules_missing",
    /// The manifest lists a file that is not there.
    DataFileMissing = "data_file_missing",
    /// A data file is not well-formed XML.
    XmlSyntax = "xml_syntax",
    /// A data file is XML but not what Odoo's schema allows.
    XmlSchema = "xml_schema",
    /// A name that can no longer be imported.
    ImportName = "import_name",
    /// An import of the addon's own package that finds nothing.
    ImportOwnPackage = "import_own_package",
    /// Any other failing import.
    ImportModule = "import_module",
    /// Python that does not parse.
    PythonSyntax = "python_syntax",
    /// A Python name that is not defined.
    NameUndefined = "name_undefined",
    /// An attribute or method that does not exist.
    AttributeMissing = "attribute_missing",
    /// A hook with the signature of an older Odoo.
    HookSignature = "hook_signature",
    /// A call with the wrong arguments.
    CallArguments = "call_arguments",
    /// A method for one record was called on none or on several.
    ExpectedSingleton = "expected_singleton",
    /// `_sql_constraints`, ignored from Odoo 19 on.
    SqlConstraintsIgnored = "sql_constraints_ignored",
    /// A constraint or index that PostgreSQL refused when the module was loaded.
    SchemaConstraint = "schema_constraint",
    /// The version of the manifest is for another Odoo series.
    ManifestVersion = "manifest_version",
    /// A test whose assertion failed.
    TestFailure = "test_failure",
    /// A statement that PostgreSQL refused as such.
    SqlInvalid = "sql_invalid",
    /// Data that breaks a constraint of the database.
    DataConstraint = "data_constraint",
    /// A column or table that the database does not have: mostly an upgrade that was not run.
    SchemaOutdated = "schema_outdated",
    /// A QWeb template that could not be rendered.
    QwebRender = "qweb_render",
    /// Code kept in the database (server action, cron) that failed.
    DatabaseCode = "database_code",
    /// Access rights or record rules said no.
    AccessDenied = "access_denied",
    /// A record that is gone.
    RecordMissing = "record_missing",
    /// What the user is told on purpose (`UserError`, `ValidationError`).
    UserMessage = "user_message",
    /// Locks, timeouts, memory, network: not the code.
    Infrastructure = "infrastructure",
    /// Anything else.
    Other = "other",
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
        self.fault == Fault::Code && self.module.is_some()
    }
}
