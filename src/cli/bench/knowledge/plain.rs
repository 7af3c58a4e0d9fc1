//! The query of pgvector that one would write without this program, over the same rows and the same index: one statement, without a
//! transaction or row-level security.

use pgvector::HalfVector;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use super::exact::K;
use super::made::{DIMS, EMBEDDER};
use super::own::Database;

/// Whoever asks it.
pub(super) struct Plain(PgConnection);

impl Plain {
    /// `iterative`: the index goes on until there are enough, as the documentation of pgvector advises for filters; else pgvector's defaults.
    pub(super) async fn of(database: &Database, iterative: bool) -> anyhow::Result<Self> {
        let mut connection = database.plain().await?;
        if iterative {
            sqlx::raw_sql("set hnsw.iterative_scan = 'relaxed_order'").execute(&mut connection).await?;
        }
        Ok(Self(connection))
    }

    /// The nearest texts, of this addon only where one is named.
    pub(super) async fn ask(&mut self, vector: &[f32], module: Option<String>) -> anyhow::Result<Vec<Uuid>> {
        let filter = if module.is_some() { "and module = $2" } else { "and $2::text is null" };
        let sql = format!(
            "select chunk_id from knowledge_vectors where embedder = '{EMBEDDER}' and corpus = 'code' and tenant_id is null {filter}
              order by embedding::halfvec({DIMS}) <=> $1 limit {K}"
        );
        let found = sqlx::query_scalar(AssertSqlSafe(sql)).bind(HalfVector::from_f32_slice(vector)).bind(module);
        Ok(found.fetch_all(&mut self.0).await?)
    }

    pub(super) async fn close(self) -> anyhow::Result<()> {
        Ok(self.0.close().await?)
    }
}
