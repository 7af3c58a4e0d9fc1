//! Texts with made-up secrets and personal data in them: templates, filled by a generator that gives the same values for the same seed.

use anyhow::Context as _;

/// Kind of a planted value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// A password, key or token.
    Secret,
    /// Something about a person.
    Personal,
}

/// A value that must not be readable once the text is masked.
#[derive(Debug, Clone)]
pub struct Planted {
    pub sort: Sort,
    pub value: String,
}

/// One text.
#[derive(Debug)]
pub struct Sample {
    /// Its language and notation, as its template says them.
    pub title: String,
    pub text: String,
    pub planted: Vec<Planted>,
}

/// Fills every template `times` times. A template begins with a line `== LANGUAGE NOTATION`.
pub fn fill(templates: &str, times: u32, seed: u64) -> anyhow::Result<Vec<Sample>> {
    let mut values = Values(seed);
    let mut samples = Vec::new();
    for template in templates.split("\n== ").map(|part| part.trim_start_matches("== ")) {
        let (title, body) = template.split_once('\n').context("a template needs a title and a text")?;
        for _ in 0..times {
            samples.push(sample(title, body, &mut values)?);
        }
    }
    Ok(samples)
}

fn sample(title: &str, body: &str, values: &mut Values) -> anyhow::Result<Sample> {
    let (mut text, mut planted) = (String::new(), Vec::new());
    let mut rest = body;
    while let Some((before, more)) = rest.split_once('{') {
        text.push_str(before);
        match more
            .split_once('}')
            .filter(|(name, _)| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
        {
            Some((name, after)) => {
                let (sort, value) = values.of(name).with_context(|| format!("there is no value of the name {name} ({title})"))?;
                text.push_str(&value);
                planted.extend(sort.map(|sort| Planted { sort, value }));
                rest = after;
            }
            None => {
                text.push('{');
                rest = more;
            }
        }
    }
    text.push_str(rest);
    Ok(Sample { title: title.to_owned(), text, planted })
}

const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const DIGITS: &str = "0123456789";
const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const HEX: &str = "0123456789abcdef";
const FIRST: [&str; 10] = ["Jane", "Lukas", "Amélie", "Íñigo", "Sanne", "Björn", "Zoë", "Matteo", "Chloé", "Jürgen"];
const LAST: [&str; 10] = ["Roe", "Schäfer", "Lefèvre", "Núñez", "de Vries", "Lindqvist", "Van Damme", "Rossi", "Dubois", "Groß"];

/// A generator of values (`SplitMix64`).
struct Values(u64);

impl Values {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most.max(1) as u64).unwrap_or(0)
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len())]
    }

    fn signs(&mut self, alphabet: &str, count: usize) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..count).map(|_| alphabet[self.below(alphabet.len())]).collect()
    }

    /// Signs of each alphabet at least once, in any order.
    fn mixed(&mut self, alphabets: &[&str], count: usize) -> String {
        let mut signs: Vec<char> = alphabets.iter().flat_map(|alphabet| self.signs(alphabet, 1).chars().collect::<Vec<_>>()).collect();
        let all = alphabets.concat();
        signs.extend(self.signs(&all, count.saturating_sub(signs.len())).chars());
        for at in (1..signs.len()).rev() {
            let other = self.below(at + 1);
            signs.swap(at, other);
        }
        signs.into_iter().collect()
    }

    fn of(&mut self, name: &str) -> Option<(Option<Sort>, String)> {
        if let Some(value) = self.personal(name) {
            return Some((Some(Sort::Personal), value));
        }
        if name == "user" {
            return Some((None, format!("{}{}", self.pick(&["jane", "shop", "odoo", "lukas", "integration"]), self.below(90))));
        }
        self.secret(name).map(|value| (Some(Sort::Secret), value))
    }

    fn personal(&mut self, name: &str) -> Option<String> {
        Some(match name {
            "name" => format!("{} {}", self.pick(&FIRST), self.pick(&LAST)),
            "email" => {
                let word = self.signs(LOWER, 7);
                format!("{word}.{}@{}.{}", self.signs(LOWER, 5), self.signs(LOWER, 6), self.pick(&["com", "de", "fr", "es", "nl", "co.uk"]))
            }
            "email_encoded" => format!("{}.{}%40{}.com", self.signs(LOWER, 6), self.signs(LOWER, 5), self.signs(LOWER, 6)),
            "phone_de" => format!("0{} / {}", self.pick(&["30", "89", "221", "40"]), self.number(7)),
            "phone_de_mobile" => format!("017{} {}", self.number(1), self.number(7)),
            "phone_fr" => {
                format!("0{} {} {} {} {}", self.pick(&["1", "6", "7"]), self.number(2), self.number(2), self.number(2), self.number(2))
            }
            "phone_es" => format!("6{} {} {}", self.number(2), self.number(3), self.number(3)),
            "phone_nl" => format!("06-{}", self.number(8)),
            "phone_us" => format!("{}-{}-{}", self.leading(3), self.leading(3), self.number(4)),
            "phone_us_paren" => format!("({}) {}-{}", self.leading(3), self.leading(3), self.number(4)),
            "phone_intl" => match self.below(5) {
                0 => format!("+49 30 {}", self.number(7)),
                1 => format!("+33 6 {} {} {} {}", self.number(2), self.number(2), self.number(2), self.number(2)),
                2 => format!("+34 6{} {} {}", self.number(2), self.number(3), self.number(3)),
                3 => format!("+31 (0)6 {}", self.number(8)),
                _ => format!("0032 4{} {} {} {}", self.number(2), self.number(2), self.number(2), self.number(2)),
            },
            "iban_de" => grouped(&self.iban("DE", 18, DIGITS)),
            "iban_de_plain" => self.iban("DE", 18, DIGITS),
            "iban_fr" => grouped(&self.iban("FR", 23, DIGITS)),
            "iban_es" => grouped(&self.iban("ES", 20, DIGITS)),
            "iban_be" => grouped(&self.iban("BE", 12, DIGITS)),
            "iban_nl" => {
                let account = format!("INGB{}", self.number(10));
                checked("NL", &account)
            }
            "card" => grouped(&self.card("4", 16)),
            "card_plain" => self.card("53", 16),
            "amex" => self.card("37", 15),
            _ => return None,
        })
    }

    fn number(&mut self, count: usize) -> String {
        self.signs(DIGITS, count)
    }

    fn leading(&mut self, count: usize) -> String {
        format!("{}{}", self.signs("23456789", 1), self.number(count - 1))
    }

    fn iban(&mut self, country: &str, count: usize, alphabet: &str) -> String {
        let account = self.signs(alphabet, count);
        checked(country, &account)
    }

    fn card(&mut self, prefix: &str, length: usize) -> String {
        let body = format!("{prefix}{}", self.number(length - prefix.len() - 1));
        let sum: u32 = body
            .bytes()
            .rev()
            .enumerate()
            .map(|(at, byte)| {
                let digit = u32::from(byte - b'0') * if at % 2 == 0 { 2 } else { 1 };
                if digit > 9 { digit - 9 } else { digit }
            })
            .sum();
        format!("{body}{}", (10 - sum % 10) % 10)
    }

    fn secret(&mut self, name: &str) -> Option<String> {
        Some(match name {
            "password" => {
                let length = 8 + self.below(9);
                // Begins with a letter, as nearly all do.
                format!("{}{}", self.signs(LOWER, 1), self.mixed(&[UPPER, LOWER, DIGITS, "!#+-.?_~%^"], length))
            }
            "urlpw" => format!("{}{}", self.signs(LOWER, 1), self.mixed(&[UPPER, LOWER, DIGITS, "-_.~!"], 11)),
            "token" => {
                let length = 20 + self.below(20);
                self.mixed(&[UPPER, LOWER, DIGITS], length)
            }
            "hex32" => self.mixed(&[HEX, DIGITS, "abcdef"], 32),
            "hex40" => self.mixed(&[HEX, DIGITS, "abcdef"], 40),
            "hex64" => self.mixed(&[HEX, DIGITS, "abcdef"], 64),
            "alnum24" => self.mixed(&[UPPER, LOWER, DIGITS], 24),
            "alnum68" => self.mixed(&[UPPER, LOWER, DIGITS], 68),
            "lower26" => self.mixed(&[LOWER, DIGITS], 26),
            "uuid" => format!("{}-{}-4{}-a{}-{}", self.hex(8), self.hex(4), self.hex(3), self.hex(3), self.hex(12)),
            "jwt" => format!("{}{}.{}.{}", "eyJ", self.signs(URL64, 30), self.signs(URL64, 60), self.signs(URL64, 43)),
            "fernet" => format!("{}=", self.mixed(&[UPPER, LOWER, DIGITS, "-_"], 43)),
            "aws_id" => format!("{}{}", "AKIA", self.signs("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
            "aws_secret" => self.mixed(&[UPPER, LOWER, DIGITS, "+/"], 40),
            "basic" => format!("{}=", self.mixed(&[UPPER, LOWER, DIGITS], 23)),
            "telegram" => format!("{}:AA{}", self.number(10), self.signs(URL64, 33)),
            "ghp" => format!("{}_{}", "ghp", self.signs(ALNUM, 36)),
            "glpat" => format!("{}-{}", "glpat", self.signs(URL64, 20)),
            "slack" => format!("{}-{}-{}", "xoxb", self.number(12), self.signs(ALNUM, 24)),
            "stripe" => format!("{}_{}", "sk_live", self.signs(ALNUM, 24)),
            "google" => format!("{}{}", "AIza", self.signs(URL64, 35)),
            "openai" => format!("{}-{}", "sk", self.signs(ALNUM, 48)),
            "sendgrid" => format!("{}.{}.{}", "SG", self.signs(URL64, 22), self.signs(URL64, 43)),
            "npm" => format!("{}_{}", "npm", self.signs(ALNUM, 36)),
            "pypi" => format!("{}-{}", "pypi", self.signs(URL64, 60)),
            "bcrypt" => format!("$2b$12${}", self.signs(ALNUM, 53)),
            "pbkdf2" => format!("$pbkdf2-sha512$600000${}${}", self.signs(ALNUM, 22), self.signs(ALNUM, 86)),
            "azure" => format!("{}==", self.mixed(&[UPPER, LOWER, DIGITS, "+/"], 86)),
            "urlb64" => format!("{}%3D", self.mixed(&[UPPER, LOWER, DIGITS], 43)),
            "pin" => self.leading(4),
            "cvv" => self.leading(3),
            "pemline" => self.signs(BASE64, 64),
            "pem" | "pem_escaped" => {
                let end = if name == "pem" { "\n" } else { "\\n" };
                let body: Vec<String> = (0..4).map(|_| self.signs(BASE64, 64)).collect();
                format!("-----BEGIN {0}-----{end}{1}{end}-----END {0}-----", "RSA PRIVATE KEY", body.join(end))
            }
            _ => return None,
        })
    }

    fn hex(&mut self, count: usize) -> String {
        self.signs(HEX, count)
    }
}

/// In groups of four, as people write it.
fn grouped(number: &str) -> String {
    number.as_bytes().chunks(4).map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ")
}

/// An account number with its check digits.
fn checked(country: &str, account: &str) -> String {
    let rest = account.chars().chain(country.chars()).chain("00".chars()).fold(0_u32, |rest, sign| match sign.to_digit(36) {
        Some(value) if value > 9 => (rest * 100 + value) % 97,
        value => (rest * 10 + value.unwrap_or(0)) % 97,
    });
    format!("{country}{:02}{account}", 98 - rest)
}
