//! Known errors with their solutions, one JSON object a line.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Args;
use crate::cli::connect::connect;
use crate::cli::{Exit, show};
use crate::config::Config;
use crate::domain::{Failure, OdooVersion};
use crate::knowledge::{KnownError, Purpose};
use crate::tenants;

/// The most bytes of a line, and the most errors of a file.
const MAX_LINE: u64 = 4 * 1024 * 1024;
const MAX_ERRORS: usize = 200_000;
/// How many are kept together.
const BATCH: usize = 200;

#[derive(Debug, Deserialize)]
struct Line {
    id: String,
    #[serde(default)]
    version: Value,
    text: String,
    #[serde(default)]
    solution: String,
}

pub(super) async fn run(config: Config, args: &Args) -> anyhow::Result<Exit> {
    let path = args.path.as_ref().ok_or_else(|| Failure::bad_input("--path must name the file of errors"))?;
    let errors = read(path, args.version.as_ref())?;
    let connected = connect(config).await?;
    let app = &connected.app;
    let kept = async {
        tenants::ensure(&app.db, &args.tenant).await?;
        for batch in errors.chunks(BATCH) {
            app.knowledge.keep_errors(&args.tenant, batch).await?;
        }
        Ok::<_, Failure>(app.knowledge.embed_texts(&args.tenant, Purpose::Index, super::teller()).await?)
    };
    let embedded = kept.await;
    connected.close().await;
    let embedded = embedded?;
    if args.json {
        show::out(&json!({ "source": "errors", "doc_type": "errors", "chunks": errors.len(), "embedded": embedded }).to_string());
    } else {
        show::out(&format!("errors      {} kept, {embedded} embedded", errors.len()));
    }
    Ok(Exit::Done)
}

/// The errors of a file. A line that is none names its number, and nothing is kept.
pub(in crate::cli) fn read(path: &Path, version: Option<&OdooVersion>) -> Result<Vec<KnownError>, Failure> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| Failure::bad_input(format!("{shown} cannot be read: {error}"));
    let mut reader = BufReader::new(std::fs::File::open(path).map_err(unreadable)?);
    let mut errors = Vec::new();
    for number in 1.. {
        let mut line = Vec::new();
        let read = reader.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut line).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        let wrong = |why: &dyn std::fmt::Display| Failure::bad_input(format!("{shown}, line {number}: {why}"));
        if line.len() as u64 > MAX_LINE {
            return Err(wrong(&format!("it has more than {MAX_LINE} bytes")));
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        if errors.len() >= MAX_ERRORS {
            return Err(wrong(&format!("there are more than {MAX_ERRORS} errors")));
        }
        let line: Line = serde_json::from_slice(&line).map_err(|error| wrong(&error))?;
        if line.id.is_empty() || line.id.len() > 200 {
            return Err(wrong(&"an id has 1 to 200 characters"));
        }
        let version = series(&line.version).map_err(|why| wrong(&why))?.or_else(|| version.cloned());
        errors.push(KnownError { id: line.id, version, text: line.text, solution: line.solution });
    }
    Ok(errors)
}

/// `19`, `19.0` and `"19.0"` are all the same series; nothing and `""` are none.
fn series(version: &Value) -> Result<Option<OdooVersion>, String> {
    let text = match version {
        Value::Null => return Ok(None),
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return Err("version must be a number or a text".to_owned()),
    };
    if text.is_empty() {
        return Ok(None);
    }
    let text = if text.contains('.') { text } else { format!("{text}.0") };
    text.parse().map(Some).map_err(|error| format!("version: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &[u8]) -> Result<Vec<KnownError>, Failure> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path(), None)
    }

    #[test]
    fn versions_come_as_numbers_and_texts() {
        let text = b"{\"id\":\"a\",\"version\":19,\"text\":\"t\",\"solution\":\"s\"}\n\n{\"id\":\"b\",\"version\":\"18.0\",\"text\":\"t\"}\n{\"id\":\"c\",\"version\":17.0,\"text\":\"t\"}\n{\"id\":\"d\",\"text\":\"t\"}";
        let versions: Vec<_> = read_text(text).unwrap().into_iter().map(|error| error.version.map(|version| version.to_string())).collect();
        assert_eq!(versions, [Some("19.0".to_owned()), Some("18.0".to_owned()), Some("17.0".to_owned()), None]);
    }

    #[test]
    fn garbage_names_its_line() {
        for bad in [
            "{\"id\":\"a\",\"text\":\"t\"}\n{half",
            "\n{}",
            "\n[1]",
            "\n{\"id\":\"\",\"text\":\"t\"}",
            "\n{\"id\":\"a\",\"text\":\"t\",\"version\":[]}",
        ] {
            let error = read_text(bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("line 2"), "{error}");
        }
        assert!(read_text(b"\xff\xfe\n").is_err());
        assert!(read(Path::new("/nonexistent"), None).is_err());
    }
}
