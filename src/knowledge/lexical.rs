//! Texts to terms. A term is a word or a part of an identifier, stemmed, as a number; a text is the weights of its terms, and a query is how
//! rare each of its terms is. Their inner product is BM25 over weighted zones (BM25F), which PostgreSQL computes on sparse vectors.
//!
//! Pure. What a number stands for is not kept: two words may share one, which is rare enough not to matter.

use std::collections::BTreeMap;

use super::chunk::Zone;

/// The version of everything here; stored with what was made by it.
pub const LEXICAL: u32 = 1;

/// The bits of a term's number.
const BITS: u32 = 29;
/// The dimensions of the sparse vectors.
pub const DIMS: i32 = 1 << BITS;
/// The bytes of one zone that are read.
const MAX_BYTES: usize = 64 * 1024;
/// The most different terms that one text has; the sparse vectors of pgvector end at 16,000.
const MAX_TERMS: usize = 2_000;
/// How soon a term's repetition stops to count.
const K1: f32 = 1.2;

/// How much a word of this zone counts, and how many words are usual in it. A fixed length instead of the average: no text has to be
/// weighed again because others came.
const fn zone(zone: Zone) -> (f32, f32) {
    match zone {
        Zone::Name => (3.0, 4.0),
        Zone::Owner => (1.6, 4.0),
        Zone::Members => (1.3, 20.0),
        Zone::Prose => (1.5, 20.0),
        Zone::Body => (1.0, 90.0),
        Zone::Context => (0.6, 4.0),
    }
}

/// Words and parts of identifiers, in lower case and in order: `res.partner_id`, `resPartnerId` and `HTTPError` become `res partner id`,
/// `res partner id` and `http error`. Scripts without spaces are cut into pairs of characters.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = text[..text.floor_char_boundary(MAX_BYTES)].chars().peekable();
    let mut before = ' ';
    let mut unspaced: Option<char> = None;
    while let Some(c) = chars.next() {
        if is_unspaced(c) {
            flush(&mut words, &mut word);
            if let Some(last) = unspaced {
                words.push(String::from_iter([last, c]));
            }
            unspaced = Some(c);
            before = c;
            continue;
        }
        unspaced = None;
        let hump =
            c.is_uppercase() && (before.is_lowercase() || (before.is_uppercase() && chars.peek().is_some_and(|next| next.is_lowercase())));
        let edge = c.is_numeric() != before.is_numeric() && before.is_alphanumeric();
        if hump || edge || !is_word(c) {
            flush(&mut words, &mut word);
        }
        if is_word(c) {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    flush(&mut words, &mut word);
    words
}

fn is_word(c: char) -> bool {
    // Marks belong to the letter before them in Arabic, Hindi and others.
    c.is_alphanumeric() || matches!(c, '\u{0300}'..='\u{036f}' | '\u{064b}'..='\u{065f}' | '\u{0900}'..='\u{0dff}')
}

fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{0e00}'..='\u{0e7f}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}')
}

fn flush(words: &mut Vec<String>, word: &mut String) {
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
}

/// The number of a word. Words that tell nothing have none.
pub fn term(word: &str) -> Option<i32> {
    if word.len() > 60 || STOP.binary_search(&word).is_ok() || (word.len() == 1 && word.is_ascii()) {
        return None;
    }
    let stemmed = if word.is_ascii() && word.len() > 3 {
        rust_stemmers::Stemmer::create(rust_stemmers::Algorithm::English).stem(word)
    } else {
        word.into()
    };
    Some(number(&stemmed))
}

/// Numbers start at 1: 0 counts texts, and sparse vectors count from 1.
fn number(word: &str) -> i32 {
    let hash = blake3::hash(word.as_bytes());
    let bytes = hash.as_bytes();
    let number = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) >> (32 - BITS);
    i32::try_from(number.max(1)).unwrap_or(1).min(DIMS - 1)
}

