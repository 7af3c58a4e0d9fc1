//! Candidates from memory: what people said mends the error, then fixes that were proven for it before.
//!
//! A correction came through a key, as a text: it is held against the guard and the proof as everything else is. One that was refuted since
//! it was said goes behind what was proven.

use super::attempts::{Attempt, Candidate, Standing, Trial};
use super::{Failure, Patch, Progress, Request, Source};
use crate::domain::{Applicability, PatchError, RelPath};
use crate::knowledge::{Correction, PastFix};
use crate::odoo::Addon;

/// How many lines may be compared with lines to find where a diff fits.
const MAX_COMPARED: usize = 1_000_000_000;

/// What came of the memory.
pub(super) struct Recalled {
    /// Whether something of it is a fix.
    pub(super) is_fixed: bool,
    /// The names of the corrections that are known by now not to help.
    pub(super) refuted: Vec<String>,
}

/// Something to try.
enum Known<'a> {
    Said(&'a Correction),
    Proven(&'a PastFix),
}

/// Tries what is remembered until something is proven, every change once. What does not fit the sources of today is left out; what a person
/// said and cannot be tried is a note.
pub(super) async fn attempt(
    request: &Request<'_>,
    trial: &mut Trial<'_>,
    progress: &(dyn Fn(Progress) + Send + Sync),
    notes: &mut Vec<String>,
) -> Result<Recalled, Failure> {
    let addon = &request.addons[0];
    let mut tried: Vec<Patch> = Vec::new();
    let mut refuted = Vec::new();
    for known in in_order(&request.corrections, &request.past) {
        let (patch, origin, summary) = match known {
            Known::Said(correction) => {
                progress(Progress::new("recall", format!("a person gave a correction of this error to the ticket {}", correction.ticket)));
                match read(correction, addon).await? {
                    Ok(patch) => {
                        (patch, &Source::Person, format!("The correction that a person gave to the ticket {}.", correction.ticket))
                    }
                    Err(why) => {
                        progress(Progress::new("recall", format!("that correction was not tried: {why}")));
                        notes.push(format!("The correction of the ticket {} was not tried: {why}.", correction.ticket));
                        continue;
                    }
                }
            }
            Known::Proven(past) => {
                progress(Progress::new("recall", format!("a fix was proven before for this error ({})", past.source)));
                // The fix was made for the sources of its day; what counts is whether it fits those of today.
                let Ok(patch) = onto(&past.patch.unified_diff(), addon) else { continue };
                (patch, &past.source, past.summary.clone())
            }
        };
        if tried.contains(&patch) {
            progress(Progress::new("recall", "the same change was tried already"));
            continue;
        }
        let (applicability, doubt) = match origin {
            // It was a proposal when it was made, and remembering it makes it no better.
            origin if origin.is_unsure() => (Applicability::Unsafe, Some("the rule that made it was not sure")),
            _ => (Applicability::Safe, None),
        };
        let (source, summary) = (&Source::Recall, summary.as_str());
        let candidate = Candidate { patch: &patch, source, origin: Some(origin), summary, applicability, doubt };
        let is_fixed = trial.attempt(candidate).await? == Standing::Fix;
        if let Known::Said(correction) = known
            && trial.last().is_some_and(Attempt::is_refuted)
        {
            refuted.push(correction.name.clone());
        }
        if is_fixed {
            return Ok(Recalled { is_fixed, refuted });
        }
        tried.push(patch);
    }
    Ok(Recalled { is_fixed: false, refuted })
}

/// What a person said first, but for what was refuted since: that comes last.
fn in_order<'a>(corrections: &'a [Correction], past: &'a [PastFix]) -> impl Iterator<Item = Known<'a>> {
    let said = |is_refuted: bool| corrections.iter().filter(move |correction| correction.is_refuted == is_refuted).map(Known::Said);
    said(false).chain(past.iter().map(Known::Proven)).chain(said(true))
}

/// The correction as a patch of the addon as it is, or why it is none. A diff from outside may take a while to fit, in which nothing else could
/// go on here.
async fn read(correction: &Correction, addon: &Addon) -> Result<Result<Patch, String>, Failure> {
    let (diff, addon) = (correction.diff.clone(), addon.clone());
    let read = move || {
        let files = Patch::files_of(&diff).map_err(|error| error.to_string())?;
        if comparisons(&diff, &files, &addon) > MAX_COMPARED {
            return Err("it is too long to be fitted".to_owned());
        }
        match onto(&diff, &addon) {
            Ok(patch) if masks_more(&patch) => Err("a secret in it was masked when it was kept".to_owned()),
            Ok(patch) => Ok(patch),
            Err(error) => Err(error.to_string()),
        }
    };
    tokio::task::spawn_blocking(read).await.map_err(Failure::bug)
}

fn onto(diff: &str, addon: &Addon) -> Result<Patch, PatchError> {
    Patch::from_unified_diff(diff, |path| addon.text(path).map(str::to_owned))
}

/// How often lines are compared at worst: each of the diff at every place of the longest file that it names.
fn comparisons(diff: &str, files: &[RelPath], addon: &Addon) -> usize {
    let longest = files.iter().filter_map(|path| addon.text(path)).map(|text| text.lines().count()).max();
    diff.lines().count().saturating_mul(longest.unwrap_or(0))
}

/// Whether the change would write what stands for a masked secret into a file. Rows of stars as ornament are longer.
fn masks_more(patch: &Patch) -> bool {
    let masks = |text: &str| text.split(|c| c != '*').filter(|stars| stars.len() == 3).count();
    patch.changes().iter().any(|change| masks(&change.after) > change.before.as_deref().map_or(0, masks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{RunId, TicketId};

    fn shop() -> Addon {
        let files = [("shop/order.py", "qty = 1\nlimit = 2\n"), ("shop/stars.py", "# *** old ***\nx = 1\n")];
        Addon::new("shop".parse().unwrap(), files.map(|(path, text)| (path.parse().unwrap(), text.as_bytes().to_vec())))
    }

    fn correction(diff: &str, is_refuted: bool) -> Correction {
        Correction { ticket: TicketId(uuid::Uuid::nil()), diff: diff.to_owned(), name: "0123".to_owned(), is_refuted }
    }

    async fn of(diff: &str) -> Result<Patch, String> {
        read(&correction(diff, false), &shop()).await.unwrap()
    }

    #[test]
    fn refuted_word_goes_behind_proofs() {
        let patch = onto("--- a/shop/order.py\n+++ b/shop/order.py\n@@ -1 +1 @@\n-qty = 1\n+qty = 2\n", &shop()).unwrap();
        let past = [PastFix { run: RunId::generate(), patch, source: Source::Claude, summary: String::new() }];
        let said = [correction("x", false), correction("y", true)];
        let order: Vec<&str> =
            in_order(&said, &past).map(|known| if let Known::Said(said) = known { &*said.diff } else { "proven" }).collect();
        assert_eq!(order, ["x", "proven", "y"]);
    }

    #[tokio::test]
    async fn diff_is_read_against_the_sources_of_today() {
        let fits = of("--- a/shop/order.py\n+++ b/shop/order.py\n@@ -1,2 +1,2 @@\n-qty = 1\n+qty = 2\n limit = 2\n").await.unwrap();
        assert_eq!(fits.changes()[0].before.as_deref(), Some("qty = 1\nlimit = 2\n"));
        assert_eq!(fits.changes()[0].after, "qty = 2\nlimit = 2\n");
        let other = of("--- a/shop/order.py\n+++ b/shop/order.py\n@@ -1,2 +1,2 @@\n-qty = 0\n+qty = 2\n limit = 2\n").await;
        assert!(other.unwrap_err().contains("does not fit shop/order.py"));
        let gone = of("--- a/shop/order.py\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-qty = 1\n-limit = 2\n").await;
        assert!(gone.unwrap_err().contains("deletes"));
        let elsewhere = of("--- a/base/a.py\n+++ b/base/a.py\n@@ -1 +1 @@\n-a\n+b\n").await;
        assert!(elsewhere.is_err(), "there is no such file in the addon");
        for garbage in ["", "\u{0}", "--- a/shop/order.py\n+++ b/shop/order.py\n@@ broken\n", "--- a/../x\n+++ b/../x\n@@ -0,0 +1 @@\n+x\n"]
        {
            assert!(of(garbage).await.is_err(), "{garbage:?}");
        }
    }

    #[tokio::test]
    async fn diff_that_takes_too_long_to_fit_is_left() {
        let text = "a\n".repeat(200_000);
        let addon = Addon::new("shop".parse().unwrap(), [("shop/long.py".parse().unwrap(), text.into_bytes())]);
        let diff = |context: usize| {
            let (lines, from) = (" a\n".repeat(context), context + 1);
            correction(&format!("--- a/shop/long.py\n+++ b/shop/long.py\n@@ -1,{from} +1,{from} @@\n{lines}-c\n+d\n"), false)
        };
        assert!(read(&diff(10_000), &addon).await.unwrap().unwrap_err().contains("too long"));
        assert!(read(&diff(3), &addon).await.unwrap().unwrap_err().contains("does not fit"));
    }

    #[tokio::test]
    async fn masked_secret_is_not_written() {
        let masked = of("--- a/shop/order.py\n+++ b/shop/order.py\n@@ -1 +1,2 @@\n qty = 1\n+password = '***'\n").await;
        assert!(masked.unwrap_err().contains("masked"));
        for harmless in ["# ********", "def f(**kwargs): return 2**3 * 4"] {
            let diff = format!("--- a/shop/order.py\n+++ b/shop/order.py\n@@ -1 +1,2 @@\n qty = 1\n+{harmless}\n");
            assert!(of(&diff).await.is_ok(), "{harmless}");
        }
        let kept = of("--- a/shop/stars.py\n+++ b/shop/stars.py\n@@ -1,2 +1,2 @@\n # *** old ***\n-x = 1\n+x = 2\n").await;
        assert!(kept.is_ok(), "they were there before");
    }
}
