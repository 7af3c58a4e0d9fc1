//! How much a source of fixes is trusted: labelled cases first, then what became of its fixes.
//!
//! A proof that nobody used changes nothing. Of one error every source is judged once, however often it was fixed: badly, if one of its fixes
//! turned out badly. Successes teach only where triage made the group of the error out of events, and never by whoever brought the fix.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::db::{Db, DbError, TenantTx};
use crate::domain::{Confidence, ErrorClass, Fingerprint, GroupId, RunId, Source, TenantId};

/// Rows of `rule,right,tried`.
const LABELLED: &str = include_str!("labelled_cases.csv");

/// Settings of the confidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Days for which an error must stay away before its applied fix counts as good.
    pub settle_days: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { settle_days: 7 }
    }
}

/// What became of a fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedbackKind {
    /// It was written. Good once the error has stayed away for [`Config::settle_days`], and nothing before.
    Applied,
    /// A person says that it is right. Good.
    Confirmed,
    /// It was merged. Good.
    Merged,
    /// A person says that it is wrong. Bad.
    Rejected,
    /// It was written and taken back. Bad.
    RolledBack,
    /// It was written, and its error came again. Bad.
    CameBack,
}

impl FeedbackKind {
    /// The name in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Confirmed => "confirmed",
            Self::Merged => "merged",
            Self::Rejected => "rejected",
            Self::RolledBack => "rolled_back",
            Self::CameBack => "came_back",
        }
    }

    const fn is_success(self) -> bool {
        match self {
            Self::Applied | Self::Confirmed | Self::Merged => true,
            Self::Rejected | Self::RolledBack | Self::CameBack => false,
        }
    }
}

/// Who says what became of a fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Somebody at the command line of the machine.
    Operator,
    /// The program itself.
    Program,
    /// The holder of an API key.
    Key(Uuid),
}

impl Actor {
    /// The name in rows and in the audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Program => "program",
            Self::Key(_) => "key",
        }
    }

    const fn key(self) -> Option<Uuid> {
        match self {
            Self::Key(key) => Some(key),
            Self::Operator | Self::Program => None,
        }
    }
}

/// What became of the fix of one run, and who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feedback {
    /// The run that found the fix.
    pub run: RunId,
    /// What became of it.
    pub kind: FeedbackKind,
    /// Who says so.
    pub by: Actor,
}

/// What was done with a feedback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is stored, and counts.
    Stored,
    /// The same was said of this run before.
    Known,
    /// Whoever brought the fix says that it is right, or had it written, which counts for nothing.
    OwnFix,
    /// This tenant has no such run, or the run has no patch.
    NoFix,
}

