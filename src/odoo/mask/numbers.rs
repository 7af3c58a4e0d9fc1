//! Numbers that tell who somebody is or what is theirs: payment cards and accounts by their check digits, telephones by their form. And keys
//! of Fernet, which only their length tells.

use std::ops::Range;

use super::keywords::{Seen, rules};
use super::spans::Spans;

/// Letters and digits of an account number (ISO 13616), by its country.
const IBAN_LENGTHS: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NL", 18),
    ("NO", 15),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("SA", 24),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
];

/// Words before a telephone number.
const PHONE_WORDS: &[&str] = &[
    "phone",
    "phon",
    "mobile",
    "mobil",
    "telefon",
    "telefoon",
    "telefono",
    "teléfono",
    "téléphone",
    "telephone",
    "tel",
    "tél",
    "telnr",
    "movil",
    "móvil",
    "handy",
    "gsm",
    "fax",
    "whatsapp",
    "portable",
    "rufnummer",
    "sms",
    "cell",
    "mobiel",
    "mob",
];

/// Finds cards, accounts, telephones and keys of Fernet.
pub fn find(text: &str, seen: &Seen, spans: &mut Spans) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if byte == b'=' {
            if let Some(key) = fernet_key(bytes, at) {
                spans.push(key);
            }
            at += 1;
        } else if byte.is_ascii_digit() && (at == 0 || !bytes[at - 1].is_ascii_digit()) {
            if let Some(account) = iban(text, at) {
                at = account.end;
                spans.push(account);
                continue;
            }
            // Most numbers of a log are short and stand alone.
            let length = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if length < 7 && !bytes.get(at + length).is_some_and(|byte| matches!(byte, b' ' | b'.' | b'-' | b'/' | b'(' | b')')) {
                at += length;
                continue;
            }
            let run = Run::at(bytes, at);
            if let Some(number) = run.number(text, seen.has(rules::PHONE)) {
                at = number.end;
                spans.push(number);
                continue;
            }
            at = run.end().max(at + 1);
        } else {
            at += 1;
        }
    }
}

/// The most groups of digits that a number is written in.
const GROUPS: usize = 9;

/// Digits in groups, with what stands between groups of a number that people write.
#[derive(Debug, Clone)]
struct Run {
    bounds: [(usize, usize); GROUPS],
    count: usize,
}

impl Run {
    fn at(bytes: &[u8], start: usize) -> Self {
        let mut run = Self { bounds: [(0, 0); GROUPS], count: 0 };
        let mut at = start;
        loop {
            let from = at;
            while at < bytes.len() && bytes[at].is_ascii_digit() {
                at += 1;
            }
            run.bounds[run.count] = (from, at);
            run.count += 1;
            let mut next = at;
            while next < bytes.len() && next < at + 3 && matches!(bytes[next], b' ' | b'.' | b'-' | b'/' | b'(' | b')') {
                next += 1;
            }
            if next == at || run.count == GROUPS || !bytes.get(next).is_some_and(u8::is_ascii_digit) {
                return run;
            }
            at = next;
        }
    }

    fn groups(&self) -> impl DoubleEndedIterator<Item = Range<usize>> + ExactSizeIterator + '_ {
        self.bounds[..self.count].iter().map(|(start, end)| *start..*end)
    }

    fn group(&self, number: usize) -> Range<usize> {
        self.bounds[number].0..self.bounds[number].1
    }

    fn end(&self) -> usize {
        self.bounds[self.count.saturating_sub(1)].1
    }

    fn digits(&self) -> usize {
        self.groups().map(|group| group.len()).sum()
    }

    fn has_lengths(&self, lengths: &[usize]) -> bool {
        self.count >= lengths.len() && self.groups().zip(lengths).all(|(group, length)| group.len() == *length)
    }

    /// The first number of somebody in it. Other digits may stand after it, before a card too.
    fn number(&self, text: &str, has_word: bool) -> Option<Range<usize>> {
        let bytes = text.as_bytes();
        let digits = self.digits();
        if digits < 7 {
            return None;
        }
        if digits >= 13
            && let Some(card) = (0..self.count).find_map(|first| card(bytes, self, first))
        {
            return Some(card);
        }
        let start = self.bounds[0].0;
        let may_be_phone = has_word
            || bytes[start] == b'0'
            || start > 0 && matches!(bytes[start - 1], b'+' | b'B')
            || self.has_lengths(&[3, 3, 4])
            || self.has_lengths(&[1, 3, 3, 4]);
        if !may_be_phone {
            return None;
        }
        (1..=self.count).rev().find_map(|count| phone(text, &Self { count, ..self.clone() }, has_word))
    }
}

fn is_word(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80)
}

