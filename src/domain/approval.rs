//! A person's word that a patch may be written.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Evidence, Loss, Patch, ProvenPatch, Scope, Scopes};

const DIGEST_DIGITS: usize = 64;

mod sealed {
    pub trait Sealed {}
}

/// A patch that may be written to an addons folder: one that is proven, or one that a person has approved. Nothing else can be one.
pub trait WritablePatch: sealed::Sealed {
    /// The patch.
    fn patch(&self) -> &Patch;
}

impl sealed::Sealed for ProvenPatch {}

impl WritablePatch for ProvenPatch {
    fn patch(&self) -> &Patch {
        self.patch()
    }
}

impl sealed::Sealed for ApprovedPatch {}

impl WritablePatch for ApprovedPatch {
    fn patch(&self) -> &Patch {
        &self.patch
    }
}

/// Names one patch: the BLAKE3 hash of the files that it changes, before and after.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PatchDigest(String);

impl PatchDigest {
    /// The digest of a patch.
    pub fn from_patch(patch: &Patch) -> Self {
        let mut hasher = blake3::Hasher::new();
        for change in patch.changes() {
            // Lengths keep what follows apart; a file that is new differs from one that is empty.
            let before = change.before.as_ref().map_or("new".to_owned(), |before| before.len().to_string());
            hasher.update(format!("{}\0{before}\0{}\0", change.path, change.after.len()).as_bytes());
            hasher.update(change.before.as_deref().unwrap_or_default().as_bytes());
            hasher.update(change.after.as_bytes());
        }
        Self(hasher.finalize().to_hex().to_string())
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no digest of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no digest of a patch: use the {DIGEST_DIGITS} hexadecimal digits that the result of the run has as `digest`")]
pub struct BadDigest;

impl FromStr for PatchDigest {
    type Err = BadDigest;
    fn from_str(text: &str) -> Result<Self, BadDigest> {
        let is_digest = text.len() == DIGEST_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_digest { Ok(Self(text.to_owned())) } else { Err(BadDigest) }
    }
}

impl TryFrom<String> for PatchDigest {
    type Error = BadDigest;
    fn try_from(text: String) -> Result<Self, BadDigest> {
        text.parse()
    }
}

impl From<PatchDigest> for String {
    fn from(digest: PatchDigest) -> Self {
        digest.0
    }
}

impl fmt::Display for PatchDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Somebody who may approve patches: the operator, or the holder of a key with the scope `approve`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Approver(Option<Uuid>);

impl Approver {
    /// Somebody at the command line of the machine.
    pub const fn operator() -> Self {
        Self(None)
    }

    /// The holder of a key; `None` if it lacks the scope `approve`.
    pub fn from_key(key: Uuid, scopes: &Scopes) -> Option<Self> {
        scopes.has(Scope::Approve).then_some(Self(Some(key)))
    }

    /// The key; `None`: the operator.
    pub const fn key(self) -> Option<Uuid> {
        self.0
    }
}

/// The statement of a person who accepts a patch.
#[derive(Debug, Clone, PartialEq)]
pub struct Approval {
    /// Who says so.
    pub by: Approver,
    /// The patch that they have seen.
    pub digest: PatchDigest,
    /// Losses that they know of; may be left out of a fix, which loses nothing.
    pub losses: Option<Vec<Loss>>,
}

/// Reason why an approval does not hold for a patch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalError {
    /// It is about another patch.
    #[error("the patch of this run is not the one that was approved: its digest is {0}; look at it again")]
    Digest(PatchDigest),
    /// A proposal was approved like a fix.
    #[error(
        "the patch is a proposal: name what it loses in `losses`, as the result of the run lists it; an empty list if it is empty there"
    )]
    Unacknowledged,
    /// What was acknowledged is not what it loses.
    #[error("what was acknowledged is not what the patch loses; the result of the run lists {0} losses: {1}")]
    Losses(usize, String),
}

/// A patch that was shown and not written, with everything that is needed to write it once a person accepts it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// The addons folder.
    pub root: PathBuf,
    /// The change.
    pub patch: Patch,
    /// Evidence of the sandbox.
    pub evidence: Evidence,
    /// Digest of the rest of the addon as it was then.
    pub tested: String,
}

impl Offer {
    /// Names the patch.
    pub fn digest(&self) -> PatchDigest {
        PatchDigest::from_patch(&self.patch)
    }

