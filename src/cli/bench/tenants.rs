//! `odoo-agent bench tenants`: what it costs to prove whose a transaction is. The same reads of two tables of the same rows: one whose policy
//! asks for a plain setting, as before, and one whose policy asks for a proven tenant.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};

use super::knowledge::Own;
use super::{median, show};
use crate::cli::Exit;
use crate::config::Config;
use crate::db::Db;
use crate::domain::TenantId;

const TENANTS: u32 = 50;
const ROWS_OF_EACH: u32 = 2_000;
const TABLES: &str = "
    create table by_setting (id bigint primary key, tenant_id text not null, created_at timestamptz not null, content text not null);
    create table by_proof (like by_setting including all);
    insert into by_setting select n, 't' || (n % TENANTS), now() - n * interval '1 minute', repeat('x', 200)
      from generate_series(1, TENANTS * ROWS) n;
    insert into by_proof select * from by_setting;
    create index by_setting_page on by_setting (tenant_id, created_at desc);
    create index by_proof_page on by_proof (tenant_id, created_at desc);
    alter table by_setting enable row level security;
    alter table by_proof enable row level security;
    create policy tenant_only on by_setting using (tenant_id = current_setting('odoo_agent.tenant', true));
    create policy tenant_only on by_proof to odoo_agent_app using (tenant_id = (select current_tenant()));
    grant select on by_setting, by_proof to odoo_agent_app;
    vacuum analyze by_setting; vacuum analyze by_proof";
/// The queries of a transaction, `TABLE` for either table.
const READS: &[(&str, &str, usize)] = &[
    ("one row by its id", "select content from TABLE where id = 7 + TENANT", 1),
    ("the newest 20 rows", "select id, content from TABLE order by created_at desc limit 20", 1),
    ("ten rows by their ids, a statement each", "select content from TABLE where id = 7 + TENANT", 10),
];

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Seconds for each figure.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Rounds; the two ways take turns, and the median is shown.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=20))]
    rounds: u8,
}

pub(super) async fn run(config: &Config, args: Args) -> anyhow::Result<Exit> {
    let own = Own::start(config).await?;
    let measured = measure(&own, &args).await;
    own.stop().await;
    measured.map(|()| Exit::Done)
}

async fn measure(own: &Own, args: &Args) -> anyhow::Result<()> {
    let tenant: TenantId = "t1".parse()?;
    let database = own.database("bench_tenants", &tenant).await?;
    let mut owner = database.plain().await?;
    let tables = TABLES.replace("TENANTS", &TENANTS.to_string()).replace("ROWS", &ROWS_OF_EACH.to_string());
    // One at a time: a table cannot be vacuumed in the transaction that several statements together are.
    for statement in tables.split(';') {
        sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut owner).await?;
    }
    let plain = PgPoolOptions::new().max_connections(16).connect(&own.app_url("bench_tenants")).await?;
    show::out("| transaction of | connections | setting, transactions/s | proof, transactions/s | ratio |\n|---|---|---|---|---|");
    for (what, query, times) in READS {
        for callers in [1, 8] {
            let (mut by_setting, mut by_proof) = (Vec::new(), Vec::new());
            for _ in 0..args.rounds {
                let end = Duration::from_secs(args.seconds);
                by_setting.push(rate(&Way::Setting(plain.clone()), query, *times, callers, end).await?);
                by_proof.push(rate(&Way::Proof(database.db.clone()), query, *times, callers, end).await?);
            }
            let (before, after) = (median(by_setting), median(by_proof));
            show::out(&format!("| {what} | {callers} | {before:.0} | {after:.0} | {:.2} |", after / before));
        }
    }
    plain.close().await;
    database.db.close().await;
    Ok(())
}

/// How a transaction says whose it is.
#[derive(Clone)]
enum Way {
    Setting(PgPool),
    Proof(Db),
}

/// Transactions a second.
async fn rate(way: &Way, query: &'static str, times: usize, callers: u32, end: Duration) -> anyhow::Result<f64> {
    let done = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let (way, done) = (way.clone(), done.clone());
        tasks.spawn(async move {
            let name = format!("t{}", caller % TENANTS);
            while started.elapsed() < end {
                way.transaction(&name, caller, query, times).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of some seconds")]
    Ok(done.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64())
}

impl Way {
    async fn transaction(&self, tenant: &str, number: u32, query: &str, times: usize) -> anyhow::Result<()> {
        let table = if matches!(self, Self::Setting(_)) { "by_setting" } else { "by_proof" };
        let query = query.replace("TABLE", table).replace("TENANT", &number.to_string());
        match self {
            Self::Setting(pool) => {
                #[expect(clippy::disallowed_methods, reason = "what is measured is how it was before TenantTx proved anything")]
                let begun = pool.begin_with(AssertSqlSafe(format!("begin; set local odoo_agent.tenant = '{tenant}'"))).await;
                let mut tx = begun.context("a transaction with a setting could not begin")?;
                for _ in 0..times {
                    sqlx::query(AssertSqlSafe(query.clone())).fetch_all(&mut *tx).await?;
                }
                tx.commit().await?;
            }
            Self::Proof(db) => {
                let mut tx = db.tenant(&tenant.parse()?).await?;
                for _ in 0..times {
                    sqlx::query(AssertSqlSafe(query.clone())).fetch_all(tx.conn()).await?;
                }
                tx.commit().await?;
            }
        }
        Ok(())
    }
}
