//! What is read out of logs, held against tables of what stands in them.

use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use crate::domain::{ErrorReport, Failure};
use crate::odoo;

/// One table: how many of its rows are right in all that they ask for, and the rows that are not.
pub(super) struct Read {
    pub(super) what: &'static str,
    pub(super) rows: usize,
    pub(super) wrong: Vec<String>,
    pub(super) seconds: f64,
}

/// What a row may ask for.
const ASKED: [&str; 3] = ["class", "subclass", "object"];

/// Both tables below `folder`: whole logs, and bare texts of errors at run time. Nothing where there is no table.
pub(super) fn tables(folder: &Path) -> anyhow::Result<Vec<Read>> {
    let (probes, texts) = (folder.join("classify/probes.jsonl"), folder.join("classify/texts.jsonl"));
    if !probes.is_file() || !texts.is_file() {
        return Ok(Vec::new());
    }
    let log = |row: &Value| {
        let name = row["log"].as_str().unwrap_or_default();
        anyhow::Ok((name.to_owned(), text(&folder.join(format!("logs/{name}.log")))?))
    };
    let logs = rows(&probes)?.into_iter().map(|row| Ok((log(&row)?, row))).collect::<anyhow::Result<Vec<_>>>()?;
    let list = format!("\n{}", text(&folder.join("classify/runtime_errors.out"))?);
    let bare = list.split("\n## ").filter_map(|one| one.split_once(" => ")).map(|(name, said)| (name.to_owned(), said.to_owned()));
    let bare = bare.zip(rows(&texts)?).collect();
    Ok(vec![compare("logs of the probes", logs), compare("texts of errors at run time", bare)])
}

fn compare(what: &'static str, cases: Vec<((String, String), Value)>) -> Read {
    let started = Instant::now();
    let rows = cases.len();
    let is_wrong = |((name, text), row): ((String, String), Value)| {
        let reports = odoo::reports(&text);
        let own = reports.iter().find(|report| report.module.as_ref().is_some_and(|module| module.as_str() == name));
        let found = if row.get("log").is_some() { own } else { reports.first() };
        (!is_right(&row, found)).then_some(name)
    };
    let wrong = cases.into_iter().filter_map(is_wrong).collect();
    Read { what, rows, wrong, seconds: started.elapsed().as_secs_f64() }
}

fn is_right(row: &Value, found: Option<&ErrorReport>) -> bool {
    match found.map(serde_json::to_value) {
        None => row["class"].is_null(),
        Some(Ok(found)) => ASKED.iter().filter(|key| row.get(**key).is_some()).all(|key| found[*key] == row[*key]),
        Some(Err(_)) => false,
    }
}

fn text(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| Failure::bad_input(format!("{} cannot be read: {error}", file.display())))
}

fn rows(file: &Path) -> Result<Vec<Value>, Failure> {
    let row = |line: &str| serde_json::from_str(line).map_err(|error| Failure::bad_input(format!("{}: {error}", file.display())));
    text(file)?.lines().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixtures_are_read_and_a_wrong_row_is_named() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let read = tables(&folder).unwrap();
        assert_eq!(read.iter().map(|table| table.rows).collect::<Vec<_>>(), [42, 73]);
        let wrong =
            vec![(("x".to_owned(), "ValueError: Expected singleton: a.b(1, 2)".to_owned()), serde_json::json!({ "class": "other" }))];
        assert_eq!(compare("", wrong).wrong, ["x"]);
        assert!(tables(Path::new("/nonexistent")).unwrap().is_empty());
    }
}
