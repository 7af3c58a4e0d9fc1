//! The embedder in this process: a small sentence encoder on the CPU. It talks to nobody, and the same text always gives the same vector, alone or
//! among others.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use tokenizers::{Tokenizer, TruncationParams};
use tokio::sync::Semaphore;

use super::bert::{Bert, Scratch};
use super::{Config, EmbedError, normalised, weights};

/// The name of all-MiniLM-L6-v2, mean of the last states, cut at [`MAX_TOKENS`].
const MINILM: &str = "minilm-l6@1";
/// The hash of its weights (BLAKE3; SHA-256 53aa5117…, as published by sentence-transformers).
const MINILM_DIGEST: &str = "8087e9bf97c265f8";
/// The most tokens of a text that are read; the encoder was trained on 128.
const MAX_TOKENS: usize = 256;
/// The most bytes of a text that are looked at: more than that many tokens ever are.
const MAX_BYTES: usize = 8 * 1024;
/// Tokens in one matrix: enough to keep the multiplier busy, few enough to stay in the cache.
const GROUP_TOKENS: usize = 256;
const FILES: [&str; 3] = ["config.json", "tokenizer.json", "model.safetensors"];

/// An encoder whose weights are in a folder. They are read when the first vector is asked for.
#[derive(Debug)]
pub struct LocalEmbedder {
    name: String,
    dims: usize,
    threads: usize,
    folder: PathBuf,
    loaded: Arc<OnceLock<Result<Loaded, String>>>,
    /// Permits for calls at the same time, as many as threads: more would be no faster, and each holds some megabytes.
    turns: Arc<Semaphore>,
}

#[derive(Debug)]
struct Loaded {
    bert: Bert,
    tokenizer: Tokenizer,
    /// Memory of earlier calls, used again: asked for anew each time, its pieces of ever other sizes would scatter over the heap.
    idle: Mutex<Vec<Scratch>>,
}

impl LocalEmbedder {
    /// Whether all its files are there.
    pub fn installed(folder: &Path) -> bool {
        FILES.iter().all(|file| folder.join(file).is_file())
    }

    /// The embedder in this folder. Reads only what describes it.
    pub fn open(config: &Config, folder: &Path) -> Result<Self, EmbedError> {
        let shape = weights::shape(folder).map_err(|problem| broken(folder, &problem))?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if config.threads == 0 { cores } else { config.threads.min(256) };
        Ok(Self {
            name: config.name_or(MINILM)?,
            dims: shape.hidden_size,
            threads,
            turns: Arc::new(Semaphore::new(threads)),
            folder: folder.to_owned(),
            loaded: Arc::default(),
        })
    }

    /// Name and version, as stored.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many numbers a vector has.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// One vector a text, of length 1.
    pub async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let texts: Vec<String> = texts.iter().map(|text| text[..text.floor_char_boundary(MAX_BYTES)].to_owned()).collect();
        let (loaded, folder, name, threads) = (Arc::clone(&self.loaded), self.folder.clone(), self.name.clone(), self.threads);
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| EmbedError::Bug("its turns are closed"))?;
        let work = move || {
            // Held by the work and not by whoever waits for it: that one may go away earlier.
            let _turn = turn;
            let loaded = loaded.get_or_init(|| load(&folder, &name)).as_ref().map_err(|problem| broken(&folder, problem))?;
            loaded.embed(&texts, threads)
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| EmbedError::Bug("its thread died"))?
    }
}

fn broken(folder: &Path, problem: &str) -> EmbedError {
    EmbedError::Weights { folder: folder.display().to_string(), problem: problem.to_owned() }
}

fn load(folder: &Path, name: &str) -> Result<Loaded, String> {
    let (bert, digest) = weights::read(folder)?;
    // Vectors of other weights under the same name would be compared with the stored ones and mean nothing.
    if name == MINILM && digest != MINILM_DIGEST {
        return Err(format!("these are not the weights of {MINILM}; to use others, give them a `name` of their own"));
    }
    let description = weights::description(&folder.join("tokenizer.json"))?;
    let mut tokenizer = Tokenizer::from_bytes(description).map_err(|error| format!("tokenizer.json cannot be used: {error}"))?;
    tokenizer.with_padding(None);
    let max_length = MAX_TOKENS.min(bert.shape.max_position_embeddings);
    let cut = TruncationParams { max_length, ..TruncationParams::default() };
    tokenizer.with_truncation(Some(cut)).map_err(|error| format!("tokenizer.json cannot be used: {error}"))?;
    if tokenizer.get_vocab_size(true) > bert.shape.vocab_size {
        return Err("tokenizer.json knows more tokens than there are weights for".to_owned());
    }
    Ok(Loaded { bert, tokenizer, idle: Mutex::default() })
}