    /// Accepts the patch, if the approval is about this one and acknowledges what it loses.
    pub fn approve(&self, approval: &Approval) -> Result<ApprovedPatch, ApprovalError> {
        let digest = self.digest();
        if approval.digest != digest {
            return Err(ApprovalError::Digest(digest));
        }
        let losses = &self.evidence.losses;
        match &approval.losses {
            None if !self.evidence.is_fix() => return Err(ApprovalError::Unacknowledged),
            Some(known) if !(is_within(known, losses) && is_within(losses, known)) => {
                let listed: Vec<_> = losses.iter().map(ToString::to_string).collect();
                return Err(ApprovalError::Losses(listed.len(), listed.join("; ")));
            }
            None | Some(_) => {}
        }
        Ok(ApprovedPatch { patch: self.patch.clone(), by: approval.by })
    }
}

fn is_within(some: &[Loss], all: &[Loss]) -> bool {
    some.iter().all(|loss| all.contains(loss))
}

/// A patch that a person has accepted. [`Offer::approve`] is the only way to one: it is never read from a row or a message.
#[derive(Debug, Clone, PartialEq)]
pub struct ApprovedPatch {
    patch: Patch,
    by: Approver,
}

impl ApprovedPatch {
    /// Person who has accepted it.
    pub const fn by(&self) -> Approver {
        self.by
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Applicability, FileChange, Grade, Location, LossKind};

    fn patch(before: Option<&str>, after: &str) -> Patch {
        let change = FileChange { path: "m/a.py".parse().unwrap(), before: before.map(str::to_owned), after: after.to_owned() };
        Patch::new(vec![change]).unwrap()
    }

    fn loss(what: &str) -> Loss {
        Loss { kind: LossKind::Button, place: Location { path: "m/a.xml".to_owned(), line: Some(7) }, what: what.to_owned() }
    }

    fn offer(losses: Vec<Loss>) -> Offer {
        let evidence = Evidence { grade: Grade::Proven, losses, ..Evidence::default() };
        Offer { root: "/a".into(), patch: patch(Some("x"), "y"), evidence, tested: "t".to_owned() }
    }

    fn approved(offer: &Offer, losses: Option<Vec<Loss>>) -> Result<ApprovedPatch, ApprovalError> {
        offer.approve(&Approval { by: Approver::operator(), digest: offer.digest(), losses })
    }

    #[test]
    fn digest_tells_patches_apart() {
        let digests = [patch(Some("x"), "y"), patch(Some("x"), "z"), patch(Some(""), "y"), patch(None, "y"), patch(Some("xy"), "")];
        let digests: std::collections::HashSet<_> = digests.iter().map(PatchDigest::from_patch).collect();
        assert_eq!(digests.len(), 5);
        for digest in digests {
            assert_eq!(digest.as_str().parse(), Ok(digest));
        }
        for bad in ["", "abc", &"g".repeat(64), &"A".repeat(64)] {
            assert_eq!(bad.parse::<PatchDigest>(), Err(BadDigest));
        }
    }

    #[test]
    fn only_the_patch_that_was_seen_is_approved() {
        let (one, mut other) = (offer(vec![]), offer(vec![]));
        other.patch = patch(Some("x"), "z");
        let approval = Approval { by: Approver::operator(), digest: one.digest(), losses: Some(vec![]) };
        assert_eq!(one.approve(&approval).unwrap().patch(), &one.patch);
        assert_eq!(other.approve(&approval), Err(ApprovalError::Digest(other.digest())));
    }

    #[test]
    fn losses_are_acknowledged_as_they_are() {
        let proposal = offer(vec![loss("a"), loss("b")]);
        assert_eq!(approved(&proposal, None), Err(ApprovalError::Unacknowledged));
        for known in [vec![], vec![loss("a")], vec![loss("a"), loss("b"), loss("c")]] {
            let error = approved(&proposal, Some(known)).unwrap_err();
            assert!(matches!(error, ApprovalError::Losses(2, _)) && error.to_string().contains("m/a.xml:7: a"), "{error}");
        }
        assert!(approved(&proposal, Some(vec![loss("b"), loss("a")])).is_ok());
        assert_eq!(approved(&offer(vec![]), None), Err(ApprovalError::Unacknowledged), "a proposal that loses nothing is one all the same");
    }

    #[test]
    fn fix_needs_no_word_about_losses() {
        let mut fix = offer(vec![]);
        fix.evidence.applicability = Applicability::Safe;
        assert!(approved(&fix, None).is_ok() && approved(&fix, Some(vec![])).is_ok());
    }

    #[test]
    fn key_without_the_scope_approves_nothing() {
        assert_eq!(Approver::from_key(Uuid::nil(), &Scopes::usual()), None);
        assert_eq!(Approver::from_key(Uuid::nil(), &[Scope::Approve].into_iter().collect()).unwrap().key(), Some(Uuid::nil()));
    }
}
