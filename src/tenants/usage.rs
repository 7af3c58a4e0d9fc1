//! What was spent, by run and step, or by a payment that belongs to no run. Recording one twice charges it once.

use uuid::Uuid;

use crate::db::{Db, DbError, TenantTx, storable};
use crate::domain::{Cost, RunId, TenantId};

/// More US dollars than one step ever costs, and more than a row can hold.
const TOO_MANY_USD: f64 = 1e8;
/// More tokens of one step are not counted: sums of many rows stay numbers that can be stored.
const MOST_TOKENS: i64 = 1 << 50;

/// Charges one step of a run. A step that is repeated by a later attempt and paid for again needs a name of its own.
/// `false`: it was charged before.
pub async fn record(tx: &mut TenantTx, run: RunId, step: &str, cost: &Cost) -> Result<bool, DbError> {
    let usd = dollars(cost)?;
    let tenant = tx.tenant().clone();
    // The run's totals are raised in the same statement, and only if the step is new.
    let charged = sqlx::query!(
        "with charged as (
            insert into usage (tenant_id, run_id, step, usd, input_tokens, output_tokens, cache_read_tokens)
            values ($1, $2, $3, $4::float8::numeric, $5, $6, $7) on conflict (tenant_id, run_id, step) do nothing
            returning run_id, usd, input_tokens, output_tokens, cache_read_tokens)
         update runs set usd = runs.usd + charged.usd, input_tokens = runs.input_tokens + charged.input_tokens,
                output_tokens = runs.output_tokens + charged.output_tokens,
                cache_read_tokens = runs.cache_read_tokens + charged.cache_read_tokens
           from charged where runs.id = charged.run_id",
        tenant.as_str(),
        run.0,
        storable(step),
        usd,
        tokens(cost.input_tokens),
        tokens(cost.output_tokens),
        tokens(cost.cache_read_tokens),
    )
    .execute(tx.conn())
    .await?;
    Ok(charged.rows_affected() == 1)
}

/// Charges the tenant itself for what belongs to no run; `step` says what it was. `false`: this payment was charged before.
pub async fn record_payment(tx: &mut TenantTx, payment: Uuid, step: &str, cost: &Cost) -> Result<bool, DbError> {
    let usd = dollars(cost)?;
    let tenant = tx.tenant().clone();
    let charged = sqlx::query!(
        "insert into usage (tenant_id, payment, step, usd, input_tokens, output_tokens, cache_read_tokens)
         values ($1, $2, $3, $4::float8::numeric, $5, $6, $7) on conflict (payment) do nothing",
        tenant.as_str(),
        payment,
        storable(step),
        usd,
        tokens(cost.input_tokens),
        tokens(cost.output_tokens),
        tokens(cost.cache_read_tokens),
    )
    .execute(tx.conn())
    .await?;
    Ok(charged.rows_affected() == 1)
}

fn dollars(cost: &Cost) -> Result<f64, DbError> {
    if (0.0..TOO_MANY_USD).contains(&cost.usd) {
        return Ok(cost.usd);
    }
    Err(DbError::unreadable("cost of a step", format!("{} is no amount of dollars", cost.usd)))
}

fn tokens(count: u64) -> i64 {
    i64::try_from(count).map_or(MOST_TOKENS, |count| count.min(MOST_TOKENS))
}

/// US dollars that the tenant has spent since midnight UTC, by runs and without. Who is not there has nothing to spend either.
pub async fn spent_today(db: &Db, tenant: &TenantId) -> Result<f64, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let row = sqlx::query!(
        r#"select (select coalesce(sum(usd), 0) from usage
                    where tenant_id = $1 and at >= date_trunc('day', now() at time zone 'utc') at time zone 'utc')::float8 as "usd!"
             from tenants where id = $1"#,
        tenant.as_str(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(|row| row.usd).ok_or_else(|| DbError::Missing { what: "tenant", id: tenant.to_string() })
}

/// US dollars that one run has spent.
pub async fn spent_by_run(db: &Db, tenant: &TenantId, run: RunId) -> Result<f64, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let row =
        sqlx::query!(r#"select coalesce(sum(usd), 0)::float8 as "usd!" from usage where run_id = $1"#, run.0).fetch_one(tx.conn()).await?;
    Ok(row.usd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_amounts_are_charged() {
        let of = |usd: f64| dollars(&Cost { usd, ..Cost::default() });
        for usd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e-9, 1e8, f64::MAX] {
            assert!(of(usd).is_err(), "{usd}");
        }
        assert!(of(0.0).is_ok() && of(2e-8).is_ok() && of(99_999_999.0).is_ok());
    }

    #[test]
    fn absurd_counts_can_be_added_up() {
        assert_eq!((tokens(0), tokens(7)), (0, 7));
        assert!((0..1_000).try_fold(0_i64, |sum, _| sum.checked_add(tokens(u64::MAX))).is_some());
    }
}
