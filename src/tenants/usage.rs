//! What was spent, by run and step. Recording a step twice charges it once.

use crate::db::{Db, DbError, TenantTx, storable};
use crate::domain::{Cost, RunId, TenantId};

/// Charges one step of a run. A step that is repeated by a later attempt and paid for again needs a name of its own.
/// `false`: it was charged before.
pub async fn record(tx: &mut TenantTx, run: RunId, step: &str, cost: &Cost) -> Result<bool, DbError> {
    if !cost.usd.is_finite() || cost.usd < 0.0 {
        return Err(DbError::unreadable("cost of a step", format!("{} is no amount of dollars", cost.usd)));
    }
    let tokens = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let tenant = tx.tenant().clone();
    // The run's totals are raised in the same statement, and only if the step is new.
    let charged = sqlx::query!(
        "with charged as (
            insert into usage (tenant_id, run_id, step, usd, input_tokens, output_tokens, cache_read_tokens)
            values ($1, $2, $3, $4::float8::numeric, $5, $6, $7) on conflict (run_id, step) do nothing
            returning run_id, usd, input_tokens, output_tokens, cache_read_tokens)
         update runs set usd = runs.usd + charged.usd, input_tokens = runs.input_tokens + charged.input_tokens,
                output_tokens = runs.output_tokens + charged.output_tokens,
                cache_read_tokens = runs.cache_read_tokens + charged.cache_read_tokens
           from charged where runs.id = charged.run_id",
        tenant.as_str(),
        run.0,
        storable(step),
        cost.usd,
        tokens(cost.input_tokens),
        tokens(cost.output_tokens),
        tokens(cost.cache_read_tokens),
    )
    .execute(tx.conn())
    .await?;
    Ok(charged.rows_affected() == 1)
}

/// US dollars that the tenant has spent since midnight UTC.
pub async fn spent_today(db: &Db, tenant: &TenantId) -> Result<f64, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let row = sqlx::query!(
        r#"select coalesce(sum(usd), 0)::float8 as "usd!" from usage
            where tenant_id = $1 and at >= date_trunc('day', now() at time zone 'utc') at time zone 'utc'"#,
        tenant.as_str(),
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row.usd)
}

/// US dollars that one run has spent.
pub async fn spent_by_run(db: &Db, tenant: &TenantId, run: RunId) -> Result<f64, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let row =
        sqlx::query!(r#"select coalesce(sum(usd), 0)::float8 as "usd!" from usage where run_id = $1"#, run.0).fetch_one(tx.conn()).await?;
    Ok(row.usd)
}