/// Records what became of the fix of a run that has ended. It is the only way in which the confidence in a source changes.
///
/// A success that comes from a run, or by the word, of whoever brought the fix counts for nothing. That a fix was written is kept all the same,
/// for it may come to nothing later.
pub async fn record(tx: &mut TenantTx, feedback: &Feedback) -> Result<Recorded, DbError> {
    let run = sqlx::query!(
        r#"select result ->> 'source' as source, result ->> 'origin' as origin, result -> 'error' ->> 'class' as class,
                  result -> 'error' ->> 'fingerprint' as fingerprint, submitted_by
             from runs where id = $1 and kind = 'debug_error' and result ->> 'patch' is not null"#,
        feedback.run.0,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(run) = run else { return Ok(Recorded::NoFix) };
    let (Some(source), Some(class), Some(fingerprint)) = (run.source, run.class, run.fingerprint) else { return Ok(Recorded::NoFix) };
    let unreadable = |error| DbError::unreadable("source of a fix", error);
    let source = Source::try_from(source).map_err(unreadable)?;
    let origin = run.origin.map(Source::try_from).transpose().map_err(unreadable)?;
    let maker = maker(&source, origin.as_ref());
    let own = feedback.kind.is_success() && is_own(tx, maker, &fingerprint, run.submitted_by, feedback.by.key()).await?;
    if own && feedback.kind != FeedbackKind::Applied {
        return Ok(Recorded::OwnFix);
    }
    let tenant = tx.tenant().clone();
    let stored = sqlx::query!(
        "insert into fix_feedback (tenant_id, run_id, kind, source, class, fingerprint, actor, key_id, own)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing",
        tenant.as_str(),
        feedback.run.0,
        feedback.kind.as_str(),
        maker.to_string(),
        class,
        fingerprint,
        feedback.by.as_str(),
        feedback.by.key(),
        own,
    )
    .execute(tx.conn())
    .await?;
    Ok(match stored.rows_affected() {
        1 if own => Recorded::OwnFix,
        1 => Recorded::Stored,
        _ => Recorded::Known,
    })
}

/// Whether a success is claimed by whoever brought the fix: the key that says so asked for the run, or one of the two gave the correction for the
/// error or for another one of its group. Keys that took one another's place are one. Nor does a correction teach that came with a key which may
/// send events: what it mends may be an error that the same key has sent.
async fn is_own(
    tx: &mut TenantTx,
    maker: &Source,
    fingerprint: &str,
    submitted_by: Option<Uuid>,
    said_by: Option<Uuid>,
) -> Result<bool, DbError> {
    let keys: Vec<Uuid> = submitted_by.into_iter().chain(said_by).collect();
    let row = sqlx::query!(
        r#"with involved as (select coalesce(family, id) as family from api_keys where id = any ($1)),
                same as (
                    select $2::text as fingerprint
                    union
                    select other.fingerprint from error_fingerprints one
                      join error_fingerprints other on other.tenant_id = one.tenant_id and other.group_id = one.group_id
                     where one.fingerprint = $2
                ),
                brought as (
                    select coalesce(k.family, k.id) as family, 'ingest' = any (k.scopes) as may_send
                      from tickets t join api_keys k on k.id = t.resolved_by
                     where $3 and t.correction is not null
                       and exists (select from same where same.fingerprint in (
                           t.evidence -> 'report' ->> 'fingerprint', t.evidence -> 'payload' -> 'report' ->> 'fingerprint',
                           (select n.fingerprint from tenant_knowledge n
                             where n.source_id is null and n.doc_type = 'tickets' and n.ref = t.id::text))))
           select exists (select from brought where may_send or family in (select family from involved)) as "has_brought!",
                  (select count(distinct family) = 1 from involved) as "is_one!""#,
        &keys,
        fingerprint,
        *maker == Source::Person,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row.has_brought || (row.is_one && keys.len() == 2))
}

/// Records that the errors of a group have come back after fixes of them were applied, and not taken back since.
pub async fn record_return(tx: &mut TenantTx, group: GroupId) -> Result<(), DbError> {
    let runs = sqlx::query!(
        "select a.run_id from fix_feedback a join error_fingerprints f on f.tenant_id = a.tenant_id and f.fingerprint = a.fingerprint
          where f.group_id = $1 and a.kind = 'applied'
            and not exists (select from fix_feedback b where b.tenant_id = a.tenant_id and b.run_id = a.run_id and b.kind = 'rolled_back')",
        group.0,
    )
    .fetch_all(tx.conn())
    .await?;
    for row in runs {
        record(tx, &Feedback { run: RunId(row.run_id), kind: FeedbackKind::CameBack, by: Actor::Program }).await?;
    }
    Ok(())
}

/// The run whose fix of the same error a person has taken back or rejected, if there is one.
pub(super) async fn taken_back(db: &Db, tenant: &TenantId, fingerprint: &Fingerprint) -> Result<Option<RunId>, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let row = sqlx::query!(
        "select run_id from fix_feedback where fingerprint = $1 and kind in ('rolled_back', 'rejected') order by at desc limit 1",
        fingerprint.as_str(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| RunId(row.run_id)))
}

/// Returns whose confidence counts for a fix: to remember a fix makes it no better than whoever made it first. What was remembered without
/// a maker is taken for an answer of Claude.
pub fn maker<'a>(source: &'a Source, origin: Option<&'a Source>) -> &'a Source {
    match (source, origin) {
        (Source::Recall, Some(origin)) if *origin != Source::Recall => origin,
        (Source::Recall, _) => &Source::Claude,
        _ => source,
    }
}

/// What a source has earned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Earned {
    /// The source; of rules that followed one another, the one with the smallest confidence.
    pub source: Source,
    /// The class of error that its fixes were for; `None`: only labelled cases, which have none.
    pub class: Option<String>,
    /// Number of labelled cases that it was right on.
    pub right: u64,
    /// Number of labelled cases that it was tried on.
    pub tried: u64,
    /// Number of fixes that were applied and whose error stayed away.
    pub applied_and_kept: u64,
    /// Number of fixes that a person confirmed.
    pub confirmed: u64,
    /// Number of fixes that were merged.
    pub merged: u64,
    /// Number of fixes that a person rejected.
    pub rejected: u64,
    /// Number of fixes that were applied and taken back.
    pub rolled_back: u64,
    /// Number of fixes whose error came again.
    pub came_back: u64,
    /// Number of errors of which the fixes turned out well.
    pub good: u64,
    /// Number of errors of which a fix turned out badly.
    pub bad: u64,
}

impl Earned {
    fn by_cases(source: Source) -> Self {
        let name = if let Source::Rule(name) = &source { name.as_str() } else { "" };
        let (right, tried) = labelled(name);
        Self {
            source,
            class: None,
            right,
            tried,
            applied_and_kept: 0,
            confirmed: 0,
            merged: 0,
            rejected: 0,
            rolled_back: 0,
            came_back: 0,
            good: 0,
            bad: 0,
        }
    }

