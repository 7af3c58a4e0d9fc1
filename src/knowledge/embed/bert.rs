//! The forward pass of a BERT encoder, in f32 on the CPU, from token ids to one mean vector a text.
//!
//! Texts of any length stand one after another in one matrix, without padding: each token costs the same, and what a text becomes does not depend
//! on what stands beside it. The matrix products are `ndarray`'s, which pick the widest instructions of the CPU; the rest is written so that the
//! compiler can use vectors.

use std::ops::Range;

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, Axis, s};

/// The measures of an encoder, as its `config.json` says them.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
pub struct Shape {
    /// Numbers of a token's state, and of a vector.
    pub hidden_size: usize,
    /// Numbers between the two halves of a feed-forward step.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads of the attention.
    pub num_attention_heads: usize,
    /// Tokens that are known.
    pub vocab_size: usize,
    /// The longest text, in tokens.
    pub max_position_embeddings: usize,
    /// What keeps a norm from dividing by nothing.
    pub layer_norm_eps: f32,
}

/// `x W + b`.
#[derive(Debug)]
pub struct Linear {
    /// Input by output.
    pub weight: Array2<f32>,
    /// One number an output.
    pub bias: Vec<f32>,
}

/// Layer normalisation.
#[derive(Debug)]
pub struct Norm {
    /// What the normalised number is multiplied with.
    pub scale: Vec<f32>,
    /// What is added then.
    pub shift: Vec<f32>,
}

/// One layer: attention, then feed-forward, each with its residual and norm.
#[derive(Debug)]
pub struct Layer {
    /// Query, key and value side by side.
    pub qkv: Linear,
    /// What leads out of the attention.
    pub out: Linear,
    /// After the attention.
    pub norm: Norm,
    /// Into the feed-forward step.
    pub up: Linear,
    /// Out of it.
    pub down: Linear,
    /// After the feed-forward step.
    pub last_norm: Norm,
}

/// All weights of an encoder.
#[derive(Debug)]
pub struct Bert {
    /// Its measures.
    pub shape: Shape,
    /// One row a token of the vocabulary.
    pub words: Array2<f32>,
    /// One row a position; the row of the one segment that is used is added in.
    pub positions: Array2<f32>,
    /// After the sum of the two.
    pub norm: Norm,
    /// In the order in which they are applied.
    pub layers: Vec<Layer>,
}

/// Memory for a group of texts, used again for the next.
#[derive(Debug, Default)]
pub struct Scratch {
    state: Vec<f32>,
    qkv: Vec<f32>,
    mixed: Vec<f32>,
    inner: Vec<f32>,
    added: Vec<f32>,
    scores: Vec<f32>,
}

impl Bert {
    /// The mean of the last states of each text. Every id is below `vocab_size`, no text is empty or longer than `max_position_embeddings`.
    pub fn means(&self, texts: &[Vec<u32>], scratch: &mut Scratch) -> Vec<Vec<f32>> {
        let Shape { hidden_size: hidden, intermediate_size: inner, layer_norm_eps: eps, .. } = self.shape;
        let spans = spans(texts);
        let tokens = spans.last().map_or(0, |span| span.end);
        let Scratch { state, qkv, mixed, inner: between, added, scores } = scratch;
        for (buffer, width) in
            [(&mut *state, hidden), (&mut *qkv, 3 * hidden), (&mut *mixed, hidden), (&mut *between, inner), (&mut *added, hidden)]
        {
            buffer.resize(tokens * width, 0.0);
        }
        self.embed(texts, state);
        for layer in &self.layers {
            layer.qkv.apply(state, qkv);
            for span in &spans {
                self.attend(qkv, span, scores, mixed);
            }
            layer.out.apply(mixed, added);
            layer.norm.add(state, added, eps);
            layer.up.apply(state, between);
            between.iter_mut().for_each(|x| *x = gelu(*x));
            layer.down.apply(between, added);
            layer.last_norm.add(state, added, eps);
        }
        spans.iter().map(|span| mean(&state[span.start * hidden..span.end * hidden], hidden)).collect()
    }

    fn embed(&self, texts: &[Vec<u32>], state: &mut [f32]) {
        let hidden = self.shape.hidden_size;
        let places = texts.iter().flat_map(|text| text.iter().enumerate());
        for (row, (position, id)) in state.chunks_exact_mut(hidden).zip(places) {
            let (word, place) = (self.words.row(*id as usize), self.positions.row(position));
            row.iter_mut().zip(word.iter().zip(place)).for_each(|(x, (word, place))| *x = word + place);
            self.norm.apply(row, self.shape.layer_norm_eps);
        }
    }

    /// Attention within one text, head by head.
    fn attend(&self, qkv: &[f32], span: &Range<usize>, scores: &mut Vec<f32>, mixed: &mut [f32]) {
        let hidden = self.shape.hidden_size;
        let width = hidden / self.shape.num_attention_heads;
        let length = span.len();
        scores.resize(length * length, 0.0);
        let (Ok(mut scores), Ok(qkv), Ok(mut mixed)) = (
            ndarray::ArrayViewMut2::from_shape((length, length), &mut scores[..]),
            ArrayView2::from_shape((length, 3 * hidden), &qkv[span.start * 3 * hidden..span.end * 3 * hidden]),
            ndarray::ArrayViewMut2::from_shape((length, hidden), &mut mixed[span.start * hidden..span.end * hidden]),
        ) else {
            return;
        };
        let scale = 1.0 / (width as f32).sqrt();
        for start in (0..hidden).step_by(width) {
            let part = |third: usize| qkv.slice(s![.., third * hidden + start..third * hidden + start + width]);
            general_mat_mul(scale, &part(0), &part(1).t(), 0.0, &mut scores);
            for mut row in scores.axis_iter_mut(Axis(0)) {
                if let Some(row) = row.as_slice_mut() {
                    softmax(row);
                }
            }
            general_mat_mul(1.0, &scores, &part(2), 0.0, &mut mixed.slice_mut(s![.., start..start + width]));
        }
    }
}

