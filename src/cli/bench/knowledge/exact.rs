//! The exact answer, found by looking at every vector as it is made: nothing but the nearest of each query is kept.

use ndarray::Array2;

use super::made::MODULES;

/// The answers that are compared.
pub(super) const K: usize = 10;

/// The nearest of each query so far, over all texts and over those of the query's addon.
pub(super) struct Exact {
    queries: Array2<f32>,
    all: Vec<Best>,
    filtered: Vec<Best>,
}

/// The nearest, the best first.
#[derive(Debug, Clone, Default)]
struct Best(Vec<(f32, u64)>);

impl Best {
    fn offer(&mut self, cosine: f32, number: u64) {
        if self.0.len() == K && self.0.last().is_some_and(|(last, _)| cosine <= *last) {
            return;
        }
        let at = self.0.partition_point(|(kept, _)| *kept >= cosine);
        self.0.insert(at, (cosine, number));
        self.0.truncate(K);
    }

    fn numbers(&self) -> Vec<u64> {
        self.0.iter().map(|(_, number)| *number).collect()
    }
}

impl Exact {
    pub(super) fn of(queries: &[Vec<f32>]) -> anyhow::Result<Self> {
        let none = vec![Best::default(); queries.len()];
        Ok(Self { queries: matrix(queries)?, all: none.clone(), filtered: none })
    }

    /// Looks at these vectors, which are numbered from `first`.
    pub(super) fn look(&mut self, first: u64, vectors: &[Vec<f32>]) -> anyhow::Result<()> {
        let cosines = self.queries.dot(&matrix(vectors)?.t());
        for (query, row) in cosines.outer_iter().enumerate() {
            for (number, cosine) in (first..).zip(row) {
                self.all[query].offer(*cosine, number);
                if number % MODULES == query as u64 % MODULES {
                    self.filtered[query].offer(*cosine, number);
                }
            }
        }
        Ok(())
    }

    /// The numbers of the nearest of each query: of all, and of the query's addon.
    pub(super) fn answers(&self) -> (Vec<Vec<u64>>, Vec<Vec<u64>>) {
        let numbers = |bests: &[Best]| bests.iter().map(Best::numbers).collect();
        (numbers(&self.all), numbers(&self.filtered))
    }
}

fn matrix(vectors: &[Vec<f32>]) -> anyhow::Result<Array2<f32>> {
    let width = vectors.first().map_or(0, Vec::len);
    Ok(Array2::from_shape_vec((vectors.len(), width), vectors.concat())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_are_kept_over_batches() {
        let mut exact = Exact::of(&[vec![1.0, 0.0]]).unwrap();
        let vectors: Vec<Vec<f32>> = (0..120_u8).map(|n| vec![f32::from(n), 1.0]).collect();
        exact.look(0, &vectors[..70]).unwrap();
        exact.look(70, &vectors[70..]).unwrap();
        let (all, filtered) = exact.answers();
        assert_eq!(all[0], (110..120).rev().collect::<Vec<u64>>());
        assert_eq!(filtered[0], [100, 0]);
    }
}
