//! Past fixes: every candidate that went through the sandbox, and what came of it.

use serde_json::json;

use super::chunk::Kind;
use super::errors;
use super::store::{DocType, Entry, put};
use super::uses::used;
use crate::db::{Db, DbError, TenantTx, storable_json};
use crate::domain::{ErrorReport, Fingerprint, Grade, Lesson, OdooVersion, Patch, RunId, Source, TenantId};

/// How many past fixes are worth trying.
const MAX_RECALLED: i64 = 5;
/// The most characters of an error that are kept beside its fix.
const MAX_TEXT: usize = 4_000;

/// A fix that was proven before.
#[derive(Debug, Clone, PartialEq)]
pub struct PastFix {
    /// The run that proved it.
    pub run: RunId,
    /// The change, against the sources as they were then.
    pub patch: Patch,
    /// Who proposed it; where it was itself recalled, who proposed it first.
    pub source: Source,
    /// What it does.
    pub summary: String,
}

/// Keeps how a run went, good or bad. The same candidate of the same run is kept once, in its latest form.
pub async fn remember(tx: &mut TenantTx, run: RunId, lesson: &Lesson) -> Result<(), DbError> {
    let patch = lesson.patch.as_ref().map(|patch| storable_json("patch", patch)).transpose()?;
    let which = lesson.patch.as_ref().map(|patch| blake3::hash(patch.unified_diff().as_bytes()).to_hex()[..16].to_owned());
    let source = lesson.source.as_ref().map(ToString::to_string);
    let text = text_of(&lesson.report);
    let mut made_by = lesson.made_by.clone();
    // The same change mends the same cause.
    made_by["cause"] = json!(which.as_deref().unwrap_or(lesson.report.fingerprint.as_str()));
    made_by["class"] = json!(errors::class_of(&text));
    let entry = Entry {
        doc_type: DocType::Errors,
        kind: Kind::Fix,
        r#ref: format!("{run}/{}/{}", source.as_deref().unwrap_or("-"), which.as_deref().unwrap_or("-")),
        module: lesson.report.module.clone(),
        version: Some(lesson.version.clone()),
        title: lesson.summary.clone(),
        content: text.clone(),
        zones: errors::zones(&text, &lesson.summary),
        card: Some(errors::card(&text)),
        quality: quality(lesson.grade),
        made_by,
    };
    put(tx, &entry).await?;
    sqlx::query!(
        "update tenant_knowledge set fingerprint = $2, class = $3, run_id = $4, patch = $5, source = $6, grade = $7
          where source_id is null and doc_type = 'errors' and ref = $1",
        entry.r#ref,
        lesson.report.fingerprint.as_str(),
        lesson.report.class.as_str(),
        run.0,
        patch,
        source,
        lesson.grade.map(Grade::as_str),
    )
    .execute(tx.conn())
    .await?;
    if !lesson.shown.is_empty() {
        // Another attempt that settles the same outcome does not come here: the run has ended by then.
        let helped = lesson.source == Some(Source::Claude) && lesson.grade == Some(Grade::Proven);
        used(tx, &lesson.shown, helped).await?;
    }
    Ok(())
}

/// What was proven goes before what was only tried.
fn quality(grade: Option<Grade>) -> f32 {
    match grade {
        Some(Grade::Proven) => 0.95,
        Some(Grade::Consistent) => 0.5,
        Some(Grade::Refuted) | None => 0.2,
    }
}

/// What a search compares: what the error is, not when and where in the log it stood.
pub(super) fn text_of(report: &ErrorReport) -> String {
    let mut text = format!("{} {}", report.class.as_str(), report.title);
    for raised in &report.chain {
        text.push('\n');
        text.push_str(&raised.exception);
        text.push_str(": ");
        text.push_str(&raised.message);
    }
    text.chars().take(MAX_TEXT).collect()
}

/// Fixes that were proven for this very error on this series, newest first; a patch that was proven twice is named once. Left out is what a
/// person has taken back or rejected.
pub async fn recall(db: &Db, tenant: &TenantId, fingerprint: &Fingerprint, version: &OdooVersion) -> Result<Vec<PastFix>, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let rows = sqlx::query!(
        r#"select run_id as "run_id!", patch as "patch!", source as "source!", title from (
               select distinct on (patch) run_id, patch, coalesce(made_by ->> 'origin', source) as source, title, created_at
                 from tenant_knowledge
                where kind = 'fix' and grade = 'proven' and fingerprint = $1 and odoo_version = $2
                  and run_id is not null and patch is not null and source is not null
                  and not exists (select from fix_feedback b
                                   where b.tenant_id = tenant_knowledge.tenant_id and b.run_id = tenant_knowledge.run_id
                                     and b.kind in ('rolled_back', 'rejected'))
                order by patch, created_at desc
           ) as fixes order by created_at desc limit $3"#,
        fingerprint.as_str(),
        version.as_str(),
        MAX_RECALLED,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut fixes = Vec::with_capacity(rows.len());
    for row in rows {
        let patch = serde_json::from_value(row.patch).map_err(|error| DbError::unreadable("patch", error))?;
        let source = Source::try_from(row.source).map_err(|error| DbError::unreadable("source of a fix", error))?;
        fixes.push(PastFix { run: RunId(row.run_id), patch, source, summary: row.title });
    }
    Ok(fixes)
}
