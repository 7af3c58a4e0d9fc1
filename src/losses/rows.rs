//! The facts that rows of CSV files and translations state.

use super::facts::{Fact, Facts, Kind, Role};
use crate::domain::LossKind;

/// The largest number of rows that are read.
const MAX_ROWS: usize = 20_000;

/// Reads a CSV file of records.
pub(super) fn csv(path: &str, text: &str) -> Option<Facts> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let columns: Vec<String> =
        reader.headers().ok()?.iter().map(|name| name.trim().replace('/', ":").trim_end_matches(":.id").to_owned()).collect();
    let id = columns.iter().position(|name| name == "id");
    let file = path.rsplit('/').next().unwrap_or(path);
    let is_right = file.starts_with("ir.model.access") || file.starts_with("ir.rule") || file.starts_with("res.groups");
    let loss = if is_right { LossKind::Right } else { LossKind::Record };
    let mut found = Facts::default();
    for (n, row) in reader.records().take(MAX_ROWS).enumerate() {
        let Ok(row) = row else { continue };
        let line = row.position().map_or(n as u32 + 2, |position| u32::try_from(position.line()).unwrap_or(u32::MAX));
        let name = id.and_then(|id| row.get(id)).map_or_else(|| format!("row {}", n + 1), |id| id.trim().to_owned());
        if name.is_empty() && row.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        let fact = |kind: Kind, key: String, role: Role, content: String, subject: String| Fact {
            kind,
            key,
            role,
            model: None,
            unit: format!("{path}:{name}"),
            content,
            items: Vec::new(),
            variables: 0,
            path: path.to_owned(),
            line,
            loss,
            subject,
        };
        let what = if is_right { "the access right" } else { "the row" };
        let all = row.iter().enumerate().filter(|(n, _)| Some(*n) != id).map(|(_, cell)| cell.trim()).collect::<Vec<_>>().join(",");
        found.facts.push(fact(
            Kind::Record,
            name.clone(),
            Role::Id,
            if is_right { all } else { file.to_owned() },
            format!("{what} {name}"),
        ));
        if is_right {
            // The row as a whole is compared, so that each of its cells is told once.
            if let Some(fact) = found.facts.last_mut() {
                fact.content = "row".to_owned();
            }
        }
        for (column, cell) in columns.iter().zip(row.iter()).filter(|(column, _)| *column != "id") {
            if is_right && column == "name" {
                continue;
            }
            let (kind, subject) = (Kind::Value, format!("{column} of {name}"));
            let mut value = fact(kind, format!("{name}.{column}"), Role::Key, cell.trim().to_owned(), subject);
            if column.ends_with(":id") {
                value.items = vec![super::facts::Item { role: Role::Id, text: cell.trim().to_owned(), model: None, line }];
            }
            if !cell.trim().is_empty() {
                found.facts.push(value);
            }
        }
    }
    Some(found)
}

/// Reads a file of translations: each text that has one.
pub(super) fn translations(path: &str, text: &str) -> Facts {
    let mut found = Facts::default();
    let mut current: Option<(u32, String, Option<String>)> = None;
    let unquoted = |line: &str| line.trim().trim_matches('"').to_owned();
    let mut close = |entry: Option<(u32, String, Option<String>)>| {
        if let Some((line, id, Some(text))) = entry
            && !id.is_empty()
            && !text.is_empty()
        {
            found.facts.push(Fact {
                kind: Kind::Value,
                key: id.clone(),
                role: Role::Text,
                model: None,
                unit: path.to_owned(),
                content: text,
                items: Vec::new(),
                variables: 0,
                path: path.to_owned(),
                line,
                loss: LossKind::Translation,
                subject: format!("the translation of {}", super::judge::shown(&id)),
            });
        }
    };
    for (n, line) in text.lines().enumerate() {
        if let Some(id) = line.strip_prefix("msgid ") {
            close(current.take());
            current = Some((n as u32 + 1, unquoted(id), None));
        } else if let Some(said) = line.strip_prefix("msgstr ") {
            if let Some((_, _, text)) = &mut current {
                *text = Some(unquoted(said));
            }
        } else if line.starts_with('"')
            && let Some((_, id, text)) = &mut current
        {
            text.as_mut().unwrap_or(id).push_str(&unquoted(line));
        }
    }
    close(current.take());
    found
}