    fn add(&mut self, row: &Row) {
        self.applied_and_kept += row.applied_and_kept;
        self.confirmed += row.confirmed;
        self.merged += row.merged;
        self.rejected += row.rejected;
        self.rolled_back += row.rolled_back;
        self.came_back += row.came_back;
        self.good += u64::from(row.is_good());
        self.bad += u64::from(row.is_bad());
    }

    /// The rate of the labelled cases and the errors together.
    pub fn confidence(&self) -> Confidence {
        Confidence::earned(self.right + self.good, self.tried + self.good + self.bad)
    }
}

/// What became of the fixes that one source made for one error.
struct Row {
    source: Source,
    class: String,
    applied_and_kept: u64,
    confirmed: u64,
    merged: u64,
    rejected: u64,
    rolled_back: u64,
    came_back: u64,
}

impl Row {
    fn is_bad(&self) -> bool {
        self.rejected + self.rolled_back + self.came_back > 0
    }

    fn is_good(&self) -> bool {
        !self.is_bad() && self.applied_and_kept + self.confirmed + self.merged > 0
    }

    /// The sources that had a part in the fixes: of rules that followed one another, each.
    fn makers(&self) -> Vec<Source> {
        parts(&self.source)
    }
}

/// The sources that a source is joined of.
fn parts(source: &Source) -> Vec<Source> {
    match source {
        Source::Rule(names) => names.split('+').map(|name| Source::Rule(name.to_owned())).collect(),
        other => vec![other.clone()],
    }
}

/// What a source has earned for a class of error: of rules that followed one another, what the one with the smallest confidence has.
pub(super) async fn earned(db: &Db, tenant: &TenantId, source: &Source, class: ErrorClass, config: Config) -> Result<Earned, DbError> {
    let rows = rows(db, tenant, config).await?;
    let of = |part: Source| {
        let own = rows.iter().filter(|row| row.class == class.as_str() && row.makers().contains(&part));
        let mut earned = Earned { class: Some(class.as_str().to_owned()), ..Earned::by_cases(part.clone()) };
        own.for_each(|row| earned.add(row));
        earned
    };
    let all = parts(source).into_iter().map(of);
    let least = all.min_by(|one, other| one.confidence().value().total_cmp(&other.confidence().value()));
    Ok(least.unwrap_or_else(|| Earned::by_cases(source.clone())))
}

/// What every source has earned, one for each class of error that it has made fixes for; these sources at the least.
pub(super) async fn all_earned(db: &Db, tenant: &TenantId, sources: Vec<Source>, config: Config) -> Result<Vec<Earned>, DbError> {
    let rows = rows(db, tenant, config).await?;
    let cases = table().keys().map(|name| Source::Rule((*name).to_owned()));
    let mut found: BTreeMap<(String, Option<String>), Earned> = BTreeMap::new();
    for source in sources.into_iter().chain(cases) {
        found.entry((source.to_string(), None)).or_insert_with(|| Earned::by_cases(source));
    }
    for row in &rows {
        for source in row.makers() {
            let (name, class) = (source.to_string(), Some(row.class.clone()));
            found.entry((name, class.clone())).or_insert_with(|| Earned { class, ..Earned::by_cases(source) }).add(row);
        }
    }
    Ok(found.into_values().collect())
}

