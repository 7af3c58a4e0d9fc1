//! What stood in a prompt, by what came of it: it counts a little for or against a text the next time.

use crate::db::{DbError, TenantTx, storable};

/// The most texts of one prompt that are counted.
const MAX_REFS: usize = 100;

/// Counts texts that stood in a prompt. `helped`: its fix was proven.
pub async fn used(tx: &mut TenantTx, refs: &[String], helped: bool) -> Result<(), DbError> {
    let tenant = tx.tenant().clone();
    let mut refs: Vec<String> = refs.iter().take(MAX_REFS).map(|name| storable(name)).collect();
    // In one order, so that two runs that count the same texts wait for each other and never in a circle.
    refs.sort_unstable();
    refs.dedup();
    sqlx::query!(
        "insert into knowledge_uses (tenant_id, ref, helped, unhelpful)
         select $1, ref, $3, $4 from unnest($2::text[]) with ordinality as r (ref, n) order by n
         on conflict (tenant_id, ref) do update set helped = knowledge_uses.helped + excluded.helped,
           unhelpful = knowledge_uses.unhelpful + excluded.unhelpful",
        tenant.as_str(),
        &refs,
        i64::from(helped),
        i64::from(!helped),
    )
    .execute(tx.conn())
    .await?;
    super::store::changed(tx).await
}

/// What a text with this record is worth: 1 for one without, at most 1.2, at least 0.95. A proof says more than a failure: most of what is packed
/// beside the one text that mattered did not help either.
pub(super) fn worth(helped: i64, unhelpful: i64) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "counts of prompts")]
    let (helped, unhelpful) = (helped.max(0) as f32, unhelpful.max(0) as f32);
    1.0 + 0.2 * (helped / (helped + 3.0)) - 0.05 * (unhelpful / (unhelpful + helped * 3.0 + 6.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_counts_more_than_its_absence() {
        assert!((worth(0, 0) - 1.0).abs() < f32::EPSILON);
        assert!(worth(1, 0) > 1.0 && worth(5, 0) > worth(1, 0) && worth(1_000, 0) <= 1.2);
        assert!(worth(0, 5) < 1.0 && worth(0, 1_000_000) >= 0.95 && worth(2, 2) > 1.0);
    }
}
