//! The submitter of a run, and the authority that this gives by now.

use crate::db::{DbError, TenantTx, storable_json};
use crate::domain::{Authority, Job, KeyState, Scope};

/// Who asked for the run of a job. A job whose row is missing, or was asked for with something else, is nobody's: whoever may publish to the
/// queue may name any run.
pub async fn authority(tx: &mut TenantTx, job: &Job) -> Result<Authority, DbError> {
    let payload = storable_json("payload", &job.payload)?;
    let row = sqlx::query!(
        r#"select coalesce(r.submitter, case when r.submitted_by is not null then 'key' when r.group_id is not null then 'event' end) as submitter,
                  r.payload = $2 as "is_same!", k.revoked_at is not null as "is_revoked!",
                  coalesce(k.expires_at <= now(), false) as "is_expired!", coalesce($3 = any (k.scopes), false) as "may_apply!"
             from runs r left join api_keys k on k.id = r.submitted_by
            where r.id = $1"#,
        job.run_id.0,
        payload,
        Scope::Apply.as_str(),
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row.filter(|row| row.is_same) else { return Ok(Authority::Unknown) };
    Ok(match row.submitter.as_deref() {
        Some("operator") => Authority::Operator,
        Some("event") => Authority::Event,
        Some("key") => Authority::Key(match (row.is_revoked, row.is_expired, row.may_apply) {
            (true, _, _) => KeyState::Revoked,
            (_, true, _) => KeyState::Expired,
            (_, _, true) => KeyState::MayApply,
            (_, _, false) => KeyState::Lacks,
        }),
        _ => Authority::Unknown,
    })
}
