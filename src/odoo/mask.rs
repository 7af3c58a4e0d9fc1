//! Hiding secrets and personal data before a text is stored or sent.

use std::borrow::Cow;

use super::pattern::Pattern;

const STARS: &str = "***";

/// What is a secret by its own shape, wherever it stands.
static SHAPES: [(Pattern, &str); 5] = [
    (Pattern::new(r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)"), STARS),
    (Pattern::new(r#"(?i)(postgres(?:ql)?://[^\s:@/'"]*):[^\s'"]+@"#), "$1:***@"),
    (Pattern::new(r#"([A-Za-z][A-Za-z0-9+.-]*://[^\s:@/'"]*):[^\s@/'"]+@"#), "$1:***@"),
    (
        Pattern::new(concat!(
            r"\b(?:sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|AKIA[0-9A-Z]{16}|",
            r"xox[abprs]-[\w-]{10,}|[sr]k_(?:live|test)_\w{10,}|AIza[\w-]{30,}|oak_[A-Za-z0-9_-]{20,})"
        )),
        STARS,
    ),
    (Pattern::new(r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*"), STARS),
];

/// What only its surroundings make a secret, in the words of logs.
static LOGS: [(Pattern, &str); 11] = [
    (
        Pattern::new(
            r#"(?i)\b((?:proxy-)?authorization|x-api-key|set-cookie|cookie|session_id)(\\?['"]?\s*[:=]\s*\\?['"]?)(?:(?:bearer|basic|token|digest)\s+)?[^\s'",}\\]+"#,
        ),
        "$1$2***",
    ),
    (Pattern::new(r"(?i)\b(bearer)\s+[A-Za-z0-9._~+/=-]{8,}"), "$1 ***"),
    // Quoted values first, they may hold blanks; then bare ones. `db_password`, `apiKey`, `client_secret` …
    (
        Pattern::new(
            r#"(?i)((?:password|passwd|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key|token)\w*\\?['"]?\s*[=:]\s*)(?:"[^"\n]*"|'[^'\n]*'|\\'[^'\n]*\\')"#,
        ),
        "$1***",
    ),
    (
        Pattern::new(
            r#"(?i)((?:password|passwd|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key|access[_-]token|auth[_-]token|refresh[_-]token)\\?['"]?\s*[=:]\s*)[^\s'",;)}\]&*][^\s'",;)}\]&]*"#,
        ),
        "$1***",
    ),
    (Pattern::new(r"(?i)(--?(?:db[_-])?password|--?w)[\s=]+[^\s*]\S*"), "$1 ***"),
    // PostgreSQL prints the row that failed. It ends with `).`; where the end is lost, the line goes.
    (Pattern::new(r#"(?s)(Failing row contains \().*?\)\.(\s|\\n|['"]|\z)"#), "$1***).$2"),
    (Pattern::new(r"(Failing row contains \()[^*\n][^\n]*"), "$1***)"),
    (Pattern::new(r"(Key \([^)\n]*\)=\()[^\n]*\)"), "$1***)"),
    // The same in other languages: DETALLE, DÉTAIL, DETALHE … First a key, then a row.
    (Pattern::new(r"(?m)^(\s*D[EÉ]T[A-Z]+\s?:[^\n(]*\([^)\n]*\)=\()[^\n]*\)"), "$1***)"),
    (Pattern::new(r"(?m)^(\s*D[EÉ]T[A-Z]+\s?:[^\n(]*\()[^\n(),*]*,[^\n]*"), "$1***)"),
    (Pattern::new(r"[\w.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"), STARS),
];

/// The same in sources: only a literal that is not short. `password = fields.Char("Password")` and `password="True"` are none.
static IN_SOURCES: (Pattern, &str) = (
    Pattern::new(
        r#"(?i)(\b[\w.-]*(?:passw(?:or)?d|passphrase|secret|token|api_?key|access_?key|private_?key|secret_?key)["']?\s*[=:]\s*["'])[^"'\s]{8,}"#,
    ),
    "$1***",
);

static BAD_QUERY: Pattern = Pattern::new(r"bad query:[^\n]*");
// In `b'…'` quotes are escaped, in `b"…"` they are not.
static ESCAPED_LITERAL: Pattern = Pattern::new(r"\\'(?:[^'\\]|\\[^'])*\\'");
static LITERAL: Pattern = Pattern::new(r"'(?:[^'])*'");

/// A log text with secrets, e-mail addresses and the values of rows replaced by `***`.
pub fn mask(text: &str) -> Cow<'_, str> {
    masked(mask_queries(text), SHAPES.iter().chain(&LOGS))
}

/// A source with the secrets replaced by `***` that sources tend to hold. It stays code: expressions, addresses of authors and the
/// attributes of views are left alone.
pub fn mask_source(text: &str) -> Cow<'_, str> {
    masked(Cow::Borrowed(text), SHAPES.iter().chain([&IN_SOURCES]))
}

fn masked<'t>(text: Cow<'t, str>, masks: impl Iterator<Item = &'static (Pattern, &'static str)>) -> Cow<'t, str> {
    masks.fold(text, |text, (pattern, by)| match pattern.replace_all(&text, by) {
        Cow::Owned(replaced) => Cow::Owned(replaced),
        Cow::Borrowed(_) => text,
    })
}

fn mask_queries(text: &str) -> Cow<'_, str> {
    if !text.contains("bad query:") {
        return Cow::Borrowed(text);
    }
    BAD_QUERY.replace_with(text, |found| {
        let query = &found[0];
        if query.contains("b'") && query.contains("\\'") {
            ESCAPED_LITERAL.replace_all(query, "\\'***\\'").into_owned()
        } else if query.contains("b'") {
            query.to_owned()
        } else {
            LITERAL.replace_all(query, "'***'").into_owned()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden() {
        for (text, secret) in [
            ("db_password = hunter2secret", "hunter2secret"),
            ("{'password': 'hunter2 with blanks'}", "hunter2"),
            ("apiKey: \"abc123xyz\"", "abc123xyz"),
            ("Authorization: Bearer abcdef123456", "abcdef123456"),
            ("'Authorization': 'Basic dXNlcjpwYXNz'", "dXNlcjpwYXNz"),
            ("key sk-ant-api03-AAAABBBBCCCCDDDD-x used", "AAAABBBB"),
            ("remote https://x:ghp_abcdefghijklmnopqrstuvwxyz0123@github.com/a", "ghp_"),
            ("token ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_a"),
            ("POST with oak_0123456789abcdef0123456789abcdef failed", "oak_0"),
            ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "eyJ"),
            ("postgresql://odoo:p/w@db/prod", "p/w"),
            ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----", "MIIE"),
            ("-----BEGIN PRIVATE KEY-----\nMIIE\nabc", "MIIE"),
            ("DETAIL:  Failing row contains (172, null, Jane Roe, x\ny, t).\n", "Jane"),
            ("DETAIL:  Failing row contains (172, null, Jane Roe, cut", "Jane"),
            ("DETAIL:  Key (login)=(jane) already exists.", "jane"),
            ("DETALLE:  La fila que falla contiene (172, Jane Roe).", "Jane"),
            ("DETAIL:  Schlüssel »(login)=(Jane)« existiert bereits.", "Jane"),
            ("mail to jane.roe@example.com failed", "jane.roe"),
            ("bad query: b'INSERT INTO \"x\" (\"name\") VALUES (\\'Jane Roe\\', 1)'", "Jane"),
            ("bad query: b\"SELECT 1 WHERE name = 'Jane Roe'\"", "Jane"),
            ("odoo --db_password hunter2 -d x", "hunter2"),
        ] {
            let masked = mask(text);
            assert!(!masked.contains(secret), "{masked}");
            assert!(masked.contains(STARS), "{masked}");
        }
    }

    #[test]
    fn names_that_matter_stay() {
        for text in [
            "ValueError: Invalid field 'password' in 'res.users'",
            "DETAIL:  Key (login)=(***) already exists.",
            "Field \"token\" does not exist in model \"x.y\"",
            "    ~~~~~^^^^\nKeyError: 'zzz.model'",
            "bad query: b'SELECT 1'",
            "TestMail.test_totp_secret_kept: AssertionError: None is not true",
        ] {
            assert_eq!(mask(text), text);
        }
        assert!(mask("Key (login)=(x) already exists.").ends_with("already exists."));
    }

    #[test]
    fn sources_stay_code() {
        // Put together here, so that no scanner takes this file for a leak.
        let key = ["sk-", "ant-0123456789abcdef"].concat();
        for (source, masked) in [
            ("API_KEY = 'abcdef123456'", "API_KEY = '***'"),
            ("{\"client_secret\": \"abcdef123456\"}", "{\"client_secret\": \"***\"}"),
            (&format!("x = \"{key}\""), "x = \"***\""),
            ("url = 'postgresql://odoo:hunter2@db/prod'", "url = 'postgresql://odoo:***@db/prod'"),
        ] {
            assert_eq!(mask_source(source), masked);
        }
        for source in [
            "password = fields.Char('Password')",
            "<field name=\"smtp_pass\" password=\"True\"/>",
            "token = self._new_token()",
            "'author': 'Jane Roe <jane.roe@example.com>'",
        ] {
            assert_eq!(mask_source(source), source);
        }
    }

    #[test]
    fn masked_text_stays_as_it_is() {
        let text = "password=x Key (a)=(b) exists. Failing row contains (1, 2).\nAuthorization: Bearer abcdefghijk a@b.com";
        let once = mask(text).into_owned();
        assert_eq!(mask(&once), once);
    }
}
