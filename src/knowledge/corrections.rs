//! What people said mends an error, for whoever looks for a fix of the same error.

use super::Knowledge;
use crate::db::DbError;
use crate::domain::{Fingerprint, OdooVersion, TenantId, TicketId};

/// How many corrections of one error are worth trying.
const MAX_CORRECTIONS: i64 = 3;

/// A change that a person says mends an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// The ticket that it was said to.
    pub ticket: TicketId,
    /// A unified diff against the sources as the person had them. It is a stranger's: nothing about it is proven.
    pub diff: String,
    /// What the same diff is known by, whichever ticket it was given to.
    pub name: String,
    /// Whether it was tried for this error since it was said, and did not help.
    pub is_refuted: bool,
}

impl Knowledge {
    /// Corrections of this error on this series: those that were not refuted first, then those of the very error before those of its group,
    /// then the latest word. The same diff is named once. The series of a run that was given up may not be known; then it holds for every one.
    pub async fn corrections(
        &self,
        tenant: &TenantId,
        fingerprint: &Fingerprint,
        version: &OdooVersion,
    ) -> Result<Vec<Correction>, DbError> {
        let mut tx = self.db.tenant(tenant).await?;
        let rows = sqlx::query!(
            r#"with same as (
                   select $1::text as fingerprint
                   union
                   select other.fingerprint from error_fingerprints f
                     join error_fingerprints other on other.tenant_id = f.tenant_id and other.group_id = f.group_id
                    where f.fingerprint = $1
               ), said as (
                   select distinct on (k.made_by ->> 'cause') t.id, t.correction, t.closed_at, k.made_by ->> 'cause' as name,
                          k.fingerprint = $1 as is_exact,
                          exists (select from tenant_knowledge f join same on same.fingerprint = f.fingerprint
                                   where f.kind = 'fix' and f.odoo_version = $2 and f.created_at >= t.closed_at
                                     and f.made_by -> 'refuted' ? (k.made_by ->> 'cause')) as is_refuted
                     from tenant_knowledge k
                     join same on same.fingerprint = k.fingerprint
                     join tickets t on t.id::text = k.ref
                    where k.source_id is null and k.doc_type = 'tickets' and (k.odoo_version = $2 or k.odoo_version is null)
                      and t.correction is not null and k.made_by ->> 'cause' is not null
                    order by k.made_by ->> 'cause', t.closed_at desc
               )
               select id as ticket, correction as "diff!", name as "name!", is_refuted as "is_refuted!" from said
                order by is_refuted, is_exact desc, closed_at desc limit $3"#,
            fingerprint.as_str(),
            version.as_str(),
            MAX_CORRECTIONS,
        )
        .fetch_all(tx.conn())
        .await?;
        let corrections = rows.into_iter().map(|row| Correction {
            ticket: TicketId(row.ticket),
            diff: row.diff,
            name: row.name,
            is_refuted: row.is_refuted,
        });
        Ok(corrections.collect())
    }
}
