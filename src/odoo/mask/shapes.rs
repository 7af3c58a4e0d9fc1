//! Secrets that their own shape gives away, wherever they stand. The prefixes are those that the issuers document.

use super::super::pattern::Pattern;
use super::keywords::{Seen, rules};
use super::spans::Spans;

/// A form, the rule that wakes it, and which group of it is the secret.
struct Shape {
    rule: u32,
    pattern: Pattern,
    group: usize,
}

const fn shape(rule: u32, group: usize, pattern: &'static str) -> Shape {
    Shape { rule, pattern: Pattern::new(pattern), group }
}

/// Forms that are secrets in logs and in sources.
static SHAPES: [Shape; 15] = [
    shape(rules::PEM, 1, r"(?i)Private-Lines: \d+\s+((?:[A-Za-z0-9+/=]+\s+)+)"),
    // Of a database or a mail server a password may hold anything but blanks and quotes.
    shape(
        rules::URL,
        1,
        r#"(?i)\b(?:postgres(?:ql)?(?:\+\w+)?|mysql(?:\+\w+)?|mariadb(?:\+\w+)?|mssql(?:\+\w+)?|mongodb(?:\+srv)?|rediss?|amqps?|ldaps?|smtps?|imaps?|ftps?|sftp)://[^\s:@/'"]*:([^\s'"]+)@"#,
    ),
    shape(rules::URL, 1, r#"[A-Za-z][A-Za-z0-9+.-]*://[^\s:@/'"]*:([^\s@/'"]+)@"#),
    shape(rules::URL, 1, r"(?i)[a-z][a-z0-9+.-]*%3A%2F%2F[^\s:@/%]*%3A([^\s@/&]+?)%40"),
    // An address of Sentry, or of a package registry, with a key where others have a user.
    shape(rules::URL, 1, r"https?://([0-9a-f]{32}|[A-Za-z0-9_-]{36,})@"),
    shape(
        rules::PREFIXED,
        0,
        concat!(
            r"(?-u)\b(?:sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|gl(?:pat|dt|rt|ptt|ft|soat|cbt|imt|agent)-[\w-]{16,}|",
            r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b|xox[abeoprs]-[\w-]{10,}|xapp-[\w-]{10,}|[sr]k_(?:live|test|prod)_\w{10,}|",
            r"whsec_[A-Za-z0-9+/=]{16,}|AIza[\w-]{30,}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}|1//0[\w-]{20,}|oak_[A-Za-z0-9_-]{20,}|",
            r"npm_[A-Za-z0-9]{30,}|pypi-[\w-]{20,}|do[opr]_v1_[a-f0-9]{40,}|SG\.[\w-]{16,}\.[\w-]{16,}|key-[0-9a-f]{32}\b|hv[sb]\.[\w-]{20,}|",
            r"shp(?:at|ss|ca|pa)_[a-fA-F0-9]{32}|sq0[a-z]{3}-[\w-]{20,}|EAAA[\w-]{50,}|rubygems_[a-f0-9]{40,}|lin_api_[A-Za-z0-9]{30,}|",
            r"hf_[A-Za-z0-9]{30,}|r8_[A-Za-z0-9]{30,}|dckr_pat_[\w-]{20,}|AT[AC]TT3[\w=-]{20,}|NRAK-[A-Z0-9]{20,}|PMAK-[a-f0-9-]{50,}|",
            r"sbp_[a-f0-9]{40}|secret_[A-Za-z0-9]{40,}|ntn_[A-Za-z0-9]{40,}|gl(?:c|sa)_[\w=+/-]{30,}|dapi[a-f0-9]{32}\b|pat-(?:na|eu)\d-[a-f0-9-]{36}|",
            r"gsk_[A-Za-z0-9]{40,}|xai-[A-Za-z0-9]{40,}|pplx-[A-Za-z0-9]{40,}|nfp_[A-Za-z0-9]{30,}|tskey-[\w-]{16,}|figd_[\w-]{30,}|",
            r"sntry[su]_[\w=+/.-]{30,}|ph[cx]_[A-Za-z0-9]{30,}|rzp_(?:live|test)_[A-Za-z0-9]{14,}|BBDC-[\w+/=]{30,})"
        ),
    ),
    shape(rules::PREFIXED, 0, r"\bAGE-SECRET-KEY-1[A-Z0-9]{50,}"),
    shape(rules::PREFIXED, 0, r"\b[0-9a-f]{32}-us\d{1,2}\b"),
    shape(rules::PREFIXED, 0, r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*"),
    shape(rules::PREFIXED, 0, r"\bgAAAAA[\w-]{30,}={0,2}"),
    shape(
        rules::WEBHOOK,
        1,
        concat!(
            r#"(?i)(?:hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)|discord(?:app)?\.com/api/(?:v\d+/)?webhooks|hooks\.zapier\.com/hooks/catch|"#,
            r#"outlook\.office(?:365)?\.com/webhook|\.webhook\.office\.com/webhookb2|hook\.[a-z0-9.]+\.(?:com|celonis\.com)|hook\.integromat\.com|"#,
            r#"open\.(?:feishu\.cn|larksuite\.com)/open-apis/bot/v2/hook|events\.pagerduty\.com/integration|hc-ping\.com|"#,
            r#"maker\.ifttt\.com/trigger/[\w-]+/(?:json/)?with/key|chat\.googleapis\.com/v1/spaces|webhook\.site)/([^\s'"<>)\]},\\]+)"#
        ),
    ),
    // Mattermost, Rocket.Chat, n8n and what is built like them.
    shape(rules::WEBHOOK, 1, r#"(?i)://[^\s/'"]+(?:/[\w.-]+)*/(?:web)?hooks?/((?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_-]{16,})"#),
    shape(rules::WEBHOOK, 1, r"(?:/bot|\b)(\d{6,12}:AA[\w-]{30,})"),
    shape(
        rules::HASH,
        0,
        concat!(
            r"\$pbkdf2(?:-sha\d+)?\$\d+\$[./A-Za-z0-9]+\$[./A-Za-z0-9]+|\$2[aby]\$\d\d\$[./A-Za-z0-9]{50,}|\$argon2(?:id|i|d)\$[\w$=,.+/-]{20,}|",
            r"\$(?:1|5|6|y|apr1)\$[./A-Za-z0-9$=]{20,}|(?:pbkdf2:sha\d+|scrypt):[\d:]+\$[./A-Za-z0-9]+\$[0-9a-f]{32,}|\{SSHA\d*\}[A-Za-z0-9+/=]{20,}"
        ),
    ),
    // Signs of a signed address and the keys of connection strings are names; this is the sign alone.
    shape(rules::URL, 1, r#"(?i)[?&](?:sig|signature|x-amz-signature|x-amz-security-token)=([^\s&'"<>]{8,})"#),
];

/// Forms that are secrets or personal in logs only.
static IN_LOGS: [Shape; 8] = [
    shape(rules::SCHEME, 1, r"(?i)\bbearer\s+([A-Za-z0-9._~+/=-]{8,})"),
    shape(
        rules::SCHEME,
        1,
        r"\b[Bb]asic\s+([A-Za-z0-9+/]{7,}(?:[A-Z0-9+/][A-Za-z0-9+/]*={1,2}|[a-z][A-Z][A-Za-z0-9+/]+|[0-9][A-Za-z0-9+/]+))",
    ),
    shape(rules::EMAIL, 0, r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}"),
    shape(rules::WRITTEN_EMAIL, 0, r"[\w.+-]+(?:%40|\\u0040|&#64;)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"),
    shape(rules::COMMAND, 1, r#"(?i)\b(?:mysql|mysqldump|mysqladmin|mariadb|mariadb-dump)\b[^\n|;&]*?\s-p([^\s'"]+)"#),
    shape(
        rules::COMMAND,
        1,
        r#"(?i)\b(?:sshpass|docker\s+login|podman\s+login|htpasswd|odoo(?:-bin)?|ldap\w+)\b[^\n|;&]*?\s(?:-p|--?w|-b\s+\S+\s+\S+)[\s=]*['"]?([^\s'"*-][^\s'"]*)"#,
    ),
    shape(rules::COMMAND, 1, r#"(?i)\bcurl\b[^\n|;]*?\s(?:-u|--user|--proxy-user)[\s=]*['"]?[^\s:'"]+:([^\s'"]+)"#),
    shape(rules::COMMAND, 1, r"(?m)^[\w.*-]+:(?:\d{2,5}|\*):[^:\s]+:[^:\s]+:(\S+)$"),
];

static ARMOUR: Pattern = Pattern::new(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----");
static ARMOUR_END: Pattern = Pattern::new(r"-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----");
/// The most bytes of a private key.
const KEY_REACH: usize = 16 * 1024;

/// Private keys: up to their end, or where that is lost as many lines as may be of one.
fn private_keys(text: &str, spans: &mut Spans) {
    for begin in ARMOUR.ranges(text, 0) {
        let reach = &text[begin.end..text.floor_char_boundary(begin.end + KEY_REACH)];
        let reach = &reach[..ARMOUR.ranges(reach, 0).next().map_or(reach.len(), |next| next.start)];
        let ended = ARMOUR_END.ranges(reach, 0).next().map(|end| end.end);
        let is_of_a_key = |line: &str| line.trim().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=\\\"',-:".contains(&byte));
        let lost = || reach.split_inclusive('\n').take_while(|line| is_of_a_key(line)).map(str::len).sum::<usize>();
        let end = ended.unwrap_or_else(lost);
        spans.push(begin.start..begin.end + reach[..end].trim_end().len());
    }
}

/// Finds the forms that are secrets anywhere.
pub fn find(text: &str, seen: &Seen, spans: &mut Spans) {
    if seen.has(rules::PEM) {
        private_keys(text, spans);
    }
    find_all(&SHAPES, text, seen, spans);
}

/// Finds the forms that are secrets or personal in logs.
pub fn find_in_logs(text: &str, seen: &Seen, spans: &mut Spans) {
    find_all(&IN_LOGS, text, seen, spans);
}

fn find_all(shapes: &'static [Shape], text: &str, seen: &Seen, spans: &mut Spans) {
    for shape in shapes.iter().filter(|shape| seen.has(shape.rule)) {
        shape.pattern.ranges(text, shape.group).for_each(|range| spans.push(range));
    }
}
