//! A batch of files into the database, in one transaction: what was known of them goes, what is known now comes, with symbols, vectors and
//! counts. Sets of rows, never row by row.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use super::cut::{FileRows, MADE, Row};
use super::source::SourceId;
use super::terms::{Terms, changed};
use super::{IndexError, Options, Origin, Tree};
use crate::db::{Db, TenantTx, storable, storable_json};
use crate::knowledge::chunk::CHUNKER;
use crate::knowledge::lexical::LEXICAL;
use crate::knowledge::store::sparse;

/// How many texts are written by one statement: an addon with its translations may have tens of thousands.
const AT_ONCE: usize = 2_000;

/// Writes for one source.
pub(super) struct Writer<'a> {
    pub(super) db: &'a Db,
    pub(super) tree: &'a Tree,
    pub(super) options: &'a Options,
    pub(super) source: SourceId,
}

/// Files that are written together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) files: Vec<FileRows>,
    /// Files that are not there any more.
    pub(super) gone: Vec<String>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.gone.is_empty()
    }
}

/// How much was written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    pub(super) chunks: u64,
    pub(super) removed: u64,
    pub(super) symbols: u64,
}

impl Writer<'_> {
    /// Whose the rows are; nobody's if everybody may see them.
    pub(super) fn owner(&self) -> Option<&str> {
        (!self.tree.origin.is_shared()).then_some(self.options.tenant.as_str())
    }

    /// The table of the texts. With an owner, `$1` of every insert is the owner.
    pub(super) fn table(&self) -> &'static str {
        if self.tree.origin.is_shared() { "odoo_knowledge" } else { "tenant_knowledge" }
    }

    /// Makes the statistics anew that searches are planned by.
    pub(super) async fn settle(&self) -> Result<(), IndexError> {
        let mut tx = self.db.indexer(&self.options.tenant).await?;
        sqlx::query("select knowledge_settle()").execute(tx.conn()).await?;
        Ok(tx.commit().await?)
    }

    /// Writes one batch.
    pub(super) async fn write(&self, batch: Batch) -> Result<Written, IndexError> {
        let mut tx = self.options.begin(self.db, self.tree.origin.is_shared()).await?;
        let paths: Vec<String> = batch.files.iter().map(|file| file.path.clone()).chain(batch.gone.iter().cloned()).collect();
        let old = self.old(&mut tx, &paths).await?;
        let mut terms = Terms::default();
        let written = self.insert_chunks(&mut tx, &batch.files, &mut terms).await?;
        if !old.is_empty() {
            self.keep_vectors(&mut tx, &batch.files, &old).await?;
        }
        self.delete(&mut tx, &paths, &old, &mut terms).await?;
        let symbols = self.insert_symbols(&mut tx, &batch.files).await?;
        self.upsert_modules(&mut tx, &batch).await?;
        self.upsert_files(&mut tx, &batch).await?;
        terms.apply(&mut tx, self.owner()).await?;
        changed(&mut tx, self.owner()).await?;
        tx.commit().await?;
        Ok(Written { chunks: written, removed: old.len() as u64, symbols })
    }

    /// The texts that are there of these files.
    async fn old(&self, tx: &mut TenantTx, paths: &[String]) -> Result<Vec<Uuid>, IndexError> {
        let sql = format!("select id from {} where source_id = $1 and file = any($2)", self.table());
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(self.source.0).bind(paths).fetch_all(tx.conn()).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn insert_chunks(&self, tx: &mut TenantTx, files: &[FileRows], terms: &mut Terms) -> Result<u64, IndexError> {
        let rows: Vec<(&FileRows, &Row)> = files.iter().flat_map(|file| file.rows.iter().map(move |row| (file, row))).collect();
        for (_, row) in &rows {
            terms.add(row.kind.corpus().as_str(), row.weights.iter().map(|(term, _)| *term));
        }
        let mut inserted = 0;
        for rows in rows.chunks(AT_ONCE) {
            inserted += self.insert_rows(tx, rows).await?;
        }
        Ok(inserted)
    }

    async fn insert_rows(&self, tx: &mut TenantTx, rows: &[(&FileRows, &Row)]) -> Result<u64, IndexError> {
        let (tenant_column, tenant_value) = if self.owner().is_some() { ("tenant_id, ", "$5, ") } else { ("", "") };
        // Two tables of the same shape, and vector types that the macros do not know: one statement, built from constants only.
        let sql = format!(
            "insert into {} ({tenant_column}id, source_id, file, path, module, kind, corpus, ref, symbol, odoo_model, lang, start_line, end_line,
                             title, content, card, digest, lexemes, weights, quality, doc_type, odoo_version, made_by)
             select {tenant_value}t.id, $1, t.file, t.file, t.module, t.kind, t.corpus, t.ref, t.symbol, t.odoo_model, t.lang, t.start_line, t.end_line,
                    t.title, t.content, t.card, t.digest, t.lexemes::int[], t.weights, t.quality, $2, $3, $4
               from unnest($6::uuid[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[],
                           $15::int[], $16::int[], $17::text[], $18::text[], $19::text[], $20::bytea[], $21::text[], $22::sparsevec[],
                           $23::real[])
                 as t (id, file, module, kind, corpus, ref, symbol, odoo_model, lang, start_line, end_line, title, content, card, digest,
                       lexemes, weights, quality)
              where $5::text is null or $5::text <> ''",
            self.table()
        );
        let texts = |get: fn(&FileRows, &Row) -> String| -> Vec<String> { rows.iter().map(|(file, row)| get(file, row)).collect() };
        let maybe =
            |get: fn(&FileRows, &Row) -> Option<String>| -> Vec<Option<String>> { rows.iter().map(|(file, row)| get(file, row)).collect() };
        let inserted = sqlx::query(AssertSqlSafe(sql))
            .bind(self.source.0)
            .bind(self.tree.origin.as_str())
            .bind(self.tree.version.as_str())
            .bind(made_by())
            .bind(self.owner())
            .bind(rows.iter().map(|(_, row)| row.id).collect::<Vec<_>>())
            .bind(texts(|file, _| file.path.clone()))
            .bind(maybe(|file, _| file.module.clone()))
            .bind(texts(|_, row| row.kind.as_str().to_owned()))
            .bind(texts(|_, row| row.kind.corpus().as_str().to_owned()))
            .bind(texts(|_, row| row.r#ref.clone()))
            .bind(texts(|_, row| row.symbol.clone()))
            .bind(maybe(|_, row| row.odoo_model.clone()))
            .bind(maybe(|_, row| row.lang.clone()))
            .bind(rows.iter().map(|(_, row)| row.start_line).collect::<Vec<_>>())
            .bind(rows.iter().map(|(_, row)| row.end_line).collect::<Vec<_>>())
            .bind(texts(|_, row| row.title.clone()))
            .bind(texts(|_, row| row.content.clone()))
            .bind(maybe(|_, row| row.card.clone()))
            .bind(rows.iter().map(|(_, row)| row.digest.clone()).collect::<Vec<_>>())
            .bind(texts(|_, row| lexemes(&row.weights)))
            .bind(rows.iter().map(|(_, row)| sparse(&row.weights)).collect::<Vec<_>>())
            .bind(rows.iter().map(|(file, _)| file.quality).collect::<Vec<_>>())
            .execute(tx.conn())
            .await?;
        Ok(inserted.rows_affected())
    }

    /// What is embedded of a text may be the same although its file has changed: then it keeps its vectors.
    async fn keep_vectors(&self, tx: &mut TenantTx, files: &[FileRows], old: &[Uuid]) -> Result<(), IndexError> {
        let rows: Vec<(&FileRows, &Row)> =
            files.iter().flat_map(|file| file.rows.iter().map(move |row| (file, row))).filter(|(_, row)| row.card.is_some()).collect();
        let sql = format!(
            "insert into knowledge_vectors (chunk_id, embedder, part, tenant_id, corpus, version, module, embedding)
             select distinct on (n.id, v.embedder, v.part) n.id, v.embedder, v.part, v.tenant_id, n.corpus, v.version, n.module, v.embedding
               from unnest($1::uuid[], $2::bytea[], $3::text[], $4::text[]) as n (id, digest, corpus, module)
               join (select id, digest from {} where id = any($5) and card is not null) o on o.digest = n.digest
               join knowledge_vectors v on v.chunk_id = o.id",
            self.table()
        );
        sqlx::query(AssertSqlSafe(sql))
            .bind(rows.iter().map(|(_, row)| row.id).collect::<Vec<_>>())
            .bind(rows.iter().map(|(_, row)| row.digest.clone()).collect::<Vec<_>>())
            .bind(rows.iter().map(|(_, row)| row.kind.corpus().as_str()).collect::<Vec<_>>())
            .bind(rows.iter().map(|(file, _)| file.module.as_deref()).collect::<Vec<_>>())
            .bind(old)
            .execute(tx.conn())
            .await?;
        Ok(())
    }

    async fn delete(&self, tx: &mut TenantTx, paths: &[String], old: &[Uuid], terms: &mut Terms) -> Result<(), IndexError> {
        sqlx::query!("delete from knowledge_symbols where source_id = $1 and file = any($2)", self.source.0, paths)
            .execute(tx.conn())
            .await?;
        if old.is_empty() {
            return Ok(());
        }
        sqlx::query!("delete from knowledge_vectors where chunk_id = any($1)", old).execute(tx.conn()).await?;
        let sql = format!(
            "with gone as (delete from {} where id = any($1) returning corpus, array_prepend(0, lexemes) as terms)
             select corpus, term, count(*) from gone, unnest(terms) as term group by corpus, term",
            self.table()
        );
        for row in sqlx::query(AssertSqlSafe(sql)).bind(old).fetch_all(tx.conn()).await? {
            terms.take(row.get(0), row.get(1), row.get(2));
        }
        Ok(())
    }

    async fn insert_symbols(&self, tx: &mut TenantTx, files: &[FileRows]) -> Result<u64, IndexError> {
        let rows: Vec<_> = files.iter().flat_map(|file| file.symbols.iter().map(move |row| (file, row))).collect();
        if rows.is_empty() {
            return Ok(0);
        }
        let details: Vec<Option<Value>> = rows.iter().map(|(_, row)| row.symbol.detail.clone()).collect();
        let maybe = |text: &Option<String>| text.as_deref().map(storable);
        let inserted = sqlx::query!(
            "insert into knowledge_symbols (source_id, tenant_id, version, chunk_id, file, module, kind, odoo_model, name, target, line, detail)
             select $1, $2, $3, t.chunk, t.file, t.module, t.kind, t.odoo_model, t.name, t.target, t.line, t.detail
               from unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::int[], $12::jsonb[])
                 as t (chunk, file, module, kind, odoo_model, name, target, line, detail)",
            self.source.0,
            self.owner(),
            self.tree.version.as_str(),
            &rows.iter().map(|(_, row)| row.chunk).collect::<Vec<_>>(),
            &rows.iter().map(|(file, _)| file.path.clone()).collect::<Vec<_>>(),
            &rows.iter().map(|(file, _)| file.module.clone()).collect::<Vec<_>>() as &[Option<String>],
            &rows.iter().map(|(_, row)| row.symbol.kind.to_owned()).collect::<Vec<_>>(),
            &rows.iter().map(|(_, row)| maybe(&row.symbol.odoo_model)).collect::<Vec<_>>() as &[Option<String>],
            &rows.iter().map(|(_, row)| storable(&row.symbol.name)).collect::<Vec<_>>(),
            &rows.iter().map(|(_, row)| maybe(&row.symbol.target)).collect::<Vec<_>>() as &[Option<String>],
            &rows.iter().map(|(_, row)| i32::try_from(row.symbol.line).unwrap_or(i32::MAX)).collect::<Vec<_>>(),
            &details as &[Option<Value>],
        )
        .execute(tx.conn())
        .await?;
        Ok(inserted.rows_affected())
    }

    /// The addons of the batch. An addon whose manifest is gone is none any more.
    async fn upsert_modules(&self, tx: &mut TenantTx, batch: &Batch) -> Result<(), IndexError> {
        let gone: Vec<String> = batch
            .gone
            .iter()
            .filter(|path| super::tree::is_manifest(path))
            .filter_map(|path| path.split('/').next().map(ToOwned::to_owned))
            .collect();
        if !gone.is_empty() {
            sqlx::query!("delete from knowledge_modules where source_id = $1 and module = any($2)", self.source.0, &gone)
                .execute(tx.conn())
                .await?;
        }
        self.adjust_quality(tx, &batch.files).await?;
        for file in &batch.files {
            let (Some(card), Some(module)) = (&file.card, &file.module) else { continue };
            let clean = |names: &Vec<String>| names.iter().map(|name| storable(name)).collect::<Vec<_>>();
            let (depends, auto_install) = (clean(&card.depends), card.auto_install.as_ref().map(clean));
            sqlx::query!(
                "insert into knowledge_modules (source_id, tenant_id, version, module, depends, auto_install, detail)
                 values ($1, $2, $3, $4, $5, $6, $7)
                 on conflict (source_id, module) do update
                    set depends = excluded.depends, auto_install = excluded.auto_install, detail = excluded.detail",
                self.source.0,
                self.owner(),
                self.tree.version.as_str(),
                module,
                &depends,
                auto_install.as_deref(),
                storable_json("manifest", &card.detail)?,
            )
            .execute(tx.conn())
            .await?;
        }
        Ok(())
    }

    /// The other files of an addon were written when it was known to be better or worse.
    async fn adjust_quality(&self, tx: &mut TenantTx, files: &[FileRows]) -> Result<(), IndexError> {
        let cards = || files.iter().filter_map(|file| Some((file.module.as_deref()?, file.card.as_ref()?, file.quality)));
        let modules: Vec<String> = cards().map(|(module, ..)| module.to_owned()).collect();
        if self.tree.origin != Origin::Oca || modules.is_empty() {
            return Ok(());
        }
        let before = sqlx::query!(
            "select module, detail ->> 'maturity' as maturity from knowledge_modules where source_id = $1 and module = any($2)",
            self.source.0,
            &modules,
        )
        .fetch_all(tx.conn())
        .await?;
        let now = |name: &str| cards().find(|(module, ..)| *module == name);
        let is_other =
            |name: &str, maturity: Option<&str>| now(name).is_some_and(|(_, card, _)| card.detail["maturity"].as_str() != maturity);
        let other: Vec<String> =
            before.into_iter().filter(|row| is_other(&row.module, row.maturity.as_deref())).map(|row| row.module).collect();
        if other.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "update {} k set quality = m.quality from unnest($2::text[], $3::real[]) as m (module, quality)
              where k.source_id = $1 and k.module = m.module and k.quality <> m.quality",
            self.table()
        );
        let qualities: Vec<f32> = other.iter().filter_map(|name| now(name)).map(|(.., quality)| quality).collect();
        sqlx::query(AssertSqlSafe(sql)).bind(self.source.0).bind(&other).bind(qualities).execute(tx.conn()).await?;
        Ok(())
    }

    async fn upsert_files(&self, tx: &mut TenantTx, batch: &Batch) -> Result<(), IndexError> {
        if !batch.gone.is_empty() {
            sqlx::query!("delete from knowledge_files where source_id = $1 and path = any($2)", self.source.0, &batch.gone)
                .execute(tx.conn())
                .await?;
        }
        let files = &batch.files;
        sqlx::query!(
            "insert into knowledge_files (source_id, tenant_id, chunker, path, digest, chunks, skipped)
             select $1, $2, $3, t.path, t.digest, t.chunks, t.skipped
               from unnest($4::text[], $5::bytea[], $6::int[], $7::text[]) as t (path, digest, chunks, skipped)
             on conflict (source_id, path) do update
                set chunker = excluded.chunker, digest = excluded.digest, chunks = excluded.chunks, skipped = excluded.skipped",
            self.source.0,
            self.owner(),
            MADE,
            &files.iter().map(|file| file.path.clone()).collect::<Vec<_>>(),
            &files.iter().map(|file| file.digest.clone()).collect::<Vec<_>>(),
            &files.iter().map(|file| i32::try_from(file.rows.len()).unwrap_or(i32::MAX)).collect::<Vec<_>>(),
            &files.iter().map(|file| file.skipped.map(ToOwned::to_owned)).collect::<Vec<_>>() as &[Option<String>],
        )
        .execute(tx.conn())
        .await?;
        Ok(())
    }
}

fn made_by() -> Value {
    json!({ "chunker": CHUNKER, "lexical": LEXICAL })
}

/// As PostgreSQL writes an array.
fn lexemes(weights: &[(i32, f32)]) -> String {
    let terms: Vec<String> = weights.iter().map(|(term, _)| term.to_string()).collect();
    format!("{{{}}}", terms.join(","))
}
