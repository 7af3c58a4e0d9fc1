//! Reading an encoder from the folder that `make setup` fills: `config.json` and `model.safetensors`, every measure checked.

use std::path::Path;

use ndarray::{Array2, Axis, concatenate};
use safetensors::{Dtype, SafeTensors};

use super::bert::{Bert, Layer, Linear, Norm, Shape};

/// The most bytes of a weights file; MiniLM has 91 MB.
const MAX_WEIGHTS: u64 = 2 * 1024 * 1024 * 1024;
/// The most bytes of a description.
const MAX_DESCRIPTION: u64 = 16 * 1024 * 1024;

/// The encoder in a folder, and the first hexadecimal digits of the BLAKE3 hash of its weights.
pub fn read(folder: &Path) -> Result<(Bert, String), String> {
    let shape = shape(folder)?;
    let file = bytes(&folder.join("model.safetensors"), MAX_WEIGHTS)?;
    let digest = blake3::hash(&file).to_hex()[..16].to_owned();
    let tensors = SafeTensors::deserialize(&file).map_err(|error| format!("model.safetensors cannot be read: {error}"))?;
    Ok((bert(&Source { tensors }, shape)?, digest))
}

/// The measures of the encoder in a folder.
pub fn shape(folder: &Path) -> Result<Shape, String> {
    let config = description(&folder.join("config.json"))?;
    let shape = serde_json::from_slice(&config).map_err(|error| format!("config.json describes no BERT encoder: {error}"))?;
    check(&shape)?;
    Ok(shape)
}

/// The content of a file that describes something.
pub fn description(path: &Path) -> Result<Vec<u8>, String> {
    bytes(path, MAX_DESCRIPTION)
}

fn bytes(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let size = std::fs::metadata(path).map_err(|error| format!("{name}: {error}"))?.len();
    if size > most {
        return Err(format!("{name} has {size} bytes, more than {most}"));
    }
    std::fs::read(path).map_err(|error| format!("{name}: {error}"))
}

fn check(shape: &Shape) -> Result<(), String> {
    let sizes = [shape.hidden_size, shape.intermediate_size, shape.num_hidden_layers, shape.num_attention_heads, shape.vocab_size];
    let sane = sizes.iter().all(|size| (1..=1_000_000).contains(size))
        && (2..=100_000).contains(&shape.max_position_embeddings)
        && shape.num_hidden_layers <= 100
        && shape.hidden_size.is_multiple_of(shape.num_attention_heads);
    if sane { Ok(()) } else { Err(format!("config.json has measures that cannot be: {shape:?}")) }
}

fn bert(source: &Source<'_>, shape: Shape) -> Result<Bert, String> {
    let (hidden, inner) = (shape.hidden_size, shape.intermediate_size);
    let mut positions = source.matrix("embeddings.position_embeddings.weight", shape.max_position_embeddings, hidden)?;
    let segments = source.matrix("embeddings.token_type_embeddings.weight", 2, hidden)?;
    positions += &segments.row(0);
    let layers = (0..shape.num_hidden_layers).map(|number| layer(source, number, hidden, inner)).collect::<Result<_, _>>()?;
    Ok(Bert {
        words: source.matrix("embeddings.word_embeddings.weight", shape.vocab_size, hidden)?,
        positions,
        norm: source.norm("embeddings.LayerNorm", hidden)?,
        layers,
        shape,
    })
}

fn layer(source: &Source<'_>, number: usize, hidden: usize, inner: usize) -> Result<Layer, String> {
    let name = |part: &str| format!("encoder.layer.{number}.{part}");
    let parts = ["query", "key", "value"]
        .map(|part| source.linear(&name(&format!("attention.self.{part}")), hidden, hidden))
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let weights: Vec<_> = parts.iter().map(|part| part.weight.view()).collect();
    let weight = concatenate(Axis(1), &weights).map_err(|error| error.to_string())?.as_standard_layout().into_owned();
    Ok(Layer {
        qkv: Linear { weight, bias: parts.into_iter().flat_map(|part| part.bias).collect() },
        out: source.linear(&name("attention.output.dense"), hidden, hidden)?,
        norm: source.norm(&name("attention.output.LayerNorm"), hidden)?,
        up: source.linear(&name("intermediate.dense"), hidden, inner)?,
        down: source.linear(&name("output.dense"), inner, hidden)?,
        last_norm: source.norm(&name("output.LayerNorm"), hidden)?,
    })
}

struct Source<'a> {
    tensors: SafeTensors<'a>,
}

impl Source<'_> {
    fn numbers(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, String> {
        // Some files keep the name of the whole before that of the part.
        let tensor = self.tensors.tensor(name).or_else(|_| self.tensors.tensor(&format!("bert.{name}")));
        let tensor = tensor.map_err(|_| format!("model.safetensors has no {name}"))?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
            return Err(format!("{name} in model.safetensors is {:?} {:?}, not F32 {shape:?}", tensor.dtype(), tensor.shape()));
        }
        Ok(tensor.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<Array2<f32>, String> {
        Array2::from_shape_vec((rows, columns), self.numbers(name, &[rows, columns])?).map_err(|error| error.to_string())
    }

    /// Files hold output by input; products are fastest the other way round.
    fn linear(&self, name: &str, input: usize, output: usize) -> Result<Linear, String> {
        let weight = self.matrix(&format!("{name}.weight"), output, input)?;
        let weight = weight.t().as_standard_layout().into_owned();
        Ok(Linear { weight, bias: self.numbers(&format!("{name}.bias"), &[output])? })
    }

    fn norm(&self, name: &str, width: usize) -> Result<Norm, String> {
        Ok(Norm { scale: self.numbers(&format!("{name}.weight"), &[width])?, shift: self.numbers(&format!("{name}.bias"), &[width])? })
    }
}
