//! Secrets in sentences of five languages, in lists of parameters, and in the bodies of forms.

use super::super::pattern::Pattern;
use super::judge;
use super::keywords::{Seen, rules};
use super::spans::Spans;

macro_rules! passwords {
    () => {
        "(?:pass[- ]?word|passwd|passphrase|passcode|pwd|passwort|kennwort|mot de passe|mdp|contraseñ?n?a|clave|wachtwoord|senha|parola|hasło|lösenord|adgangskode|heslo)"
    };
}

/// A password after what leads to it. The second group is in quotes, the third is bare.
static PASSWORDS: [Pattern; 2] = [
    Pattern::new(concat!(
        r"(?i)\b(?:with|using|mit|avec|con|met|med|com|and|und|et|en|e|y|the|your|his|her|their|le|la|dem|das|het|su|tu|votre|son|ihr|sein|uw|new|neue[smn]?|nouveau|nueva|nieuwe?|old|temporary|initial|default|admin|master|(?:login|user|username|benutzer|utilisateur|usuario|gebruiker)\s+\S+)\s+",
        passwords!(),
        r#"(?:\s+(?:is|was|set to|to|lautet|ist|war|auf|est|était|es|era|a|naar))?\s*[:=]?\s+(?:["'«“„`]\s?([^"'»”“`\n]{3,64}?)\s?["'»”“`]|([^\s"'«»“”„`]{4,}))"#
    )),
    Pattern::new(concat!(
        "(?i)",
        passwords!(),
        r#"\s+(?:is|was|set to|changed to|lautet|ist|war|geändert in|est|était|es|era|is gewijzigd in|luidt)\s*:?\s+(?:["'«“„`]\s?([^"'»”“`\n]{3,64}?)\s?["'»”“`]|([^\s"'«»“”„`]{4,}))"#
    )),
];

/// A token or key after its name.
static KEYS: Pattern = Pattern::new(
    r#"(?i)\b(?:token|api[ -]?key|access key|secret(?: key)?|jeton|api-schlüssel|schlüssel|clé(?: d'| )?(?:api|secrète)?|clave(?: de)?(?: api| secreta)?|api-sleutel|sleutel)\s+(?:is\s+|was\s+|lautet\s+|ist\s+|est\s+|es\s+|:\s*)?["'«“„`]?\s?([A-Za-z0-9_+/=.~-]{12,})"#,
);

static FORM: Pattern = Pattern::new(
    r#"(?i)form-data;\s*name=\\?"[\w.\[\]-]*(?:passw|passwd|pwd|secret|token|api_?key)[\w.\[\]-]*\\?"(?:\r?\n|\\r\\n|\\n){2}([^\r\n\\]+)"#,
);

/// The parameters of a statement, as its client prints them.
static PARAMETERS: [Pattern; 2] = [
    Pattern::new(r#"(?i)\b(?:sql_?|query_?|bind_?)?(?:params|bindings)['"]?\s*:\s*[\[({]([^\n]*)"#),
    Pattern::new(r"(?i)\[?\bparameters:\s*(?:[\[({]|\$1\s*=)([^\n]*)"),
];
static LITERAL: [Pattern; 2] = [Pattern::new(r#"'((?:[^'\\\n]|\\.)*)'"#), Pattern::new(r#""((?:[^"\\\n]|\\.)*)""#)];

/// Finds what sentences, forms and lists of parameters tell.
pub fn find(text: &str, seen: &Seen, spans: &mut Spans) {
    if seen.has(rules::PROSE) {
        let groups = PASSWORDS.iter().flat_map(|pattern| pattern.ranges(text, 1).map(|range| (range, true)).chain(pattern.ranges(text, 2).map(|range| (range, false))));
        for (range, quoted) in groups {
            let value = &text[range.clone()];
            let bare = value.trim_end_matches(['.', ',', ';', ')', ':', '!', '?']);
            if (quoted && !judge::is_placeholder(value) && !value.contains(' ')) || judge::is_told_secret(bare) {
                spans.push(range.start..range.start + if quoted { value.len() } else { bare.len() });
            }
        }
        for range in KEYS.ranges(text, 1) {
            let value = text[range.clone()].trim_end_matches(['.', ',']);
            if value.len() >= 12 && judge::is_told_secret(value) && value.bytes().any(|byte| byte.is_ascii_digit()) {
                spans.push(range.start..range.start + value.len());
            }
        }
    }
    if seen.has(rules::FORM) {
        FORM.ranges(text, 1).for_each(|range| spans.push(range));
    }
    if seen.has(rules::PARAMETERS) {
        for list in PARAMETERS.iter().flat_map(|pattern| pattern.ranges(text, 1)) {
            let line = &text[list.clone()];
            // Names of fields and of Odoo models tell nothing.
            let is_name = |value: &str| value.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.'));
            for range in LITERAL.iter().flat_map(|literal| literal.ranges(line, 1)).filter(|range| !is_name(&line[range.clone()])) {
                spans.push(list.start + range.start..list.start + range.end);
            }
        }
    }
}
