//! The words that lead to secrets: found in one pass, so that a text without any costs no more than that.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

/// Kind of name: decides which values after it are secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The value is hidden unless it is plainly something else.
    Password,
    /// The value is hidden if it looks like one that a program made.
    Token,
    /// A number of few digits.
    Code,
    /// An HTTP header whose whole value is hidden.
    Header,
}

/// Rules that need a word of their own in the text, as bits.
pub mod rules {
    /// Private keys in armour.
    pub const PEM: u32 = 1;
    /// Addresses with a password or key in them.
    pub const URL: u32 = 1 << 1;
    /// Keys with a prefix of their own.
    pub const PREFIXED: u32 = 1 << 2;
    /// Addresses that let whoever knows them post.
    pub const WEBHOOK: u32 = 1 << 3;
    /// Hashes of passwords.
    pub const HASH: u32 = 1 << 4;
    /// `Bearer` and `Basic` without their header.
    pub const SCHEME: u32 = 1 << 5;
    /// E-mail addresses.
    pub const EMAIL: u32 = 1 << 6;
    /// Rows that PostgreSQL prints.
    pub const ROW: u32 = 1 << 7;
    /// Queries that Odoo prints.
    pub const QUERY: u32 = 1 << 8;
    /// Calls whose arguments are secrets by their place.
    pub const CALL: u32 = 1 << 9;
    /// Lists of parameters.
    pub const PARAMETERS: u32 = 1 << 10;
    /// E-mail addresses in which the sign is written as something else.
    pub const WRITTEN_EMAIL: u32 = 1 << 11;
    /// Options of commands.
    pub const COMMAND: u32 = 1 << 12;
    /// Words for telephones.
    pub const PHONE: u32 = 1 << 13;
    /// Statements of SQL that hold values.
    pub const SQL: u32 = 1 << 14;
    /// Bodies of forms in parts.
    pub const FORM: u32 = 1 << 15;
}
use rules::{CALL, COMMAND, EMAIL, FORM, HASH, PARAMETERS, PEM, PHONE, PREFIXED, QUERY, ROW, SCHEME, SQL, URL, WEBHOOK, WRITTEN_EMAIL};