/// A payment card: whole groups, as many digits as the brand has, and the check digit of Luhn.
fn card(bytes: &[u8], run: &Run, first: usize) -> Option<Range<usize>> {
    let groups = run.groups().skip(first);
    let first = run.group(first);
    if first.start > 0 && (is_word(bytes, first.start - 1) || matches!(bytes[first.start - 1], b'.' | b'-' | b'+')) {
        return None;
    }
    let mut digits: Vec<u8> = Vec::with_capacity(19);
    let mut last = first.start;
    for group in groups {
        let between = &bytes[last..group.start];
        if group.start > first.start && !(between == b" " || between == b"-") {
            break;
        }
        digits.extend(bytes[group.clone()].iter().map(|byte| byte - b'0'));
        last = group.end;
        if digits.len() > 19 {
            break;
        }
        // `-` and a letter, or a group of more digits than cards are printed with: the parts of a UUID.
        let goes_on = matches!(bytes.get(last), Some(b'.' | b'-')) && is_word(bytes, last + 1);
        let ends = !is_word(bytes, last) && !goes_on && (group.start == first.start || group.len() <= 7 && first.len() <= 7);
        if ends && is_card(&digits) {
            return Some(first.start..last);
        }
    }
    None
}

fn is_card(digits: &[u8]) -> bool {
    let leading = |n: usize| digits.iter().take(n).fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
    let fits = match digits.len() {
        13 | 19 => leading(1) == 4,
        14 => matches!(leading(2), 36 | 38 | 39) || (300..=305).contains(&leading(3)),
        15 => matches!(leading(2), 34 | 37),
        16 => {
            leading(1) == 4
                || (51..=55).contains(&leading(2))
                || (2221..=2720).contains(&leading(4))
                || leading(4) == 6011
                || leading(2) == 65
                || (644..=649).contains(&leading(3))
                || (3528..=3589).contains(&leading(4))
        }
        _ => false,
    };
    fits && luhn(digits) && digits.iter().any(|digit| *digit != digits[0])
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match u32::from(*digit) * if place % 2 == 1 { 2 } else { 1 } {
            doubled if doubled > 9 => doubled - 9,
            other => other,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// An account whose two check digits start at `at`.
fn iban(text: &str, at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let start = at.checked_sub(2)?;
    let country = text.get(start..at)?;
    if !country.bytes().all(|byte| byte.is_ascii_alphabetic()) || start > 0 && is_word(bytes, start - 1) {
        return None;
    }
    let country = country.to_ascii_uppercase();
    let length = IBAN_LENGTHS.iter().find(|(code, _)| *code == country)?.1;
    let mut signs: Vec<u8> = Vec::with_capacity(length);
    let mut end = start;
    while signs.len() < length {
        match bytes.get(end)? {
            byte if byte.is_ascii_alphanumeric() => signs.push(byte.to_ascii_uppercase()),
            b' ' | b'-' | b'+' | b'.' if end > at && bytes.get(end - 1).is_some_and(u8::is_ascii_alphanumeric) => {}
            _ => return None,
        }
        end += 1;
    }
    if is_word(bytes, end) || !signs[2..4].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let remainder = signs[4..].iter().chain(&signs[..4]).fold(0_u32, |rest, sign| match sign {
        digit @ b'0'..=b'9' => (rest * 10 + u32::from(digit - b'0')) % 97,
        letter => (rest * 100 + u32::from(letter - b'A') + 10) % 97,
    });
    (remainder == 1).then_some(start..end)
}

/// A telephone number: by its form alone where that is one of telephones only, else after a word for it.
fn phone(text: &str, run: &Run, has_word: bool) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let start = run.group(0).start;
    let before = start.checked_sub(1).map(|at| bytes[at]);
    // After the code of a country a year is none.
    let may_hold_a_date = before != Some(b'+') || run.group(0).len() > 3;
    if is_word(bytes, run.end()) || may_hold_a_date && holds_a_date(bytes, run) {
        return None;
    }
    let whole = |from: usize| from..run.end();
    // `+49 (0)30 …`; `%2B` and `&#43;` are the same sign.
    if before == Some(b'+') && (start < 2 || !is_word(bytes, start - 2) && bytes[start - 2] != b'+') && (8..=16).contains(&run.digits()) {
        return Some(whole(start - 1));
    }
    if text.get(..start)?.ends_with("%2B") && (8..=16).contains(&run.digits()) {
        return Some(whole(start));
    }
    if before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte >= 0x80) {
        return None;
    }
    if has_word && (7..=16).contains(&run.digits()) && after_phone_word(text, start) {
        return Some(whole(start));
    }
    if before.is_some_and(|byte| matches!(byte, b'.' | b',' | b':' | b'-' | b'_' | b'/' | b'=' | b'%' | b'#' | b'\\' | b'$' | b'@')) {
        return None;
    }
    let first = text.get(run.group(0))?;
    let is = |lengths: &[usize]| run.count == lengths.len() && run.has_lengths(lengths);
    let separators = |sign: &[u8]| run.bounds[..run.count].windows(2).all(|pair| &bytes[pair[0].1..pair[1].0] == sign);
    let international = first.starts_with("00") && !first.starts_with("000") && first.len() >= 4 && (10..=17).contains(&run.digits());
    let american = is(&[3, 3, 4]) && (separators(b"-") || separators(b"."))
        || is(&[1, 3, 3, 4]) && separators(b"-")
        || is(&[3, 3, 4]) && before == Some(b'(') && &bytes[run.bounds[0].1..run.bounds[1].0] == b") ";
    let french = is(&[2, 2, 2, 2, 2]) && first.starts_with('0') && (separators(b" ") || separators(b"."));
    let national = first.len() >= 2
        && first.len() <= 5
        && first.starts_with('0')
        && !first.starts_with("00")
        && (9..=12).contains(&run.digits())
        && run.groups().skip(1).any(|group| group.len() >= 3);
    (international || american || french || national).then(|| whole(if before == Some(b'(') { start - 1 } else { start }))
}

