//! What an indexing tells: how far it is, and in the end what it did.

use std::collections::BTreeMap;

use serde::Serialize;

/// How many names of what was left out are told for each reason.
const NAMED: usize = 20;

/// What was left out, by reason.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Skips(BTreeMap<String, Skipped>);

/// What was left out for one reason.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Skipped {
    /// How many files.
    pub count: u64,
    /// The first of them.
    pub first: Vec<String>,
}

impl Skips {
    pub(super) fn add(&mut self, reason: &str, path: &str) {
        let skipped = self.0.entry(reason.to_owned()).or_default();
        skipped.count += 1;
        if skipped.first.len() < NAMED {
            skipped.first.push(path.chars().take(300).collect());
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (reason, more) in other.0 {
            let skipped = self.0.entry(reason).or_default();
            skipped.count += more.count;
            let room = NAMED.saturating_sub(skipped.first.len());
            skipped.first.extend(more.first.into_iter().take(room));
        }
    }

    /// How many were left out for this reason.
    pub fn count(&self, reason: &str) -> u64 {
        self.0.get(reason).map_or(0, |skipped| skipped.count)
    }

    /// How many were left out.
    pub fn total(&self) -> u64 {
        self.0.values().map(|skipped| skipped.count).sum()
    }

    /// Each reason with what it is about.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Skipped)> {
        self.0.iter().map(|(reason, skipped)| (reason.as_str(), skipped))
    }
}

/// What became of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Files {
    /// Those worth reading.
    pub seen: u64,
    /// The same as last time: not cut up, not written.
    pub unchanged: u64,
    /// Not known before.
    pub new: u64,
    /// Other than before, or cut up by an older version.
    pub changed: u64,
    /// Known before and no longer there.
    pub gone: u64,
    /// Left out.
    pub skipped: u64,
}

/// Where the time went, in seconds. Reading and writing overlap.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Seconds {
    /// Looking for files.
    pub walk: f64,
    /// Reading and cutting them up, all threads together.
    pub cut: f64,
    /// In the database.
    pub write: f64,
    /// In the embedder, and storing its vectors.
    pub embed: f64,
    /// From start to end.
    pub total: f64,
}

/// What an indexing did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// The name of the source.
    pub source: String,
    /// core, oca or custom.
    pub doc_type: String,
    /// The series of Odoo.
    pub version: String,
    /// The files.
    pub files: Files,
    /// What was left out, by reason.
    pub skipped: Skips,
    /// Files that gave less than they hold, because they do not parse and the like.
    pub trouble: Skips,
    /// Texts that were written.
    pub chunks: u64,
    /// Texts that were taken away, those that were replaced included.
    pub removed: u64,
    /// Symbols that were written.
    pub symbols: u64,
    /// The embedder, if there is one.
    pub embedder: Option<String>,
    /// Texts that were embedded.
    pub embedded: u64,
    /// Texts whose vector was there already.
    pub reused: u64,
    /// What embedding cost, in US dollars.
    pub usd: f64,
    /// Where the time went.
    pub seconds: Seconds,
    /// The share of the time that the embedder took, from 0 to 1.
    pub embedder_share: f64,
}

/// How far an indexing is.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Status {
    /// `wait walk index embed optimise done`.
    pub phase: &'static str,
    /// Files that were looked at.
    pub files: u64,
    /// Files to look at.
    pub files_total: u64,
    /// Texts that were written.
    pub chunks: u64,
    /// Texts that have their vector, of those that lacked one.
    pub embedded: u64,
    /// Texts that lack a vector.
    pub to_embed: u64,
    /// Files, or texts where they are embedded, a second.
    pub rate: f64,
    /// Seconds that this phase will still take.
    pub left: Option<f64>,
}

impl Status {
    /// With the rate and the time left, for so many of so many in this time.
    pub(super) fn timed(mut self, done: u64, of: u64, seconds: f64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "shown to people")]
        let (done, of) = (done as f64, of as f64);
        self.rate = if seconds > 0.0 { done / seconds } else { 0.0 };
        self.left = (self.rate > 0.0).then(|| (of - done).max(0.0) / self.rate);
        self
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.phase {
            "wait" => return f.write_str("another run works on this source; waiting for it"),
            "walk" => return f.write_str("looking for files"),
            "optimise" => return f.write_str("making the index of the vectors"),
            "embed" => write!(f, "embedded {} of {} texts, {:.0}/s", self.embedded, self.to_embed, self.rate)?,
            _ => write!(f, "{} of {} files, {} texts, {:.0} files/s", self.files, self.files_total, self.chunks, self.rate)?,
        }
        match self.left {
            Some(left) if left >= 1.0 => write!(f, ", {left:.0} s left"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_and_some_named() {
        let mut skips = Skips::default();
        (0..50).for_each(|n| skips.add("binary", &format!("a/{n}")));
        let mut more = Skips::default();
        more.add("binary", "b");
        more.add("too large", "c");
        skips.merge(more);
        assert_eq!((skips.count("binary"), skips.total()), (51, 52));
        assert_eq!(skips.iter().next().unwrap().1.first.len(), NAMED);
    }

    #[test]
    fn time_left_follows_from_the_rate() {
        let status = Status { phase: "index", files: 10, files_total: 30, ..Status::default() }.timed(10, 30, 5.0);
        assert_eq!((status.rate, status.left), (2.0, Some(10.0)));
        assert_eq!(status.to_string(), "10 of 30 files, 0 texts, 2 files/s, 10 s left");
        assert_eq!(Status::default().timed(0, 0, 0.0).left, None);
    }
}