fn spans(texts: &[Vec<u32>]) -> Vec<Range<usize>> {
    let mut end = 0;
    texts
        .iter()
        .map(|text| {
            let start = end;
            end += text.len();
            start..end
        })
        .collect()
}

impl Linear {
    fn apply(&self, input: &[f32], output: &mut [f32]) {
        let (rows, columns) = (self.weight.nrows(), self.bias.len());
        output.chunks_exact_mut(columns).for_each(|row| row.copy_from_slice(&self.bias));
        let count = output.len() / columns;
        let views = (ArrayView2::from_shape((count, rows), input), ndarray::ArrayViewMut2::from_shape((count, columns), output));
        if let (Ok(input), Ok(mut output)) = views {
            general_mat_mul(1.0, &input, &self.weight, 1.0, &mut output);
        }
    }
}

impl Norm {
    /// Adds to every row and normalises it.
    fn add(&self, state: &mut [f32], added: &[f32], eps: f32) {
        let width = self.scale.len();
        for (row, added) in state.chunks_exact_mut(width).zip(added.chunks_exact(width)) {
            row.iter_mut().zip(added).for_each(|(x, y)| *x += y);
            self.apply(row, eps);
        }
    }

    fn apply(&self, row: &mut [f32], eps: f32) {
        let count = row.len() as f32;
        let mean = sum(row, |x| x) / count;
        let deviation = 1.0 / (sum(row, |x| (x - mean) * (x - mean)) / count + eps).sqrt();
        for (x, (scale, shift)) in row.iter_mut().zip(self.scale.iter().zip(&self.shift)) {
            *x = (*x - mean) * deviation * scale + shift;
        }
    }
}

/// The mean of rows.
fn mean(rows: &[f32], width: usize) -> Vec<f32> {
    let mut mean = vec![0.0f32; width];
    for row in rows.chunks_exact(width) {
        mean.iter_mut().zip(row).for_each(|(x, y)| *x += y);
    }
    let count = (rows.len() / width) as f32;
    mean.iter_mut().for_each(|x| *x /= count);
    mean
}

/// Sixteen sums side by side: one alone could not be computed with vectors, since the order of additions is part of their result.
fn sum(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; 16];
    let chunks = row.chunks_exact(lanes.len());
    let rest: f32 = chunks.remainder().iter().map(|x| f(*x)).sum();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, x)| *lane += f(*x));
    }
    lanes.iter().sum::<f32>() + rest
}

fn softmax(row: &mut [f32]) {
    let most = row.iter().fold(f32::MIN, |most, x| if *x > most { *x } else { most });
    row.iter_mut().for_each(|x| *x = exp(*x - most));
    let total = sum(row, |x| x);
    row.iter_mut().for_each(|x| *x /= total);
}

/// `x Φ(x)`, with the error function by formula 7.1.26 of Abramowitz and Stegun (absolute error below 2e-7).
fn gelu(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let series = t * (0.254_829_6 + t * (-0.284_496_74 + t * (1.421_413_7 + t * (-1.453_152 + t * 1.061_405_4))));
    let erf = (1.0 - series * exp(-z * z)).copysign(x);
    0.5 * x * (1.0 + erf)
}

/// `e^x` for x ≤ 0 without a call or a branch: 2^n by the exponent's bits, the rest by a polynomial (relative error below 1e-6).
fn exp(x: f32) -> f32 {
    /// Adding it leaves a whole number in the lowest bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    // The logarithm of 2 in two parts, so that the difference keeps its digits.
    let rest = (x - whole * 0.693_359_4) + whole * 2.121_944_4e-4;
    let series = 1.0 + rest * (1.0 + rest * (0.5 + rest * (1.0 / 6.0 + rest * (1.0 / 24.0 + rest * (1.0 / 120.0 + rest * (1.0 / 720.0))))));
    let power = (shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127)) << 23;
    series * f32::from_bits(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_close() {
        for step in 0..2000 {
            let x = -f64::from(step) / 25.0;
            assert!((f64::from(exp(x as f32)) / x.exp() - 1.0).abs() < 1e-5, "{x}");
        }
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn gelu_meets_known_values() {
        for (x, known) in
            [(0.0, 0.0), (1.0, 0.841_344_7), (-1.0, -0.158_655_3), (3.0, 2.995_95), (-3.0, -0.004_049_7), (40.0, 40.0), (-40.0, 0.0)]
        {
            assert!((gelu(x) - known).abs() < 2e-6, "{x}: {}", gelu(x));
        }
    }

    #[test]
    fn softmax_sums_to_one() {
        let mut row = [1000.0, 999.0, -1000.0];
        softmax(&mut row);
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6 && (row[0] / row[1] - std::f32::consts::E).abs() < 1e-4, "{row:?}");
    }
}