/// `2026-01-31`, `31.01.2026`, `20260131`: a year beside a day or a month, or all three.
fn holds_a_date(bytes: &[u8], run: &Run) -> bool {
    let is_year = |group: &Range<usize>| bytes[group.clone()].starts_with(b"19") || bytes[group.clone()].starts_with(b"20");
    let number = |range: Range<usize>| bytes[range].iter().fold(0_u32, |number, byte| number * 10 + u32::from(byte - b'0'));
    let is_day = |at: usize| (1..=12).contains(&number(at..at + 2)) && (1..=31).contains(&number(at + 2..at + 4));
    let whole = run.groups().any(|group| group.len() == 8 && is_year(&group) && is_day(group.start + 4));
    whole
        || (1..run.count).any(|second| {
            let (one, two) = (run.group(second - 1), run.group(second));
            let joined = one.end + 1 == two.start && matches!(bytes[one.end], b'-' | b'/' | b'.');
            joined && (one.len() == 4 && is_year(&one) && two.len() <= 2 || two.len() == 4 && is_year(&two) && one.len() <= 2)
        })
}

/// Whether one of the last words on the line before is one for telephones.
fn after_phone_word(text: &str, start: usize) -> bool {
    let from = text.ceil_char_boundary(start.saturating_sub(32));
    let before = text[from..start].rsplit('\n').next().unwrap_or_default();
    let words = before.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    words.rev().take(4).any(|word| PHONE_WORDS.contains(&word.to_lowercase().as_str()))
}

/// Thirty-two bytes in the alphabet for addresses end in one `=`; with capitals, small letters and digits it is no word.
fn fernet_key(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    const LENGTH: usize = 43;
    let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let start = at.checked_sub(LENGTH)?;
    let key = &bytes[start..at];
    let alone = (start == 0 || !is_sign(bytes[start - 1]) && !matches!(bytes[start - 1], b'+' | b'/' | b'.' | b'%'))
        && !bytes.get(at + 1).is_some_and(|byte| is_sign(*byte) || matches!(byte, b'=' | b'+' | b'/'));
    let mixed = key.iter().any(u8::is_ascii_digit) && key.iter().any(u8::is_ascii_uppercase) && key.iter().any(u8::is_ascii_lowercase);
    (alone && mixed && key.iter().all(|byte| is_sign(*byte))).then_some(start..at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let mut spans = Spans::default();
        find(text, &Seen::of(text), &mut spans);
        let masked = spans.apply(text).into_owned();
        masked.match_indices("***").map(|(at, _)| masked[..at].to_owned()).collect()
    }

    #[test]
    fn check_digits_decide() {
        for text in
            ["4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005", "DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"]
        {
            assert_eq!(found(&format!("paid with {text}.")).len(), 1, "{text}");
        }
        for text in ["4111 1111 1111 1112", "DE88 3704 0044 0532 0130 00", "1732873862123", "1732873862123456789", "DE8937040044053201300"]
        {
            assert!(found(&format!("paid with {text}.")).is_empty(), "{text}");
        }
    }

    #[test]
    fn times_and_ids_are_no_telephones() {
        for text in [
            "2026-11-20 09:14:02,045 412712 ERROR shop odoo.http: x",
            "127.0.0.1 - - [20/Nov/2026 09:14:02] \"GET / HTTP/1.1\" 200 - 12 0.004 0.012",
            "res.partner(1, 2, 33333333)",
            "550e8400-e29b-41d4-a716-446655440000",
            "0.123456789 and 1e+1012345678 at +0200",
            "01.02.2026 12:30 and 20260131",
            "SO00123456789 0000012345",
        ] {
            assert!(found(text).is_empty(), "{text}");
        }
        for text in [
            "+49 30 1234567",
            "+33 6 12 34 56 78",
            "0049301234567",
            "06 12 34 56 78",
            "030/12345678",
            "(555) 123-4567",
            "555-123-4567",
            "tel: 612345678",
            "'mobile': '612 345 678'",
        ] {
            assert_eq!(found(text).len(), 1, "{text}");
        }
    }
}
