//! What tokens cost. Prices are settings with a built-in table, so that a new price needs no new program.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::wire::Usage;
use crate::domain::Cost;

/// Prices of one Claude model, in US dollars a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Tokens sent that no cache knows.
    pub input: f64,
    /// Tokens received, thinking included.
    pub output: f64,
    /// Tokens read from the prompt cache.
    pub cache_read: f64,
    /// Tokens written to the prompt cache for five minutes.
    pub cache_write_5m: f64,
    /// A dearer rate for long prompts, where there is one.
    #[serde(default)]
    pub long_prompt: Option<LongPrompt>,
}

/// Above so many tokens of prompt, cached ones counted, every token of the call costs `times` as much.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongPrompt {
    /// The longest prompt at the plain rate.
    pub above_tokens: u64,
    /// How much dearer a longer one is.
    pub times: f64,
}

impl Price {
    /// What this usage cost.
    pub(super) fn of(&self, usage: &Usage) -> Cost {
        let usage = usage.counts();
        let times = self.times(usage.input + usage.cache_read + usage.cache_write);
        let per_million = usage.input as f64 * self.input
            + usage.output as f64 * self.output
            + usage.cache_read as f64 * self.cache_read
            + usage.cache_write as f64 * self.cache_write_5m;
        Cost { usd: per_million * times / 1e6, input_tokens: usage.input, output_tokens: usage.output, cache_read_tokens: usage.cache_read }
    }

    /// The most that a prompt of so many bytes and an answer of so many tokens can cost, in US dollars. Source code comes near
    /// three bytes a token, dense text lower: two is on the safe side.
    pub(super) fn most(&self, prompt_bytes: usize, output: u64) -> f64 {
        let prompt = prompt_bytes.div_ceil(2) as u64;
        (prompt as f64 * self.input.max(self.cache_write_5m) + output as f64 * self.output) * self.times(prompt) / 1e6
    }

    /// Says what is wrong with prices that would make a call look free.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let rates = [self.input, self.output, self.cache_read, self.cache_write_5m, self.long_prompt.map_or(1.0, |long| long.times)];
        if rates.iter().all(|rate| rate.is_finite() && *rate > 0.0) { Ok(()) } else { Err("every rate must be above zero") }
    }

    fn times(&self, prompt: u64) -> f64 {
        self.long_prompt.filter(|long| prompt > long.above_tokens).map_or(1.0, |long| long.times)
    }
}

/// The built-in prices, as published on platform.claude.com in November 2026.
pub(super) fn table() -> BTreeMap<String, Price> {
    let price = |input, output, cache_read, cache_write_5m| Price { input, output, cache_read, cache_write_5m, long_prompt: None };
    let haiku = Price { long_prompt: Some(LongPrompt { above_tokens: 100_000, times: 5.0 }), ..price(0.10, 0.50, 0.01, 0.125) };
    BTreeMap::from([
        ("claude-fable-5-1".to_owned(), price(10.0, 50.0, 0.25, 12.5)),
        ("claude-opus-5-5".to_owned(), price(4.0, 20.0, 0.20, 5.0)),
        ("claude-sonnet-5-5".to_owned(), price(2.0, 10.0, 0.10, 2.5)),
        ("claude-haiku-5-5".to_owned(), haiku),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, output: u64, cache_read: u64, cache_write: u64) -> Usage {
        serde_json::from_value(serde_json::json!({
            "input_tokens": input, "output_tokens": output,
            "cache_read_input_tokens": cache_read, "cache_creation_input_tokens": cache_write,
        }))
        .unwrap()
    }

    #[test]
    fn every_kind_of_token_is_billed() {
        let cost = table()["claude-sonnet-5-5"].of(&usage(1_000_000, 100_000, 2_000_000, 400_000));
        assert!((cost.usd - (2.0 + 1.0 + 0.2 + 1.0)).abs() < 1e-9, "{cost:?}");
        assert_eq!((cost.input_tokens, cost.output_tokens, cost.cache_read_tokens), (1_000_000, 100_000, 2_000_000));
    }

    #[test]
    fn long_prompt_of_haiku_costs_five_times() {
        let haiku = table()["claude-haiku-5-5"];
        let plain = haiku.of(&usage(50_000, 1_000, 50_000, 0)).usd;
        assert!((plain - (0.005 + 0.0005 + 0.0005)).abs() < 1e-9, "{plain}");
        let long = haiku.of(&usage(50_001, 1_000, 50_000, 0)).usd;
        assert!(long > 4.9 * plain, "{long}");
    }

    #[test]
    fn counts_that_lie_do_not_overflow() {
        let cost = table()["claude-haiku-5-5"].of(&usage(u64::MAX, u64::MAX, u64::MAX, u64::MAX));
        assert!(cost.usd.is_finite());
    }

    #[test]
    fn free_price_is_refused() {
        assert!(Price { output: 0.0, ..table()["claude-opus-5-5"] }.check().is_err());
        assert!(Price { input: f64::NAN, ..table()["claude-opus-5-5"] }.check().is_err());
        assert!(table().values().all(|price| price.check().is_ok()));
    }
}
