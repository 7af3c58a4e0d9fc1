//! Hiding secrets and personal data before a text is stored or sent.
//!
//! One pass finds the words that lead to secrets (`keywords.rs`) and the numbers that are personal (`numbers.rs`). Each word wakes the
//! rules that need it: forms with a shape of their own (`shapes.rs`), values after the name of a secret (`fields.rs`, judged by `judge.rs`),
//! arguments by their place (`calls.rs`), sentences (`sentences.rs`), rows (`rows.rs`). All of them only say where a secret stands; what
//! they say is put together and replaced once (`spans.rs`). Each takes time in proportion to the text, and a masked text stays as it is.

mod calls;
mod fields;
mod json;
mod judge;
mod keywords;
mod name;
mod numbers;
mod quotes;
mod rows;
mod sentences;
mod shapes;
mod spans;

use std::borrow::Cow;

use fields::Place;
use keywords::{Seen, rules};
use spans::Spans;

pub use json::{mask_bytes, mask_json};

/// Returns a log text with secrets, personal data and the values of rows replaced by `***`.
pub fn mask(text: &str) -> Cow<'_, str> {
    let seen = Seen::of(text);
    let mut spans = Spans::default();
    shapes::find(text, &seen, &mut spans);
    shapes::find_in_logs(text, &seen, &mut spans);
    rows::find(text, &seen, &mut spans);
    if seen.has(rules::CALL) {
        calls::find(text, &mut spans);
    }
    sentences::find(text, &seen, &mut spans);
    fields::find(text, &seen, Place::Log, &mut spans);
    numbers::find(text, &seen, &mut spans);
    spans.apply(text)
}

/// Returns a source with the secrets replaced by `***` that sources tend to hold. It stays code: expressions, addresses of authors and the
/// attributes of views are left alone.
pub fn mask_source(text: &str) -> Cow<'_, str> {
    let seen = Seen::of(text);
    let mut spans = Spans::default();
    shapes::find(text, &seen, &mut spans);
    fields::find(text, &seen, Place::Source, &mut spans);
    spans.apply(text)
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
            (r#"{\"password\": \"X1y2\"}"#, "X1y2"),
            (r#"\\\"password\\\": \\\"X1y2\\\""#, "X1y2"),
            ("token=Xa81hs72", "Xa81hs72"),
            ("Cookie: a=1; session_id=Xa81hs72; b=Zz91", "Zz91"),
            ("csrf_token=Xa81hs72o1234", "Xa81hs72"),
            ("https://hooks.slack.com/services/T0/B0/Xa81hs72", "Xa81hs72"),
            ("https://api.telegram.org/bot123456789:AAXa81hs72Xa81hs72Xa81hs72Xa81hs72x/send", "Xa81hs72"),
            ("https://shop.webhook.office.com/webhookb2/Xa81hs72@x/IncomingWebhook/y", "Xa81hs72"),
            ("https://discord.com/api/webhooks/123/Xa81hs72", "Xa81hs72"),
            ("pwd=Xa81", "Xa81"),
            ("authenticate('db', 'admin', 'Xa81')", "Xa81"),
            ("common.login('db', 'admin', 'Xa81')", "Xa81"),
            ("smtp_pass: Xa81", "Xa81"),
            ("<password>Xa81</password>", "Xa81"),
            ("<field name=\"password\">Xa81</field>", "Xa81"),
            ("<param name=\"api_key\" value=\"Xa81hs72\"/>", "Xa81hs72"),
            ("<member><name>password</name><value><string>Xa81</string></value></member>", "Xa81"),
            ("password%3DXa81%26x%3D1", "Xa81"),
            ("connected with password Xa81!", "Xa81"),
            ("verbunden mit Passwort Xa81", "Xa81"),
            ("avec le mot de passe Xa81", "Xa81"),
            ("con la contraseña «Xa81»", "Xa81"),
            ("met wachtwoord Xa81", "Xa81"),
            ("params: ['Xa81']", "Xa81"),
            ("('X-Auth-Token', 'Xa81hs72')", "Xa81hs72"),
            ("[('password', '=', 'Xa81')]", "Xa81"),
            ("key cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4= here", "cw_0x689RpI"),
            ("IBAN DE89 3704 0044 0532 0130 00", "0532"),
            ("card 4111 1111 1111 1111", "1111"),
            ("Tel.: 030 1234567", "1234567"),
            ("os.environ['DB_PASS'] = 'Xa81'", "Xa81"),
            ("password: str = 'Xa81'", "Xa81"),
            ("password: |\n  Xa81\n  Xb82\n", "Xb82"),
            ("ALTER ROLE odoo WITH PASSWORD 'Xa81'", "Xa81"),
            ("curl -u admin:Xa81 https://x", "Xa81"),
            ("PGPASSWORD=Xa81 psql", "Xa81"),
        ] {
            let masked = mask(text);
            assert!(!masked.contains(secret), "{masked}");
            assert!(masked.contains("***"), "{masked}");
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
            "self._check(password=password, token=self.token)",
            "password = fields.Char('Password')",
            "    'password': 'Password',",
            "wrong password: access denied",
            "FATAL:  password authentication failed for user \"odoo\"",
            "<field name=\"smtp_pass\" password=\"True\"/>",
            "('token', 'Token'), ('password', 'Your password')",
            "    return self.env[\"workshop.order\"]._from_token(token)",
            "max_tokens=1024 token_type=bearer",
            "the secret word is amber",
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
