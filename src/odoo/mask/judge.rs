//! Whether a value that stands after the name of a secret is one. What a person would read as a word, a label or code stays.

use super::keywords::Kind;
use super::name::Name;

/// Words that stand where a secret would and are none, in the languages in which Odoo is run most.
const WORDS: &[&str] = &[
    "none",
    "null",
    "nil",
    "true",
    "false",
    "yes",
    "no",
    "on",
    "off",
    "undefined",
    "nan",
    "n/a",
    "str",
    "string",
    "bytes",
    "int",
    "integer",
    "bool",
    "boolean",
    "float",
    "text",
    "char",
    "varchar",
    "object",
    "dict",
    "list",
    "any",
    "optional",
    "required",
    "missing",
    "invalid",
    "valid",
    "expired",
    "incorrect",
    "wrong",
    "empty",
    "unset",
    "default",
    "is",
    "are",
    "the",
    "a",
    "an",
    "must",
    "not",
    "was",
    "were",
    "has",
    "have",
    "for",
    "to",
    "and",
    "or",
    "of",
    "in",
    "can",
    "should",
    "field",
    "value",
    "values",
    "error",
    "errors",
    "failed",
    "failure",
    "denied",
    "access",
    "authentication",
    "auth",
    "reset",
    "change",
    "changed",
    "updated",
    "too",
    "contains",
    "cannot",
    "could",
    "do",
    "don",
    "does",
    "may",
    "needs",
    "need",
    "here",
    "with",
    "from",
    "by",
    "as",
    "at",
    "if",
    "please",
    "enter",
    "your",
    "this",
    "that",
    "only",
    "login",
    "user",
    "username",
    "system",
    "unknown",
    "redacted",
    "masked",
    "filtered",
    "hidden",
    "removed",
    "placeholder",
    "ist",
    "sind",
    "muss",
    "darf",
    "wird",
    "war",
    "falsch",
    "ungültig",
    "abgelaufen",
    "erforderlich",
    "fehlt",
    "nicht",
    "oder",
    "und",
    "est",
    "doit",
    "invalide",
    "incorrect.",
    "expiré",
    "requis",
    "manquant",
    "pas",
    "ou",
    "et",
    "es",
    "debe",
    "incorrecta",
    "incorrecto",
    "inválido",
    "inválida",
    "caducado",
    "obligatorio",
    "o",
    "y",
    "moet",
    "ongeldig",
    "onjuist",
    "verlopen",
    "verplicht",
    "niet",
    "of.",
    "self",
];

/// Beginnings of the parts of an expression.
const ROOTS: &[&str] = &[
    "self", "cls", "os", "env", "request", "fields", "kw", "kwargs", "vals", "values", "config", "settings", "ctx", "context", "odoo",
    "models", "data", "params", "post", "args", "options", "session", "this", "user", "record", "partner", "company", "response", "http",
    "app", "tools", "secrets", "uuid", "props",
];

/// Traits of a value that tell chance from language.
struct Traits {
    length: usize,
    digit: bool,
    upper: bool,
    lower: bool,
    blank: bool,
    /// Something that is neither letter, digit nor one of `_-. `.
    sign: bool,
    /// Capital letters after small ones.
    mixed: bool,
    /// A letter that is none, in the sense of a word, at all.
    letters: bool,
}

impl Traits {
    fn of(value: &str) -> Self {
        let mut traits =
            Self { length: 0, digit: false, upper: false, lower: false, blank: false, sign: false, mixed: false, letters: true };
        for c in value.chars() {
            traits.length += 1;
            traits.digit |= c.is_numeric();
            traits.mixed |= traits.lower && c.is_uppercase();
            traits.upper |= c.is_uppercase();
            traits.lower |= c.is_lowercase();
            traits.blank |= c.is_whitespace();
            traits.sign |= !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.' | ' ');
            traits.letters &= c.is_alphabetic();
        }
        traits
    }

    /// Whether a program may have made the value.
    const fn is_random(&self) -> bool {
        !self.blank && ((self.digit && (self.upper || self.lower || self.sign || self.length >= 8)) || self.mixed || self.length >= 24)
    }
}

