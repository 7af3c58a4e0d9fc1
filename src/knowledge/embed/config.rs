//! The settings of an embedder.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use super::EmbedError;

/// What makes the vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An encoder in this process.
    #[default]
    Local,
    /// Words alone, hashed.
    Hash,
    /// Voyage's API.
    Voyage,
    /// OpenAI's API, or any that speaks like it.
    OpenAi,
}

/// Which embedder, and how it is reached. What is not given depends on `kind`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `local`, `hash`, `voyage` or `openai`.
    pub kind: Kind,
    /// What is stored beside vectors. To be changed whenever the same settings begin to give other vectors. Not given: made of the embedder's own name.
    pub name: Option<String>,
    /// Local: where the weights are. Not given: `embedder` in the runtime folder.
    pub folder: Option<PathBuf>,
    /// Local: threads that work on one call. 0: as many as there are cores.
    pub threads: usize,
    /// Remote: where the API is, without `/embeddings`. Not given: the public one.
    pub base_url: Option<String>,
    /// Remote: what the API calls the embedder. Not given: `voyage-code-3`, `text-embedding-3-small`.
    pub api_name: Option<String>,
    /// The key for Voyage.
    #[serde(deserialize_with = "secret")]
    pub voyage_api_key: Option<SecretString>,
    /// The key for OpenAI, or what speaks like it. Not given: none is sent.
    #[serde(deserialize_with = "secret")]
    pub openai_api_key: Option<SecretString>,
    /// Remote: how many numbers a vector has. Not given: 1024 of Voyage, 1536 of OpenAI.
    pub dims: Option<usize>,
    /// Remote: whether `dims` is sent along. Some servers know vectors of one size only and refuse the word.
    pub send_dims: bool,
    /// Remote: texts in one request.
    pub batch: usize,
    /// Remote: the longest that one try may take, in seconds.
    pub timeout_seconds: u64,
    /// Remote: how often a try that failed for a passing reason is repeated.
    pub max_retries: usize,
    /// Remote: US dollars a million tokens. Not given: the list price of the two embedders named above, else 0.
    pub usd_per_million_tokens: Option<f64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            kind: Kind::Local,
            name: None,
            folder: None,
            threads: 0,
            base_url: None,
            api_name: None,
            voyage_api_key: None,
            openai_api_key: None,
            dims: None,
            send_dims: true,
            batch: 128,
            timeout_seconds: 60,
            max_retries: 4,
            usd_per_million_tokens: None,
        }
    }
}

impl Config {
    /// Where the local weights are.
    pub fn folder(&self, runtime_dir: &Path) -> PathBuf {
        self.folder.clone().unwrap_or_else(|| runtime_dir.join("embedder"))
    }

    /// The given name, or else this one, if it is fit to be stored.
    pub(super) fn name_or(&self, default: &str) -> Result<String, EmbedError> {
        let name = self.name.as_deref().unwrap_or(default);
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.' | '@');
        // It stands in SQL and in names of indexes, so this is a gate and no matter of taste.
        if (1..=60).contains(&name.len()) && name.chars().all(fits) {
            Ok(name.to_owned())
        } else {
            Err(EmbedError::Config(format!("`name` {name:?} must be 1 to 60 of a-z, 0-9, `-`, `_`, `.`, `@`")))
        }
    }
}

/// An empty key is none: shells and compose files set variables to nothing.
fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).map(SecretString::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_lower_case_words() {
        let config: Config = toml::from_str("kind = 'openai'\nopenai_api_key = ' '\ndims = 512").unwrap();
        assert_eq!((config.kind, config.dims, config.openai_api_key.is_none()), (Kind::OpenAi, Some(512), true));
        assert!(toml::from_str::<Config>("kind = 'openia'").is_err());
        assert!(toml::from_str::<Config>("dimensions = 3").is_err());
    }

    #[test]
    fn names_that_sql_would_trip_over_are_refused() {
        for name in ["", "a'b", "A", "ü", &"x".repeat(61)] {
            let config = Config { name: Some(name.to_owned()), ..Config::default() };
            assert!(matches!(config.name_or("ok@1"), Err(EmbedError::Config(_))), "{name}");
        }
        assert_eq!(Config::default().name_or("ok@1").unwrap(), "ok@1");
    }
}
