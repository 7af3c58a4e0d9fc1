//! Texts and vectors that are made up: the same for the same number, on every machine. Pure.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use uuid::Uuid;

use crate::knowledge::chunk::Zone;

/// The numbers of a vector, as many as the local embedder makes.
pub(super) const DIMS: usize = 384;
/// One addon has 1 % of the texts.
pub(super) const MODULES: u64 = 100;
/// The embedder that the vectors are said to be of.
pub(super) const EMBEDDER: &str = "bench-384@1";
/// The length of what is added to a centre of length 1. In a cluster two vectors have a cosine of about 0.67.
const NOISE: f32 = 0.7;
/// The different words of all texts.
const WORDS: u32 = 50_000;

/// What the texts are drawn from.
pub(super) struct Made {
    centres: Vec<Vec<f32>>,
    /// How likely it is that a word is this one or a more common one.
    common: Vec<f64>,
}

/// One made-up text.
pub(super) struct Text {
    pub(super) symbol: String,
    pub(super) odoo_model: String,
    pub(super) content: String,
    pub(super) zones: Vec<(Zone, String)>,
}

impl Made {
    pub(super) fn of(chunks: u32) -> Self {
        let mut random = StdRng::seed_from_u64(7);
        let centres = (0..(chunks / 250).clamp(1_000, 4_000)).map(|_| unit((0..DIMS).map(|_| random.random_range(-1.0..1.0)).collect()));
        let mut total = 0.0;
        let common: Vec<f64> = (1..=WORDS)
            .map(|rank| {
                total += 1.0 / f64::from(rank);
                total
            })
            .collect();
        Self { centres: centres.collect(), common: common.into_iter().map(|sum| sum / total).collect() }
    }

    pub(super) fn centres(&self) -> usize {
        self.centres.len()
    }

    /// The vector of this number: one of the centres and as much noise in every direction, which is harder to tell apart than what
    /// embedders make.
    pub(super) fn vector(&self, number: u64) -> Vec<f32> {
        let mut random = StdRng::seed_from_u64(number << 1);
        let centre = &self.centres[random.random_range(0..self.centres.len())];
        let wide = NOISE * (3.0 / DIMS as f32).sqrt();
        unit(centre.iter().map(|x| x + random.random_range(-wide..wide)).collect())
    }

    /// The text of this number. Its words are as unevenly common as those of a language.
    pub(super) fn text(&self, number: u64) -> Text {
        let mut random = StdRng::seed_from_u64(number << 1 | 1);
        let symbol = self.words(&mut random, 3).join("_");
        let prose = self.words(&mut random, 10).join(" ");
        let body = self.words(&mut random, 40);
        let odoo_model = format!("{}.{}", module(number), body[0]);
        let content = format!("def {symbol}(self):\n    # {prose}\n    return {}", body.join("."));
        let zones = vec![
            (Zone::Name, symbol.clone()),
            (Zone::Owner, odoo_model.clone()),
            (Zone::Prose, prose),
            (Zone::Body, body.join(" ")),
            (Zone::Context, module(number)),
        ];
        Text { symbol, odoo_model, content, zones }
    }

    /// A question about the text of this number: some of its words, some that anybody uses.
    pub(super) fn question(&self, number: u64) -> String {
        let text = self.text(number);
        let mut random = StdRng::seed_from_u64(u64::MAX - number);
        let (_, prose) = &text.zones[2];
        let own: Vec<&str> = prose.split(' ').take(6).chain(text.symbol.split('_').take(1)).collect();
        format!("{} {}", own.join(" "), self.words(&mut random, 4).join(" "))
    }

    /// An error that names what the text of this number defines.
    pub(super) fn error(&self, number: u64) -> String {
        let text = self.text(number);
        format!(
            "Traceback (most recent call last):\n  File \"/srv/odoo/addons/{0}/models/thing.py\", line 41, in action_go\n    self.{1}()\n\
             AttributeError: '{2}' object has no attribute '{1}'",
            module(number),
            text.symbol,
            text.odoo_model
        )
    }

    fn words(&self, random: &mut StdRng, n: usize) -> Vec<String> {
        (0..n)
            .map(|_| {
                let at: f64 = random.random_range(0.0..1.0);
                word(self.common.partition_point(|sum| *sum < at))
            })
            .collect()
    }
}

/// The addon of this number.
pub(super) fn module(number: u64) -> String {
    format!("m{:03}", number % MODULES)
}

/// The id of this number.
pub(super) fn id(number: u64) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | u128::from(number))
}

/// Three syllables, no two words alike.
fn word(rank: usize) -> String {
    const CONSONANTS: &[u8; 16] = b"bdfgjklmnprstvwz";
    const VOWELS: &[u8; 4] = b"aiou";
    let mut rest = rank;
    let mut word = String::with_capacity(6);
    for _ in 0..3 {
        word.push(char::from(CONSONANTS[rest % 16]));
        word.push(char::from(VOWELS[rest / 16 % 4]));
        rest /= 64;
    }
    word
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= length);
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_number_is_the_same_text() {
        let (a, b) = (Made::of(1_000), Made::of(1_000));
        assert_eq!((a.vector(5), a.question(5)), (b.vector(5), b.question(5)));
        assert_ne!(a.vector(5), a.vector(6));
        assert_ne!(a.text(5).content, a.text(6).content);
        assert!((a.vector(5).iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-4);
    }

    #[test]
    fn words_are_all_different() {
        let words: std::collections::HashSet<String> = (0..WORDS as usize).map(word).collect();
        assert_eq!(words.len(), WORDS as usize);
    }
}
