//! Arguments of a call into a type, and what is wrong with them in words that name the field. Pure.

use rmcp::model::JsonObject;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::domain::Failure;

/// Reads the arguments of a call. An argument that is `null` is one that was not given.
pub(super) fn read<T: DeserializeOwned>(arguments: JsonObject) -> Result<T, Failure> {
    serde_path_to_error::deserialize(without_nulls(Value::Object(arguments))).map_err(|error| {
        let place = error.path().to_string();
        let place = if place == "." { "the arguments".to_owned() } else { place };
        // What is wrong may be quoted, and may be megabytes.
        wrong(&place, error.inner().to_string().chars().take(250).collect::<String>())
    })
}

/// Checks a number that has a least and a most.
pub(super) fn within(field: &str, value: usize, most: usize) -> Result<(), Failure> {
    if (1..=most).contains(&value) { Ok(()) } else { Err(wrong(field, format!("use 1 to {most}"))) }
}

/// A field is wrong, and why.
pub(super) fn wrong(field: &str, why: impl std::fmt::Display) -> Failure {
    Failure::bad_input(format!("{field}: {why}"))
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name, without_nulls(value))).collect()
        }
        other => other,
    }
}