/// One row for each source, class and error: the group of an error, or its fingerprint where triage has made no group of it. A success counts only
/// if triage started the run for a group, for anybody can submit a job about an error that they have made up. An applied fix counts as kept if
/// nothing bad became of it for long enough, and no later run has proven that the same error is there again.
async fn rows(db: &Db, tenant: &TenantId, config: Config) -> Result<Vec<Row>, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let rows = sqlx::query!(
        r#"with fixes as (
               select b.source, b.class, b.fingerprint, b.run_id, coalesce(r.group_id, f.group_id) as group_id,
                      max(b.at) filter (where b.kind = 'applied' and not b.own and r.group_id is not null) as applied_at,
                      bool_or(b.kind = 'confirmed' and not b.own and r.group_id is not null) as confirmed,
                      bool_or(b.kind = 'merged' and not b.own and r.group_id is not null) as merged,
                      bool_or(b.kind = 'rejected') as rejected, bool_or(b.kind = 'rolled_back') as rolled_back,
                      bool_or(b.kind = 'came_back') as came_back
                 from fix_feedback b
                 join runs r on r.tenant_id = b.tenant_id and r.id = b.run_id
                 left join error_fingerprints f on f.tenant_id = b.tenant_id and f.fingerprint = b.fingerprint
                group by b.source, b.class, b.fingerprint, b.run_id, r.group_id, f.group_id
           )
           select source as "source!", class as "class!",
                  count(*) filter (where applied_at <= now() - make_interval(days => $1) and not (rejected or rolled_back or came_back)
                      and not exists (select from tenant_knowledge k
                                       where k.kind = 'fix' and k.grade = 'proven' and k.fingerprint = fixes.fingerprint
                                         and k.created_at > fixes.applied_at)) as "kept!",
                  count(*) filter (where confirmed) as "confirmed!", count(*) filter (where merged) as "merged!",
                  count(*) filter (where rejected) as "rejected!", count(*) filter (where rolled_back) as "rolled_back!",
                  count(*) filter (where came_back) as "came_back!"
             from fixes group by source, class, coalesce(group_id::text, fingerprint)"#,
        i32::try_from(config.settle_days).unwrap_or(i32::MAX),
    )
    .fetch_all(tx.conn())
    .await?;
    let count = |count: i64| u64::try_from(count).unwrap_or(0);
    let row = rows.into_iter().map(|row| {
        Ok(Row {
            source: Source::try_from(row.source).map_err(|error| DbError::unreadable("source of a fix", error))?,
            class: row.class,
            applied_and_kept: count(row.kept),
            confirmed: count(row.confirmed),
            merged: count(row.merged),
            rejected: count(row.rejected),
            rolled_back: count(row.rolled_back),
            came_back: count(row.came_back),
        })
    });
    row.collect()
}

/// On how many labelled cases a rule was right, and on how many it was tried.
fn labelled(rule: &str) -> (u64, u64) {
    table().get(rule).copied().unwrap_or_default()
}

fn table() -> &'static BTreeMap<&'static str, (u64, u64)> {
    static TABLE: LazyLock<BTreeMap<&'static str, (u64, u64)>> = LazyLock::new(|| {
        let mut table: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (_, rule, (right, tried)) in read(LABELLED).flatten() {
            let sum = table.entry(rule).or_default();
            *sum = (sum.0 + right, sum.1 + tried);
        }
        table
    });
    &TABLE
}

/// The rows of the table: set of cases, rule, and the cases that it was right on and tried on. `Err` holds a line that is no row.
fn read(text: &str) -> impl Iterator<Item = Result<(&str, &str, (u64, u64)), &str>> {
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).skip(1).map(|line| {
        let mut cells = line.split(',').map(str::trim);
        let (set, rule) = (cells.next(), cells.next());
        let (right, tried, rest) = (cells.next(), cells.next(), cells.next());
        let number = |cell: Option<&str>| cell.and_then(|cell| cell.parse::<u64>().ok());
        match (set, rule, number(right), number(tried), rest) {
            (Some(set), Some(rule), Some(right), Some(tried), None) if !rule.is_empty() && right <= tried => {
                Ok((set, rule, (right, tried)))
            }
            _ => Err(line),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_of_labelled_cases_can_be_read() {
        let bad: Vec<_> = read(LABELLED).filter_map(Result::err).collect();
        assert!(bad.is_empty(), "{bad:?}");
        let rows: Vec<_> = read(LABELLED).flatten().map(|(set, rule, _)| (set, rule)).collect();
        let distinct: std::collections::BTreeSet<_> = rows.iter().collect();
        assert_eq!(rows.len(), distinct.len(), "each rule has one row in a set");
        assert!(read("set,rule,right,tried\nx,a,2,1\n").all(|row| row.is_err()), "no rule is right more often than it was tried");
    }

    #[test]
    fn rule_with_fewer_than_eight_cases_stays_below_the_threshold() {
        for (rule, (right, tried)) in table() {
            assert!(*tried >= 8 || Confidence::earned(*right, *tried).value() < 0.90, "{rule}");
        }
        for tried in 0..8 {
            assert!(Confidence::earned(tried, tried).value() < 0.90, "{tried}");
        }
    }

    #[test]
    fn recalled_fix_is_trusted_like_its_maker() {
        let rule = Source::Rule("x".to_owned());
        assert_eq!(maker(&Source::Recall, Some(&Source::Claude)), &Source::Claude);
        assert_eq!(maker(&Source::Recall, Some(&Source::Person)), &Source::Person);
        assert_eq!(maker(&Source::Recall, Some(&rule)), &rule);
        assert_eq!(maker(&Source::Recall, None), &Source::Claude);
        assert_eq!(maker(&rule, None), &rule);
    }

    #[test]
    fn nobody_is_trusted_before_anything_is_known() {
        for source in [Source::Claude, Source::Person, Source::Rule("no_such_rule".to_owned())] {
            assert_eq!(Earned::by_cases(source).confidence().value(), 0.5);
        }
    }
}
