//! The methods that may have given a value that did not fit further in: they mostly stand in no frame of the traceback.

use std::collections::HashSet;

use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::found::{Candidate, Scope};
use super::frames::{self, Place};
use crate::db::{DbError, TenantTx};
use crate::domain::{ErrorReport, Frame, Raised};
use crate::odoo::slice::{AddonFacts, Addons, Culprit, Definition, FrameSource, culprits, deeper, is_silent, rank};

/// The most definitions that are held against the traceback.
const MAX_DEFINITIONS: i64 = 2_000;
/// What a score is held against: one that high is as certain as it gets.
const CERTAIN: f32 = 1.0;

/// The methods that are suspected, the most likely first; empty where the error complains of no value.
pub(super) async fn suspected(tx: &mut TenantTx, scope: &Scope, report: &ErrorReport) -> Result<Vec<Candidate>, DbError> {
    let Some(raised) = root(&report.chain).filter(|raised| is_silent(&raised.exception, &raised.message)) else { return Ok(Vec::new()) };
    let said = (raised.exception.as_str(), raised.message.as_str());
    let frames: Vec<&Frame> = raised.frames.iter().collect();
    let places = frames::places(tx, scope, &frames).await?;
    let modules: Vec<Option<String>> = frames.iter().zip(&places).map(|(frame, place)| module(frame, place.as_ref())).collect();
    let sources: Vec<FrameSource<'_>> =
        frames.iter().zip(&places).zip(&modules).map(|((frame, place), module)| source(frame, place.as_ref(), module.as_deref())).collect();
    let mut suspects = culprits(said.0, said.1, &sources);
    if suspects.is_empty() {
        return Ok(Vec::new());
    }
    let known = scope.modules(tx).await?;
    let facts: Vec<AddonFacts<'_>> = known
        .all
        .iter()
        .map(|module| AddonFacts { name: &module.name, depends: &module.depends, auto_install: module.auto_install.as_deref() })
        .collect();
    let addons = Addons::of(&sources, &facts);
    let mut methods = Methods::default();
    methods.load(tx, scope, &suspects).await?;
    let first = rank(said, &suspects, &methods.definitions(), &sources, &addons, &known.lineage);
    let more = deeper(&first, &suspects, &methods.definitions());
    methods.load(tx, scope, &more).await?;
    suspects.extend(more);
    let definitions = methods.definitions();
    let ranked = rank(said, &suspects, &definitions, &sources, &addons, &known.lineage);
    Ok(ranked
        .iter()
        .take(30)
        .filter_map(|found| {
            let method = methods.0.get(found.definition)?;
            let culprit = suspects.get(found.culprit)?;
            Some(Candidate::new(
                method.id,
                (found.score / CERTAIN).clamp(0.05, 1.0),
                format!("may have given the value that did not fit: {}", culprit.why),
            ))
        })
        .collect())
}

/// The exception whose frames tell most: the last, or the cause that it repeats.
fn root(chain: &[Raised]) -> Option<&Raised> {
    let mut at = chain.len().checked_sub(1)?;
    while at > 0 && !chain[at - 1].message.is_empty() && chain[at].message.contains(&chain[at - 1].message) {
        at -= 1;
    }
    chain.get(at)
}

fn module(frame: &Frame, place: Option<&Place>) -> Option<String> {
    place.map_or_else(|| frames::module_of(&frame.file), |place| place.module.clone())
}

fn source<'a>(frame: &'a Frame, place: Option<&'a Place>, module: Option<&'a str>) -> FrameSource<'a> {
    FrameSource {
        text: place.map_or("", |place| place.text.as_str()),
        first_line: place.map_or(0, |place| place.start_line),
        line: frame.line,
        code: Some(frame.source.as_str()).filter(|code| !code.is_empty()),
        function: &frame.function,
        module,
        odoo_model: place.and_then(|place| place.odoo_model.as_deref()),
        class: place.and_then(|place| class(&place.symbol)),
    }
}

fn class(symbol: &str) -> Option<&str> {
    symbol.rsplit_once('.').map(|(class, _)| class)
}

struct Method {
    id: Uuid,
    name: String,
    class: Option<String>,
    odoo_model: Option<String>,
    module: Option<String>,
    text: String,
}

/// Every definition of the methods that are suspected.
#[derive(Default)]
struct Methods(Vec<Method>);

impl Methods {
    async fn load(&mut self, tx: &mut TenantTx, scope: &Scope, suspects: &[Culprit]) -> Result<(), DbError> {
        let known: HashSet<Uuid> = self.0.iter().map(|method| method.id).collect();
        let names = |starts: bool| suspects.iter().filter(move |suspect| suspect.starts == starts).map(|suspect| suspect.name.clone());
        let exact: Vec<String> = names(false).collect();
        // Backslash, percent and underscore mean something in a pattern, and names are full of the last.
        let begin: Vec<String> =
            names(true).map(|name| format!("{}%", name.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"))).collect();
        let rows = sqlx::query(
            "select k.id, s.name, k.symbol, k.odoo_model, k.module, k.path, k.content
               from knowledge_symbols s join knowledge k on k.id = s.chunk_id
              where s.kind in ('method', 'function') and (s.name = any($1) or (cardinality($2::text[]) > 0 and s.name like any($2)))
                and ($3::text is null or s.version = $3) and ($4::text[] is null or s.module = any($4))
              order by k.path, k.start_line, k.id limit $5",
        )
        .bind(&exact)
        .bind(&begin)
        .bind(scope.version.as_deref())
        .bind(scope.within.as_deref())
        .bind(MAX_DEFINITIONS)
        .fetch_all(tx.conn())
        .await?;
        for row in rows {
            let method = method(&row)?;
            if !known.contains(&method.id) {
                self.0.push(method);
            }
        }
        Ok(())
    }

    fn definitions(&self) -> Vec<Definition<'_>> {
        let definition = |method| {
            let Method { name, class, odoo_model, module, text, .. }: &Method = method;
            Definition { name, odoo_model: odoo_model.as_deref(), class: class.as_deref(), module: module.as_deref(), text }
        };
        self.0.iter().map(definition).collect()
    }
}

fn method(row: &PgRow) -> Result<Method, DbError> {
    let symbol: Option<String> = row.try_get("symbol")?;
    let path: Option<String> = row.try_get("path")?;
    let module: Option<String> = row.try_get("module")?;
    Ok(Method {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        class: symbol.as_deref().and_then(class).map(str::to_owned),
        odoo_model: row.try_get("odoo_model")?,
        module: module.filter(|_| path.as_deref().is_none_or(|path| !path.starts_with("odoo/"))),
        text: row.try_get("content")?,
    })
}