/// Whether a value is a stand-in for one, or nothing.
pub fn is_placeholder(value: &str) -> bool {
    let value = value.trim();
    value.is_empty()
        || value.bytes().all(|byte| matches!(byte, b'*' | b'.' | b'?' | b'-' | b'_'))
        || value.bytes().all(|byte| matches!(byte, b'x' | b'X')) && value.len() > 1
        || ["${", "$(", "{{", "%(", "%s", "%d", "%r", "<", "[", "#{", "{%", "***", "\\*"].iter().any(|start| value.starts_with(start))
        || (value.starts_with('{') && value.ends_with('}'))
        || (value.starts_with('$') && value.len() > 1 && value[1..].bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
}

/// Whether a quoted value is a secret.
pub fn is_quoted_secret(name: &Name<'_>, value: &str) -> bool {
    let traits = Traits::of(value);
    if is_placeholder(value) || is_word(value) {
        return false;
    }
    // `"Bearer " + token`, `'session_id=%s'` …
    if !traits.digit && (value.contains("%s") || value.contains("%(") || value.contains('{') && value.contains('}')) {
        return false;
    }
    match name.kind {
        Kind::Header => traits.length >= 6 && (traits.digit || traits.mixed || traits.sign || traits.length >= 20),
        Kind::Code => (3..=10).contains(&traits.length) && value.bytes().all(|byte| byte.is_ascii_digit()),
        Kind::Password if traits.blank => !is_sentence(value, &traits) && !name.is_repeated_by(value) && !says_password(value),
        Kind::Password => traits.digit || traits.sign || !name.is_repeated_by(value),
        Kind::Token => {
            let repeated = name.is_repeated_by(value) && !traits.digit;
            !repeated && traits.length >= 4 && (traits.is_random() || (traits.sign && traits.digit && !traits.blank))
        }
    }
}

/// Whether a literal of a source is a secret: one that is not short, has no blanks, and is no word.
pub fn is_secret_in_source(name: &Name<'_>, value: &str) -> bool {
    value.len() >= 8
        && !value.contains(char::is_whitespace)
        && is_quoted_secret(name, value)
        && (name.kind != Kind::Password || !is_dotted(value))
}

/// Place of a bare value.
#[derive(Debug, Clone, Copy)]
pub struct Bare<'t> {
    /// The value.
    pub value: &'t str,
    /// Whether it follows `=`, and not a colon.
    pub assigned: bool,
    /// Whether it is an argument of a call, or an expression goes on after it.
    pub in_code: bool,
    /// Whether other words follow on the line.
    pub goes_on: bool,
}

/// Whether a value without quotes is a secret.
pub fn is_bare_secret(name: &Name<'_>, bare: &Bare<'_>) -> bool {
    let value = bare.value;
    let traits = Traits::of(value);
    if is_placeholder(value)
        || is_word(value)
        || value.starts_with(['(', '{'])
        || bare.in_code && !traits.digit
        || is_expression(value, &traits)
    {
        return false;
    }
    // `password = password1` says something; `password = password` does not.
    let is_of_its_own = traits.digit || !name.is_repeated_by(value);
    match name.kind {
        Kind::Header => traits.length >= 6 && (traits.is_random() || traits.sign),
        Kind::Code => (3..=8).contains(&traits.length) && value.bytes().all(|byte| byte.is_ascii_digit()),
        Kind::Password => {
            let path = name.word.eq_ignore_ascii_case("pwd") && value.starts_with('/');
            let few_digits = traits.length < 4 && value.bytes().all(|byte| byte.is_ascii_digit());
            let plain = traits.letters || value.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            // What could be a word or a variable is one where it stands like one.
            let word = plain && (traits.length <= 2 || value.contains('_') || !bare.assigned && bare.goes_on || name.is_repeated_by(value));
            !path && !few_digits && !word && is_of_its_own
        }
        // After a colon a word with capitals inside may be an exception.
        Kind::Token => (bare.assigned || traits.digit || traits.length >= 24) && traits.length >= 6 && traits.is_random() && is_of_its_own,
    }
}

/// Whether a value in the middle of a sentence is a secret.
pub fn is_told_secret(value: &str) -> bool {
    let traits = Traits::of(value);
    let numbers_only = value.bytes().all(|byte| byte.is_ascii_digit());
    !is_placeholder(value)
        && !is_word(value)
        && !is_expression(value, &traits)
        && traits.length >= 4
        && (traits.digit && !numbers_only || traits.mixed || numbers_only && traits.length >= 6 || traits.upper && traits.sign)
}

fn is_word(value: &str) -> bool {
    let lower = value.trim_end_matches(['.', ',', ':', '!', '?', '…']).to_lowercase();
    WORDS.contains(&lower.as_str())
}

/// `self.token`, `vals.get`, `a.b.c`: names joined by dots.
fn is_expression(value: &str, traits: &Traits) -> bool {
    let value = value.trim_end_matches([':', '.', ',']);
    if !is_dotted(value) {
        return false;
    }
    let first = value.split('.').next().unwrap_or_default();
    (!traits.digit && value.split('.').all(|part| part.len() > 1)) || ROOTS.contains(&first)
}

fn is_dotted(value: &str) -> bool {
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    value.contains('.') && value.split('.').all(is_name)
}

/// `This field is required`: begins with a capital letter, has three words or more, and nothing but words.
fn is_sentence(value: &str, traits: &Traits) -> bool {
    value.starts_with(char::is_uppercase) && !traits.digit && value.split_whitespace().count() >= 3
}

fn says_password(value: &str) -> bool {
    let lower = value.to_lowercase();
    ["password", "passwort", "mot de passe", "contraseña", "wachtwoord", "kennwort"].iter().any(|word| lower.contains(word))
}
