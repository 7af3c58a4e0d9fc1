//! The row of a source, who works on it, and what is known of its files.

use std::time::Duration;

use uuid::Uuid;

use super::cut::{Known, KnownFiles};
use super::{IndexError, Options, Report, Tree};
use crate::db::{Db, TenantTx, storable, storable_json};

/// A source that a run works on.
#[derive(Debug, Clone, Copy)]
pub(super) struct SourceId(pub(super) Uuid);

/// Nobody else works on the source while this is held. It goes with its connection, also when the program dies.
pub(super) struct Alone {
    _held: TenantTx,
}

/// Waits until no other run works on the tree; `wait` is called if there is one.
pub(super) async fn alone(db: &Db, tree: &Tree, options: &Options, wait: impl FnOnce()) -> Result<Alone, IndexError> {
    let owner = if tree.origin.is_shared() { "" } else { options.tenant.as_str() };
    let name = format!("knowledge/{owner}/{}/{}/{}", tree.origin.as_str(), tree.name, tree.version);
    let hash = blake3::hash(name.as_bytes());
    let key = i64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap_or_default());
    let mut tx = db.tenant(&options.tenant).await?;
    sqlx::query!("select set_config('idle_in_transaction_session_timeout', '0', true)").fetch_one(tx.conn()).await?;
    let free = sqlx::query!(r#"select pg_try_advisory_xact_lock($1) as "free!""#, key).fetch_one(tx.conn()).await?.free;
    if !free {
        wait();
        sqlx::query!("select pg_advisory_xact_lock($1)", key).fetch_one(tx.conn()).await?;
    }
    Ok(Alone { _held: tx })
}

/// Says that the indexing of a tree begins; the source is made if it is new.
pub(super) async fn begin(db: &Db, tree: &Tree, options: &Options) -> Result<SourceId, IndexError> {
    let mut tx = options.begin(db, tree.origin.is_shared()).await?;
    let row = sqlx::query!(
        "insert into knowledge_sources (id, tenant_id, doc_type, name, version, location, state) values ($1, $2, $3, $4, $5, $6, 'running')
         on conflict (tenant_id, doc_type, name, version) do update
            set state = 'running', location = excluded.location, started_at = now(), finished_at = null
         returning id",
        Uuid::now_v7(),
        (!tree.origin.is_shared()).then_some(options.tenant.as_str()),
        tree.origin.as_str(),
        tree.name,
        tree.version.as_str(),
        storable(&tree.location),
    )
    .fetch_one(tx.conn())
    .await?;
    tx.commit().await?;
    Ok(SourceId(row.id))
}

/// Says how it ended. After a failure the report says why.
pub(super) async fn end(
    db: &Db,
    tree: &Tree,
    options: &Options,
    source: SourceId,
    ended: &Result<Report, IndexError>,
) -> Result<(), IndexError> {
    let (state, report) = match ended {
        Ok(report) => ("done", storable_json("report", report)?),
        Err(error) => ("failed", serde_json::json!({ "error": error.to_string() })),
    };
    let mut tx = options.begin(db, tree.origin.is_shared()).await?;
    sqlx::query!("update knowledge_sources set state = $2, report = $3, finished_at = now() where id = $1", source.0, state, report)
        .execute(tx.conn())
        .await?;
    tx.commit().await?;
    Ok(())
}

/// The files of a source as they were when they were last read.
pub(super) async fn known(db: &Db, options: &Options, source: SourceId) -> Result<KnownFiles, IndexError> {
    let mut tx = db.tenant(&options.tenant).await?;
    let rows =
        sqlx::query!("select path, digest, chunker from knowledge_files where source_id = $1", source.0).fetch_all(tx.conn()).await?;
    Ok(rows.into_iter().map(|row| (row.path, Known { digest: row.digest, chunker: row.chunker })).collect())
}

/// Seconds as they are told.
pub(super) fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}
