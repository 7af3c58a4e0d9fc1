//! The tables of expected values: every probe, and every text of an error at run time. They were written from the sources of the probes
//! and from what Odoo means, not from what is printed here.

use serde_json::{Map, Value, json};

use super::*;

fn lines(name: &str) -> Vec<Value> {
    let path = format!("{}/tests/fixtures/classify/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The values of a report under the names of a row, only those that the row asks for.
fn values(row: &Value, report: &ErrorReport) -> Map<String, Value> {
    let report = serde_json::to_value(report).unwrap();
    let location = |place: &Value| match place["line"].as_u64() {
        _ if place.is_null() => Value::Null,
        Some(line) => json!(format!("{}:{line}", place["path"].as_str().unwrap())),
        None => place["path"].clone(),
    };
    let value = |key: &str| if key == "location" { location(&report["location"]) } else { report[key].clone() };
    row.as_object().unwrap().keys().filter(|key| !matches!(key.as_str(), "log" | "text")).map(|key| (key.clone(), value(key))).collect()
}

fn differences(name: &str, row: &Value, found: Option<&ErrorReport>, all: &mut Vec<String>) {
    let Some(found) = found else {
        if !row["class"].is_null() {
            all.push(format!("{name}: expected {}, found nothing", row["class"]));
        }
        return;
    };
    for (key, value) in values(row, found) {
        if row[&key] != value {
            all.push(format!("{name}: {key} is {value}, expected {}", row[&key]));
        }
    }
}

#[test]
fn every_probe_is_read_as_the_table_says() {
    let rows = lines("probes.jsonl");
    assert_eq!(rows.len(), 42);
    let mut all = Vec::new();
    for row in rows {
        let log = row["log"].as_str().unwrap();
        let reports = reports(&fixture(log));
        // What the log says of other addons on the path is not about the probe.
        let about = reports.iter().find(|report| report.module.as_ref().is_some_and(|module| module.as_str() == log));
        differences(log, &row, about.filter(|about| about.fingerprint == reports[0].fingerprint), &mut all);
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

/// Title and text of everything in the list.
fn texts() -> Vec<(String, String)> {
    let path = format!("{}/tests/fixtures/classify/runtime_errors.out", env!("CARGO_MANIFEST_DIR"));
    let list = std::fs::read_to_string(path).unwrap();
    let split = |text: &str| text.split_once(" => ").map(|(title, text)| (title.to_owned(), text.to_owned()));
    format!("\n{list}").split("\n## ").filter_map(split).collect()
}

#[test]
fn every_text_is_read_as_the_table_says() {
    let rows = lines("texts.jsonl");
    let texts = texts();
    assert_eq!((rows.len(), texts.len()), (73, 73));
    let mut all = Vec::new();
    for (row, (title, text)) in rows.iter().zip(&texts) {
        assert_eq!(row["text"], *title);
        let reports = reports(text);
        assert!(reports.len() <= 1, "{title}");
        differences(title, row, reports.first(), &mut all);
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn list_of_texts_is_read_at_once() {
    let list: String = texts().iter().map(|(title, text)| format!("## {title} => {text}\n")).collect();
    let errors: u32 = occurrences(&list).iter().map(|(_, count)| count).sum();
    assert_eq!(errors as usize, lines("texts.jsonl").iter().filter(|row| !row["class"].is_null()).count());
}

#[test]
fn no_class_that_can_be_named_is_other() {
    for (title, text) in texts() {
        assert!(reports(&text).iter().all(|report| report.class != C::Other && report.subclass.is_some()), "{title}");
    }
}
