//! The settings of this room.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use super::pricing::{Price, table};

/// How Claude is reached and what it may use.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The API key. Without one Claude is never asked.
    #[serde(deserialize_with = "secret")]
    pub api_key: Option<SecretString>,
    /// Where the API is, without `/v1/messages`.
    pub base_url: String,
    /// The value of the `anthropic-version` header.
    pub version: String,
    /// The Claude model that is asked. It needs an entry in `prices`.
    pub claude_model: String,
    /// The most tokens of one answer, thinking included.
    pub max_tokens: u32,
    /// The longest that one try may take, in seconds.
    pub timeout_seconds: u64,
    /// How often a try that failed for a passing reason is repeated.
    pub max_retries: usize,
    /// US dollars a million tokens, by Claude model. What is given here is added to the built-in table.
    #[serde(deserialize_with = "over_the_table")]
    pub prices: BTreeMap<String, Price>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            api_key: None,
            base_url: "https://api.anthropic.com".to_owned(),
            version: "2026-10-21".to_owned(),
            claude_model: "claude-sonnet-5-5".to_owned(),
            max_tokens: 16_000,
            timeout_seconds: 300,
            max_retries: 2,
            prices: table(),
        }
    }
}

/// An empty key is none: shells and compose files set variables to nothing.
fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).map(SecretString::from))
}

fn over_the_table<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Price>, D::Error> {
    let mut prices = table();
    prices.extend(BTreeMap::<String, Price>::deserialize(deserializer)?);
    Ok(prices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn given_prices_join_the_table() {
        let config: Config = toml::from_str(
            "api_key = ' sk-1 '\n[prices.claude-next-1]\ninput = 1\noutput = 2.5\ncache_read = 0.1\ncache_write_5m = 1.25\n",
        )
        .unwrap();
        assert_eq!(config.api_key.unwrap().expose_secret(), "sk-1");
        assert!(config.prices.contains_key("claude-next-1") && config.prices.contains_key("claude-sonnet-5-5"));
    }

    #[test]
    fn empty_key_is_none() {
        assert!(toml::from_str::<Config>("api_key = ''").unwrap().api_key.is_none());
    }

    #[test]
    fn unknown_setting_is_refused() {
        assert!(toml::from_str::<Config>("api_kee = 'x'").is_err());
    }
}