impl Loaded {
    fn embed(&self, texts: &[String], threads: usize) -> Result<Vec<Vec<f32>>, EmbedError> {
        let tokens = texts.iter().map(|text| self.tokens(text)).collect::<Result<Vec<_>, _>>()?;
        let groups = groups(&tokens);
        let next = AtomicUsize::new(0);
        let work = || {
            let (mut done, mut scratch) = (Vec::new(), self.idle.lock().ok().and_then(|mut idle| idle.pop()).unwrap_or_default());
            while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                done.push((group.start, self.bert.means(&tokens[group.clone()], &mut scratch)));
            }
            if let Ok(mut idle) = self.idle.lock()
                && idle.len() < threads
            {
                idle.push(scratch);
            }
            done
        };
        let mut parts = std::thread::scope(|scope| {
            // This thread works too, so that a single text starts no other.
            let others: Vec<_> = (1..threads.min(groups.len())).map(|_| scope.spawn(work)).collect();
            let mut parts = work();
            for other in others {
                parts.extend(other.join().map_err(|_| EmbedError::Bug("a thread of it died"))?);
            }
            Ok::<_, EmbedError>(parts)
        })?;
        parts.sort_by_key(|(start, _)| *start);
        Ok(parts.into_iter().flat_map(|(_, vectors)| vectors).map(normalised).collect())
    }

    fn tokens(&self, text: &str) -> Result<Vec<u32>, EmbedError> {
        let encoding = self.tokenizer.encode_fast(text, true).map_err(|_| EmbedError::Bug("a text that has no tokens"))?;
        let ids = encoding.get_ids();
        if ids.is_empty() || ids.iter().any(|id| *id as usize >= self.bert.shape.vocab_size) {
            return Err(EmbedError::Bug("tokens without weights"));
        }
        Ok(ids.to_vec())
    }
}

/// Neighbours that go through the layers together.
fn groups(tokens: &[Vec<u32>]) -> Vec<std::ops::Range<usize>> {
    let (mut groups, mut start, mut sum) = (Vec::new(), 0, 0);
    for (index, text) in tokens.iter().enumerate() {
        if index > start && sum + text.len() > GROUP_TOKENS {
            groups.push(start..index);
            (start, sum) = (index, 0);
        }
        sum += text.len();
    }
    if start < tokens.len() {
        groups.push(start..tokens.len());
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_hold_every_text_once() {
        let texts: Vec<Vec<u32>> = [3, 300, 100, 100, 100, 1].iter().map(|length| vec![0; *length]).collect();
        assert_eq!(groups(&texts), [0..1, 1..2, 2..4, 4..6]);
        assert!(groups(&[]).is_empty());
    }

    #[test]
    fn damaged_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |config: &str| {
            std::fs::write(folder.path().join("config.json"), config).unwrap();
            LocalEmbedder::open(&Config::default(), folder.path()).unwrap_err().to_string()
        };
        let zero = r#"{"hidden_size":0,"intermediate_size":1,"num_hidden_layers":1,"num_attention_heads":1,"vocab_size":1,
                       "max_position_embeddings":512,"layer_norm_eps":1e-12}"#;
        for config in ["", "[]", zero] {
            let error = refused(config);
            assert!(error.contains("config.json") && error.contains("make setup"), "{error}");
        }
        assert!(!LocalEmbedder::installed(folder.path()));
    }

    #[tokio::test]
    async fn damaged_weights_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let config = r#"{"hidden_size":4,"intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":2,"vocab_size":9,
                         "max_position_embeddings":8,"layer_norm_eps":1e-12}"#;
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let embedder = LocalEmbedder::open(&Config::default(), folder.path()).unwrap();
        for garbage in [&b""[..], b"\xff\xff\xff\xff\xff\xff\xff\xff{}", b"\x02\0\0\0\0\0\0\0{}"] {
            std::fs::write(folder.path().join("model.safetensors"), garbage).unwrap();
            let embedder = LocalEmbedder::open(&Config::default(), folder.path()).unwrap();
            assert!(matches!(embedder.embed(&["x"]).await, Err(EmbedError::Weights { .. })), "{garbage:?}");
        }
        assert_eq!((embedder.name(), embedder.dims()), ("minilm-l6@1", 4));
    }
}
