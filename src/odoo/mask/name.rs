//! Names of secrets: the word that was found, with what stands around it.

use super::keywords::Kind;

/// The most bytes of a name on either side of its word.
const REACH: usize = 64;

/// Words of English, German, French, Spanish and Dutch that end in `pass` and are none.
const NOT_PASS: &[&str] = &["compass", "bypass", "surpass", "trespass", "encompass", "overpass", "underpass"];
/// Words that are names only when they stand alone between separators.
const ALONE: &[&str] = &["pw", "psw", "otp", "sid", "sig", "mdp", "jwt", "clave", "parola", "pin", "signature"];
/// What follows the word when the value is about a secret and no secret.
const ABOUT: &[&str] = &[
    "type",
    "types",
    "url",
    "uri",
    "expiry",
    "expires",
    "expire",
    "expiration",
    "expired",
    "ttl",
    "count",
    "len",
    "length",
    "name",
    "names",
    "field",
    "fields",
    "policy",
    "min",
    "max",
    "id",
    "ids",
    "label",
    "help",
    "hint",
    "required",
    "error",
    "errors",
    "invalid",
    "valid",
    "ok",
    "file",
    "path",
    "endpoint",
    "lifetime",
    "age",
    "limit",
    "usage",
    "used",
    "sent",
    "at",
    "date",
    "time",
    "header",
    "param",
    "prefix",
    "algorithm",
    "method",
    "mode",
    "scope",
    "reset",
    "manager",
    "regex",
    "pattern",
    "rule",
    "rules",
    "strength",
    "widget",
    "model",
    "view",
    "env",
    "secure",
];
/// What comes before the word when it counts or names parts of a text.
const BEFORE: &[&str] = &["max_", "min_", "num_", "next_", "unexpected_"];

/// One name of a secret in a text.
#[derive(Debug, Clone, Copy)]
pub struct Name<'t> {
    /// Start of the whole name.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// The whole name.
    pub text: &'t str,
    /// The word in it that says so.
    pub word: &'t str,
    /// Kind of thing that it names.
    pub kind: Kind,
}

impl<'t> Name<'t> {
    /// Returns the name around a word, or `None` where the word is a part of another one.
    pub fn around(text: &'t str, start: usize, end: usize, kind: Kind) -> Option<Self> {
        let bytes = text.as_bytes();
        let mut first = start;
        while first > start.saturating_sub(REACH) && first > 0 && is_part(bytes[first - 1]) {
            first -= 1;
        }
        // The letter of an escape, as in `\npassword`, is none of the name.
        if first > 0 && first < start && bytes[first - 1] == b'\\' && matches!(bytes[first], b'n' | b'r' | b't') {
            first += 1;
        }
        let mut last = end;
        while last < bytes.len() && last < end + REACH && (bytes[last].is_ascii_alphanumeric() || matches!(bytes[last], b'_' | b'-')) {
            last += 1;
        }
        first = text.ceil_char_boundary(first);
        let (word, before, after) = (text.get(start..end)?, text.get(first..start)?, text.get(end..last)?);
        // `a-->b` and such: what ends in a dash is no name.
        let trimmed = after.trim_end_matches('-');
        let last = last - (after.len() - trimmed.len());
        let name = Self { start: first, end: last, text: text.get(first..last)?, word, kind };
        (name.begins(before) && name.ends(trimmed)).then_some(name)
    }

    fn begins(&self, before: &str) -> bool {
        let lower = self.word.to_ascii_lowercase();
        let counted = |word: &&str| before.strip_suffix(*word).is_some_and(|rest| rest.is_empty() || rest.ends_with('_'));
        if BEFORE.iter().any(counted) || before.ends_with("www-") {
            return false;
        }
        let separated = before.chars().next_back().is_none_or(|c| !c.is_alphanumeric())
            || (self.word.starts_with(char::is_uppercase) && before.ends_with(|c: char| c.is_lowercase() || c.is_numeric()));
        match self.kind {
            _ if ALONE.contains(&lower.as_str()) => separated,
            Kind::Code => separated,
            Kind::Password if lower == "pass" => {
                let whole = format!("{before}{lower}").to_ascii_lowercase();
                !NOT_PASS.iter().any(|word| whole.ends_with(word))
            }
            _ => true,
        }
    }

    fn ends(&self, after: &str) -> bool {
        if after.is_empty() || after.bytes().all(|byte| byte.is_ascii_digit()) {
            return true;
        }
        let begins_anew = after.starts_with(['_', '-'])
            || (after.starts_with(|c: char| c.is_ascii_uppercase()) && self.word.ends_with(|c: char| c.is_lowercase()));
        let about = |part: &str| ABOUT.contains(&part.to_ascii_lowercase().as_str());
        begins_anew
            && self.kind != Kind::Header
            && !after.split(['_', '-']).any(about)
            && !ABOUT.contains(&after.to_ascii_lowercase().as_str())
    }

    /// Whether another word says the same as this name: a variable, a label.
    pub fn is_repeated_by(&self, value: &str) -> bool {
        let original = value.trim().trim_end_matches([':', '*', '?', '!', '.']);
        let value = original.to_lowercase();
        let (word, name) = (self.word.to_lowercase(), self.text.to_lowercase());
        let hump = value != original && original.starts_with(char::is_lowercase) && original.chars().all(char::is_alphabetic);
        value == name
            || hump && value.contains(&word)
            || value.split(['_', ' ', '-', '.']).any(|part| part == word || MEANINGS.contains(&part))
    }
}

/// Words that, as a part of a value, say what it is and not which.
const MEANINGS: &[&str] = &[
    "password",
    "passwords",
    "passwd",
    "pwd",
    "passphrase",
    "token",
    "tokens",
    "secret",
    "secrets",
    "passwort",
    "kennwort",
    "wachtwoord",
    "contraseña",
    "passe",
    "mdp",
    "apikey",
    "credentials",
    "credential",
    "cookie",
    "cookies",
    "csrf",
    "authorization",
    "auth",
    "key",
    "pass",
    "pw",
];

const fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str, word: &str, kind: Kind) -> bool {
        let start = text.find(word).unwrap();
        Name::around(text, start, start + word.len(), kind).is_some()
    }

    #[test]
    fn parts_of_other_words_are_no_names() {
        for (text, word) in [("smtp_pass", "pass"), ("PGPASSWORD", "PASSWORD"), ("dbPassword2", "Password"), ("\\npass", "pass")] {
            assert!(named(text, word, Kind::Password), "{text}");
        }
        for (text, word) in [("compass", "pass"), ("passenger", "pass"), ("password_policy", "password"), ("passed", "pass")] {
            assert!(!named(text, word, Kind::Password), "{text}");
        }
        for (text, word) in
            [("max_token", "token"), ("tokens", "token"), ("tokenize", "token"), ("token_expiry", "token"), ("inside", "sid")]
        {
            assert!(!named(text, word, Kind::Token), "{text}");
        }
    }
}
