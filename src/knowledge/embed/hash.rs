//! Vectors by hashing the words and parts of identifiers of a text: BLAKE3 buckets, pairs of neighbours, sublinear counts.

use super::normalised;

/// `hash-256@1`: the hashing trick over the words and identifier parts of a text. It is lexical: it finds texts that share words and names
/// (which errors and code do), and knows nothing of synonyms. Offline, free, the same on every machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct HashEmbedder;

const DIMS: usize = 256;
/// Bytes of a text that are looked at; what follows hardly changes the direction of the vector.
const MAX_BYTES: usize = 64 * 1024;

impl HashEmbedder {
    /// Name and version, as stored.
    pub const fn name(&self) -> &'static str {
        "hash-256@1"
    }

    /// How many numbers a vector has.
    pub const fn dims(&self) -> usize {
        DIMS
    }

    /// The vector of a text, of length 1.
    pub fn embed(&self, text: &str) -> Vec<f32> {
        let parts = parts(text);
        let mut counts = std::collections::BTreeMap::<String, f32>::new();
        for part in &parts {
            *counts.entry(part.clone()).or_default() += 1.0;
        }
        for pair in parts.windows(2) {
            // Pairs keep some of the order, at less weight than the words themselves.
            *counts.entry(pair.join(" ")).or_default() += 0.5;
        }
        let mut vector = vec![0.0f32; DIMS];
        for (feature, count) in counts {
            let (bucket, sign) = bucket(&feature);
            vector[bucket] += sign * (1.0 + count).ln();
        }
        normalised(vector)
    }
}

/// The sign makes features that fall into the same bucket cancel out on average instead of adding up.
fn bucket(feature: &str) -> (usize, f32) {
    let hash = blake3::hash(feature.as_bytes());
    let bytes = hash.as_bytes();
    (usize::from(u16::from_le_bytes([bytes[0], bytes[1]])) % DIMS, if bytes[2] & 1 == 0 { 1.0 } else { -1.0 })
}

/// Lower-case words and parts of identifiers: `res.partner_id` and `resPartnerId` both become `res partner id`.
pub(in crate::knowledge) fn parts(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut before = ' ';
    for c in text[..text.floor_char_boundary(MAX_BYTES)].chars() {
        let hump = c.is_uppercase() && before.is_lowercase();
        if (hump || !c.is_alphanumeric()) && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
        }
        if c.is_alphanumeric() {
            part.extend(c.to_lowercase());
        }
        before = c;
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(a: &str, b: &str) -> f32 {
        let (a, b) = (HashEmbedder.embed(a), HashEmbedder.embed(b));
        a.iter().zip(&b).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn identifiers_fall_into_parts() {
        assert_eq!(parts("res.partner_id SaleOrder, HTTPError"), ["res", "partner", "id", "sale", "order", "httperror"]);
    }

    #[test]
    fn shared_names_are_near() {
        let error = "AttributeError: 'res.partner' object has no attribute 'vat_number'";
        assert!(cosine(error, error) > 0.999);
        let near = cosine(error, "the field vat_number of res.partner was removed: AttributeError");
        let far = cosine(error, "Element '<xpath>' cannot be located in parent view");
        assert!(near > far + 0.2, "{near} {far}");
    }

    #[test]
    fn any_text_has_a_direction() {
        for text in ["", "\0\u{1}", "🦀", &"é".repeat(100_000), "…"] {
            let vector = HashEmbedder.embed(text);
            assert_eq!(vector.len(), DIMS);
            assert!((vector.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-3);
        }
    }

    #[test]
    fn vectors_of_this_version_stay() {
        // Stored vectors are compared with new ones: a change here needs a new name of the embedder.
        let vector = HashEmbedder.embed("res.partner");
        let set: Vec<_> = vector.iter().enumerate().filter(|(_, x)| **x != 0.0).map(|(i, x)| (i, (x * 1000.0).round() as i32)).collect();
        assert_eq!(set, [(243, 382), (244, -653), (247, 653)]);
    }
}
