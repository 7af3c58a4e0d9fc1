//! The nouns that cross three rooms: jobs, reports, patches, evidence, failures, ids. Only values; never IO, never async.

mod approval;
mod authority;
mod breaker;
mod cursor;
mod evidence;
mod failure;
mod ids;
mod job;
mod outcome;
mod patch;
mod report;
mod scope;

pub use approval::{Approval, ApprovalError, ApprovedPatch, Approver, BadDigest, Offer, PatchDigest, WritablePatch};
pub use authority::{Authority, KeyState, Submitter, Writing};
pub use breaker::Breaker;
pub use cursor::Cursor;
pub use evidence::{
    Applicability, Confidence, Cost, Diagnosis, Evidence, Finding, Grade, Hunk, Loss, LossKind, Need, ProvenPatch, Severity, Source,
    Suspect,
};
pub use failure::{Failure, FailureKind, Prerequisite, Verdict};
pub use ids::{Domain, EventId, Fingerprint, GroupId, HostName, InvalidId, ModuleName, OdooVersion, Release, RunId, TenantId, TicketId};
pub use job::{Effect, Job, JobKind, Lesson, Outcome, Progress, RunState, Ticket, UnknownKind};
pub use outcome::{FixOutcome, offered_patch, written_patch};
pub use patch::{FileChange, Patch, PatchError, RelPath};
pub use report::{ErrorClass, ErrorReport, Fault, Frame, Location, ObjectRef, Owner, Raised, Subclass};
pub use scope::{BadScopes, Scope, Scopes};
