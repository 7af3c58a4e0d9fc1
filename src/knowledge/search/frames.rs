//! The frames of a traceback, and the functions that they are in.

use std::collections::HashMap;

use sqlx::Row;
use uuid::Uuid;

use super::found::Scope;
use crate::db::{DbError, TenantTx};
use crate::domain::{Frame, Raised};

/// Frames looked at, the innermost.
const MAX_FRAMES: usize = 60;
/// Folders above a file that may be part of its path below the addons folder.
const MAX_FOLDERS: usize = 9;

/// The function that a frame is in.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) id: Uuid,
    pub(super) symbol: String,
    pub(super) odoo_model: Option<String>,
    /// The addon; `None` for the framework.
    pub(super) module: Option<String>,
    pub(super) start_line: u32,
    pub(super) text: String,
}

/// The frames of a chain of exceptions, outermost first.
pub(super) fn of(chain: &[Raised]) -> Vec<&Frame> {
    let frames: Vec<&Frame> = chain.iter().flat_map(|raised| &raised.frames).filter(|frame| !frame.file.starts_with('<')).collect();
    frames[frames.len().saturating_sub(MAX_FRAMES)..].to_vec()
}

/// The function of each frame; `None` where it is not known.
pub(super) async fn places(tx: &mut TenantTx, scope: &Scope, frames: &[&Frame]) -> Result<Vec<Option<Place>>, DbError> {
    let mut paths: Vec<String> = frames.iter().flat_map(|frame| suffixes(&frame.file)).collect();
    paths.sort_unstable();
    paths.dedup();
    let rows = sqlx::query(
        "select id, path, symbol, odoo_model, module, start_line, end_line, content from knowledge
          where path = any($1) and kind in ('method', 'function', 'class') and ($2::text is null or odoo_version = $2)",
    )
    .bind(&paths)
    .bind(scope.version.as_deref())
    .fetch_all(tx.conn())
    .await?;
    let mut by_path: HashMap<String, Vec<Function>> = HashMap::new();
    for row in rows {
        let path: String = row.try_get("path")?;
        by_path.entry(path).or_default().push(Function {
            id: row.try_get("id")?,
            symbol: row.try_get::<Option<_>, _>("symbol")?.unwrap_or_default(),
            odoo_model: row.try_get("odoo_model")?,
            module: row.try_get("module")?,
            start: line(row.try_get("start_line")?),
            end: line(row.try_get("end_line")?),
            text: row.try_get("content")?,
        });
    }
    Ok(frames.iter().map(|frame| place(frame, &by_path)).collect())
}

/// The addon of a file by its path alone; `None` for the framework and for libraries.
pub(super) fn module_of(file: &str) -> Option<String> {
    let file = file.replace('\\', "/");
    let (_, rest) = file.rsplit_once("/addons/")?;
    rest.split_once('/').map(|(module, _)| module.to_owned())
}

struct Function {
    id: Uuid,
    symbol: String,
    odoo_model: Option<String>,
    module: Option<String>,
    start: u32,
    end: u32,
    text: String,
}

fn line(line: Option<i32>) -> u32 {
    line.and_then(|line| u32::try_from(line).ok()).unwrap_or(0)
}

/// The ends of a path that may be how a file is known: the longest first.
fn suffixes(file: &str) -> Vec<String> {
    let file = file.replace('\\', "/");
    let parts: Vec<&str> = file.split('/').filter(|part| !part.is_empty()).collect();
    (2..=parts.len().min(MAX_FOLDERS)).rev().map(|n| parts[parts.len() - n..].join("/")).collect()
}

fn place(frame: &Frame, by_path: &HashMap<String, Vec<Function>>) -> Option<Place> {
    let (path, functions) = suffixes(&frame.file).into_iter().find_map(|path| by_path.get_key_value(&path))?;
    let name = frame.function.rsplit('.').next().unwrap_or_default();
    let fits = |function: &&Function| {
        let named = function.symbol.rsplit('.').next() == Some(name);
        let around = (function.start..=function.end).contains(&frame.line);
        let says = !frame.source.is_empty() && function.text.contains(frame.source.trim());
        // Lines move from release to release; names and the line's own text hardly do.
        (i32::from(named) * 4 + i32::from(says) * 3 + i32::from(around) * 2, std::cmp::Reverse(function.start.abs_diff(frame.line)))
    };
    let best = functions.iter().max_by_key(fits)?;
    let ((score, _), nested) =
        (fits(&best), matches!(name, "<lambda>" | "<listcomp>" | "<genexpr>" | "<dictcomp>" | "<setcomp>" | "<module>" | ""));
    if score < 4 && !(nested && score >= 2) && score < 5 {
        return None;
    }
    Some(Place {
        id: best.id,
        symbol: best.symbol.clone(),
        odoo_model: best.odoo_model.clone(),
        module: best.module.clone().filter(|_| !path.starts_with("odoo/")),
        start_line: best.start,
        text: best.text.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_every_system_have_ends() {
        assert_eq!(suffixes(r"C:\odoo\addons\sale\models\s.py")[3], "sale/models/s.py");
        assert_eq!(suffixes("/a/b.py"), ["a/b.py"]);
        assert!(suffixes("x").is_empty() && suffixes("").is_empty());
    }

    #[test]
    fn functions_are_found_by_name_and_line() {
        let function = |symbol: &str, start, end, text: &str| Function {
            id: Uuid::new_v4(),
            symbol: symbol.to_owned(),
            odoo_model: None,
            module: Some("sale".to_owned()),
            start,
            end,
            text: text.to_owned(),
        };
        let known = HashMap::from([(
            "sale/s.py".to_owned(),
            vec![function("A.write", 5, 9, "x = 1"), function("B.write", 20, 30, "y = 2"), function("B.f", 40, 50, "")],
        )]);
        let frame = |line, function: &str, source: &str| Frame {
            file: "/opt/addons/sale/s.py".to_owned(),
            line,
            function: function.to_owned(),
            source: source.to_owned(),
        };
        assert_eq!(place(&frame(22, "write", ""), &known).unwrap().symbol, "B.write");
        assert_eq!(place(&frame(16, "write", "x = 1"), &known).unwrap().symbol, "A.write", "the line moved");
        assert_eq!(place(&frame(44, "<lambda>", ""), &known).unwrap().symbol, "B.f");
        assert!(place(&frame(200, "unlink", ""), &known).is_none());
    }
}