/// The terms of a text, ordered by number, with what each weighs: at most `1 + K1`.
pub fn weigh(zones: &[(Zone, String)]) -> Vec<(i32, f32)> {
    let mut totals = BTreeMap::<i32, f32>::new();
    for (name, text) in zones {
        let terms: Vec<i32> = words(text).iter().filter_map(|word| term(word)).collect();
        let (weight, usual) = zone(*name);
        // Length counts by half: a long text says more, it is not only longer.
        #[expect(clippy::cast_precision_loss, reason = "a text has fewer words than a float has digits")]
        let damp = 0.5 + 0.5 * (terms.len() as f32 / usual);
        for number in terms {
            *totals.entry(number).or_default() += weight / damp.max(0.5);
        }
    }
    let mut weights: Vec<(i32, f32)> = totals.into_iter().map(|(number, total)| (number, total * (K1 + 1.0) / (total + K1))).collect();
    if weights.len() > MAX_TERMS {
        weights.sort_by(|a, b| b.1.total_cmp(&a.1));
        weights.truncate(MAX_TERMS);
        weights.sort_by_key(|(number, _)| *number);
    }
    weights
}

/// The different terms of a query, in the order in which they first stand there, each with the word that it was.
pub fn query_terms(text: &str) -> Vec<(i32, String)> {
    let mut seen = std::collections::HashSet::new();
    words(text).into_iter().filter_map(|word| Some((term(&word)?, word))).filter(|(number, _)| seen.insert(*number)).collect()
}

/// How much it tells that a text has a term which `texts` of `total` have.
pub fn rarity(texts: u64, total: u64) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "a logarithm of it is all that counts")]
    let (texts, total) = (texts as f32, total.max(texts) as f32);
    (1.0 + (total - texts + 0.5) / (texts + 0.5)).ln()
}

/// Words that tell nothing, sorted.
const STOP: &[&str] = &[
    "a", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "def", "do", "does", "each", "else",
    "false", "for", "from", "has", "have", "if", "import", "in", "into", "is", "it", "its", "may", "must", "no", "none", "not", "of", "on",
    "one", "only", "or", "other", "our", "record", "return", "self", "should", "so", "some", "such", "than", "that", "the", "their",
    "them", "then", "there", "these", "they", "this", "to", "true", "us", "use", "used", "using", "was", "we", "were", "when", "where",
    "which", "will", "with", "you", "your",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_fall_into_words() {
        assert_eq!(words("res.partner_id SaleOrder, HTTPError2"), ["res", "partner", "id", "sale", "order", "http", "error", "2"]);
        assert_eq!(words("没有过账"), ["没有", "有过", "过账"]);
        assert_eq!(words("Größe  naïve"), ["größe", "naïve"]);
    }

    #[test]
    fn forms_of_a_word_are_one_term() {
        assert_eq!(term("invoices"), term("invoice"));
        assert_ne!(term("invoice"), term("order"));
        assert_eq!((term("the"), term("x")), (None, None));
        assert!(STOP.is_sorted());
    }

    #[test]
    fn names_weigh_more_than_bodies() {
        let weights = weigh(&[(Zone::Name, "pickup".to_owned()), (Zone::Body, "zip pickup zip code ".repeat(20))]);
        let of = |word: &str| weights.iter().find(|(number, _)| Some(*number) == term(word)).unwrap().1;
        assert!(of("pickup") > of("code") && of("zip") > of("code"));
        assert!(weights.is_sorted_by_key(|(number, _)| *number));
    }

    #[test]
    fn rare_terms_tell_more() {
        assert!(rarity(1, 1000) > rarity(100, 1000) && rarity(1000, 1000) > 0.0 && rarity(5, 0).is_finite());
    }

    #[test]
    fn garbage_has_terms_within_bounds() {
        for text in ["", "\0\u{1}", "🦀🦀", &"é".repeat(100_000), &"word1 ".repeat(50_000)] {
            assert!(
                weigh(&[(Zone::Body, text.to_owned())]).iter().all(|(number, weight)| (1..DIMS).contains(number) && weight.is_finite())
            );
        }
    }
}