/// A word, what it names, and which rules it wakes.
type Keyword = (&'static str, Option<Kind>, u32);

const fn name(word: &'static str, kind: Kind) -> Keyword {
    (word, Some(kind), 0)
}

const fn rule(word: &'static str, rules: u32) -> Keyword {
    (word, None, rules)
}

/// Words without letters beyond ASCII are found in any case, the others as they stand here.
const KEYWORDS: &[Keyword] = &[
    ("password", Some(Kind::Password), SQL),
    name("passwd", Kind::Password),
    name("passphrase", Kind::Password),
    name("passcode", Kind::Password),
    name("passwort", Kind::Password),
    name("kennwort", Kind::Password),
    name("mot de passe", Kind::Password),
    name("mot_de_passe", Kind::Password),
    name("motdepasse", Kind::Password),
    name("mdp", Kind::Password),
    name("contraseña", Kind::Password),
    name("Contraseña", Kind::Password),
    name("CONTRASEÑA", Kind::Password),
    name("contrasena", Kind::Password),
    name("clave", Kind::Token),
    name("clave api", Kind::Token),
    name("clave de api", Kind::Token),
    name("clave secreta", Kind::Token),
    name("clave privada", Kind::Token),
    name("wachtwoord", Kind::Password),
    name("senha", Kind::Password),
    name("parola", Kind::Token),
    name("hasło", Kind::Password),
    name("Hasło", Kind::Password),
    name("haslo", Kind::Password),
    name("lösenord", Kind::Password),
    name("Lösenord", Kind::Password),
    name("losenord", Kind::Password),
    name("adgangskode", Kind::Password),
    name("heslo", Kind::Password),
    name("pass", Kind::Password),
    name("pwd", Kind::Password),
    name("psw", Kind::Password),
    name("pw", Kind::Password),
    name("secret", Kind::Token),
    name("secreto", Kind::Token),
    name("geheim", Kind::Token),
    name("token", Kind::Token),
    name("jeton", Kind::Token),
    name("jwt", Kind::Token),
    name("credential", Kind::Token),
    name("apikey", Kind::Token),
    name("api_key", Kind::Token),
    name("api-key", Kind::Token),
    name("api key", Kind::Token),
    name("api-schlüssel", Kind::Token),
    name("API-Schlüssel", Kind::Token),
    name("clé api", Kind::Token),
    name("Clé API", Kind::Token),
    name("clé API", Kind::Token),
    name("clé d'API", Kind::Token),
    name("clé secrète", Kind::Token),
    name("Clé secrète", Kind::Token),
    name("cle_api", Kind::Token),
    name("cle_secrete", Kind::Token),
    name("api-sleutel", Kind::Token),
    name("sleutel", Kind::Token),
    name("schluessel", Kind::Token),
    name("accesskey", Kind::Token),
    name("access_key", Kind::Token),
    name("access-key", Kind::Token),
    name("access key", Kind::Token),
    name("privatekey", Kind::Token),
    name("private_key", Kind::Token),
    name("private-key", Kind::Token),
    name("secretkey", Kind::Token),
    name("signing_key", Kind::Token),
    name("signing-key", Kind::Token),
    name("signingkey", Kind::Token),
    name("encryption_key", Kind::Token),
    name("encryption-key", Kind::Token),
    name("encryptionkey", Kind::Token),
    name("crypt_key", Kind::Token),
    name("cryptkey", Kind::Token),
    name("fernet_key", Kind::Token),
    name("hmac_key", Kind::Token),
    name("aes_key", Kind::Token),
    name("auth_key", Kind::Token),
    name("auth-key", Kind::Token),
    name("authkey", Kind::Token),
    name("account_key", Kind::Token),
    name("accountkey", Kind::Token),
    name("master_key", Kind::Token),
    name("masterkey", Kind::Token),
    name("storage_key", Kind::Token),
    name("license_key", Kind::Token),
    name("licence_key", Kind::Token),
    name("consumer_key", Kind::Token),
    name("deploy_key", Kind::Token),
    name("service_key", Kind::Token),
    name("session_key", Kind::Token),
    name("webhook_key", Kind::Token),
    name("subscription-key", Kind::Token),
    name("subscription_key", Kind::Token),
    name("enterprise_code", Kind::Token),
    name("session_id", Kind::Token),
    name("sessionid", Kind::Token),
    name("session-id", Kind::Token),
    name("sessid", Kind::Token),
    name("sid", Kind::Token),
    name("csrf", Kind::Token),
    name("xsrf", Kind::Token),
    name("sig", Kind::Token),
    name("signature", Kind::Token),
    name("x-amz-credential", Kind::Token),
    name("requirepass", Kind::Password),
    name("masterauth", Kind::Password),
    name("otp", Kind::Code),
    name("pin", Kind::Code),
    name("cvv", Kind::Code),
    name("cvc", Kind::Code),
    name("authorization", Kind::Header),
    name("cookie", Kind::Header),
    rule("private key", PEM),
    rule("private-lines", PEM),
    rule("://", URL),
    rule("%3a%2f%2f", URL),
    rule("hook", WEBHOOK),
    rule("/bot", WEBHOOK),
    rule(":aa", WEBHOOK),
    rule("events.pagerduty", WEBHOOK),
    rule("hc-ping.com", WEBHOOK),
    rule("maker.ifttt", WEBHOOK),
    rule("chat.googleapis", WEBHOOK),
    rule("open-apis/bot", WEBHOOK),
    rule("bearer", SCHEME),
    rule("basic", SCHEME),
    rule("@", EMAIL),
    rule("%40", WRITTEN_EMAIL),
    rule("\\u0040", WRITTEN_EMAIL),
    rule("&#64;", WRITTEN_EMAIL),
    rule("failing row contains", ROW),
    rule(")=(", ROW),
    rule("deta", ROW),
    rule("DÉTA", ROW),
    rule("déta", ROW),
    rule("bad query:", QUERY),
    rule("authenticate", CALL),
    rule("login", CALL),
    rule("execute_kw", CALL),
    rule("execute(", CALL),
    rule("basicauth", CALL),
    rule("digestauth", CALL),
    rule("auth=(", CALL),
    rule("auth = (", CALL),
    rule("credentials(", CALL),
    rule("password(", CALL),
    rule("fernet(", CALL),
    rule("methodname", CALL),
    rule("params", PARAMETERS),
    rule("parameters", PARAMETERS),
    rule("parameter:", PARAMETERS),
    rule("bindings", PARAMETERS),
    rule("mysql", COMMAND),
    rule("mariadb", COMMAND),
    rule("sshpass", COMMAND),
    rule("curl", COMMAND),
    rule("docker", COMMAND),
    rule("ldap", COMMAND),
    rule("htpasswd", COMMAND),
    rule("odoo-bin", COMMAND),
    rule("odoo -", COMMAND),
    rule(" -w", COMMAND),
    rule(":5432:", COMMAND),
    rule(":*:", COMMAND),
    rule("identified", SQL),
    rule("insert into", SQL),
    rule("form-data", FORM),
    rule("phone", PHONE),
    rule("phon", PHONE),
    rule("mobil", PHONE),
    rule("telef", PHONE),
    rule("téléph", PHONE),
    rule("Téléph", PHONE),
    rule("teléf", PHONE),
    rule("Teléf", PHONE),
    rule("tel", PHONE),
    rule("tél", PHONE),
    rule("Tél", PHONE),
    rule("móvil", PHONE),
    rule("Móvil", PHONE),
    rule("movil", PHONE),
    rule("handy", PHONE),
    rule("gsm", PHONE),
    rule("fax", PHONE),
    rule("whatsapp", PHONE),
    rule("portable", PHONE),
    rule("rufnummer", PHONE),
    rule("sms", PHONE),
    rule("cell", PHONE),
];

/// Prefixes of keys, each the beginning of one form in `shapes.rs`.
const PREFIXES: &[&str] = &[
    "sk-",
    "sk_",
    "rk_",
    "pk_live",
    "whsec_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "gldt-",
    "glrt-",
    "glptt-",
    "glft-",
    "glsoat-",
    "glcbt-",
    "glimt-",
    "glagent-",
    "akia",
    "asia",
    "abia",
    "acca",
    "xoxa",
    "xoxb",
    "xoxe",
    "xoxo",
    "xoxp",
    "xoxr",
    "xoxs",
    "xapp-",
    "aiza",
    "ya29.",
    "gocspx-",
    "1//0",
    "oak_",
    "npm_",
    "pypi-",
    "dop_v1_",
    "doo_v1_",
    "dor_v1_",
    "sg.",
    "key-",
    "hvs.",
    "hvb.",
    "shpat_",
    "shpss_",
    "shpca_",
    "shppa_",
    "sq0",
    "eaaa",
    "rubygems_",
    "lin_api_",
    "hf_",
    "r8_",
    "dckr_pat_",
    "atatt3",
    "atctt3",
    "nrak-",
    "pmak-",
    "sbp_",
    "secret_",
    "ntn_",
    "glc_",
    "glsa_",
    "dapi",
    "pat-na",
    "pat-eu",
    "gsk_",
    "xai-",
    "pplx-",
    "age-secret-key",
    "eyj",
    "gaaaaa",
    "-us",
    "nfp_",
    "tskey-",
    "bbdc-",
    "ctp_",
    "figd_",
    "sntrys_",
    "sntryu_",
    "phc_",
    "phx_",
    "rzp_",
    "amzn.mws.",
];

const HASHES: &[&str] =
    &["$pbkdf2", "$2a$", "$2b$", "$2y$", "$argon2", "$1$", "$5$", "$6$", "$apr1$", "$y$", "pbkdf2:sha", "scrypt:", "{ssha"];

struct Words {
    automaton: Option<AhoCorasick>,
    keywords: Vec<Keyword>,
}

static WORDS: LazyLock<Words> = LazyLock::new(|| {
    let prefixes = PREFIXES.iter().map(|word| rule(word, PREFIXED));
    let hashes = HASHES.iter().map(|word| rule(word, HASH));
    let keywords: Vec<Keyword> = KEYWORDS.iter().copied().chain(prefixes).chain(hashes).collect();
    let automaton = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        .build(keywords.iter().map(|keyword| keyword.0))
        .ok();
    debug_assert!(automaton.is_some(), "the keywords do not build");
    Words { automaton, keywords }
});

/// Keywords of a text.
#[derive(Debug, Default)]
pub struct Seen {
    /// Rules that may match, as bits.
    pub rules: u32,
    /// Where each name starts and ends, in the order of their ends.
    pub names: Vec<(usize, usize, Kind)>,
}

impl Seen {
    /// Finds the keywords of a text.
    pub fn of(text: &str) -> Self {
        let mut seen = Self::default();
        let Some(automaton) = &WORDS.automaton else { return seen };
        for found in automaton.find_overlapping_iter(text) {
            let (_, kind, rules) = WORDS.keywords[found.pattern().as_usize()];
            seen.rules |= rules;
            if let Some(kind) = kind {
                seen.names.push((found.start(), found.end(), kind));
            }
        }
        seen
    }

    /// Whether one of these rules may match.
    pub const fn has(&self, rules: u32) -> bool {
        self.rules & rules != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_case() {
        let seen = Seen::of("PassWord=x to a@b");
        assert!(seen.has(EMAIL) && !seen.has(PEM));
        assert!(seen.names.contains(&(0, 8, Kind::Password)), "{seen:?}");
        assert_eq!(Seen::of("ValueError: bad").rules, 0);
    }
}
