//! The static scan of a patch, as part of its evidence.

use crate::domain::{Evidence, Failure, Grade, Patch, Severity};
use crate::sandbox::Sandbox;

/// The evidence with what the scan found. A matter of style is reported; what may be a hole is a person's decision, and so refutes.
pub(super) async fn scanned(sandbox: &mut Sandbox, patch: &Patch, evidence: Evidence) -> Result<Evidence, Failure> {
    let findings = sandbox.scan(patch).await?;
    let holes: Vec<String> =
        findings.iter().filter(|found| found.severity >= Severity::Medium).map(|found| format!("security scan: {found}")).collect();
    if holes.is_empty() {
        return Ok(Evidence { findings, ..evidence });
    }
    Ok(Evidence { grade: Grade::Refuted, new_failures: holes, findings, ..evidence })
}
