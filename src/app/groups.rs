//! Groups of errors: seen, and put right by hand.

use serde_json::json;

use super::App;
use crate::db::TenantTx;
use crate::domain::{ErrorReport, Failure, Fingerprint, GroupId, Job, JobKind, Progress, RunId, Submitter, TenantId};
use crate::knowledge::confidence;
use crate::runs;
use crate::runs::groups::{self, Filter, GroupPage, GroupState, GroupView, MAX_PAGE, Split};
use crate::tenants::audit;

impl App {
    /// A group of this tenant.
    pub async fn group(&self, tenant: &TenantId, group: GroupId) -> Result<Option<GroupView>, Failure> {
        Ok(groups::get(&self.db, tenant, group).await?)
    }

    /// A page of the groups of this tenant, the last seen first.
    pub async fn groups(&self, tenant: &TenantId, filter: &Filter) -> Result<GroupPage, Failure> {
        if filter.limit.is_some_and(|limit| !(1..=MAX_PAGE).contains(&limit)) {
            return Err(Failure::bad_input(format!("limit must be 1 to {MAX_PAGE}")));
        }
        Ok(groups::list(&self.db, tenant, filter).await?)
    }

    /// Says how a group stands. `None`: there is no such group.
    pub async fn set_group_state(&self, tenant: &TenantId, group: GroupId, state: GroupState) -> Result<Option<GroupView>, Failure> {
        let Some(before) = self.group(tenant, group).await? else { return Ok(None) };
        let mut tx = self.db.tenant(tenant).await?;
        if !groups::set_state(&mut tx, group, state).await? {
            return Ok(None);
        }
        if (before.state.as_str(), state) == (GroupState::Fixed.as_str(), GroupState::Open) {
            Self::note_return(&mut tx, group).await?;
        }
        audit::write(&mut tx, "person", "group.state", &group.to_string(), &json!({ "state": state })).await?;
        tx.commit().await?;
        self.group(tenant, group).await
    }

    /// Notes that the errors of a group have come back after fixes of them were applied.
    pub async fn note_return(tx: &mut TenantTx, group: GroupId) -> Result<(), Failure> {
        Ok(confidence::record_return(tx, group).await?)
    }

    /// Makes a fingerprint of a group a group of its own, for good, with a job of its own where a change of sources may mend it. So does what
    /// stays, if the group's job was about what left. `None`: there is no such group, or it does not have that fingerprint.
    /// Whoever asks for it asks for the jobs: a split is no event.
    pub async fn split_group(
        &self,
        tenant: &TenantId,
        from: GroupId,
        fingerprint: &Fingerprint,
        by: Submitter,
    ) -> Result<Option<GroupView>, Failure> {
        let mut tx = self.db.tenant(tenant).await?;
        let (group, report, rest) = match groups::split(&mut tx, from, fingerprint).await? {
            Split::Done { group, report, rest } => (group, report, rest),
            Split::Missing => return Ok(None),
            Split::Alone => return Err(Failure::bad_input("the group has no other fingerprint: there is nothing to split")),
        };
        // A report that only another version can read gets no job; the group is split all the same.
        let job_of = |group, opening, report| Self::job_of_group(tenant, group, opening, &serde_json::from_value(report).ok()?);
        let own = job_of(group, 1, report).map(|job| (job, group, "one job for the group that was split off"));
        let rest = rest.and_then(|rest| job_of(from, rest.opening, rest.report));
        let rest = rest.map(|job| (job, from, "one job for what stayed in the group"));
        let jobs: Vec<_> = own.into_iter().chain(rest).collect();
        for (job, group, _) in &jobs {
            runs::insert_as(&mut tx, job, None, Some(*group), by).await?;
        }
        audit::write(&mut tx, "person", "group.split", &from.to_string(), &json!({ "fingerprint": fingerprint, "group": group })).await?;
        tx.commit().await?;
        for (job, _, said) in &jobs {
            self.tell(tenant, job.run_id, &Progress::new("queued", *said)).await;
            // The reconciler publishes it if this does not.
            let _ = self.publish(job, None).await;
        }
        self.group(tenant, group).await
    }

    /// The job of a group's opening, if a change of sources is what the error takes.
    pub fn job_of_group(tenant: &TenantId, group: GroupId, opening: i32, report: &ErrorReport) -> Option<Job> {
        let job = || {
            let payload = json!({ "report": report, "group": group });
            Job { run_id: RunId::of_group(group, opening), tenant: tenant.clone(), kind: JobKind::DebugError, payload }
        };
        report.is_actionable().then(job)
    }
}
