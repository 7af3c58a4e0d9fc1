//! What a linter for Odoo says of an addon, and how it would mend it.
//!
//! The linter is `odl` (the package `odoo-linter`), run inside the container on a copy of the sources, with the fixes that it calls safe.
//! It reads and never runs. What comes back comes from a container that holds other people's code, so that it is checked like any
//! other input: it can only be new text for files that were sent.

use std::io::Read;

use serde::Deserialize;

use super::container::{ADDON, Bounds, Container, Stop, script};
use super::{SandboxError, sources};
use crate::domain::{FileChange, OdooVersion, RelPath};
use crate::odoo::Addon;

/// The most bytes that are read: findings and rewritten files.
const ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// The most findings that are kept.
const MAX_FINDINGS: usize = 500;
/// The most characters of a message that are kept, and of the name of a rule.
const MESSAGE_CHARS: usize = 300;
const NAME_CHARS: usize = 40;
/// Where the answer has what.
const FINDINGS: &str = "findings.json";
const AFTER: &str = "after/";

/// What a linter made of an addon.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LintRun {
    /// The files that it would rewrite, each as it is and as it would be; ordered by path.
    pub changes: Vec<FileChange>,
    /// What it found; bounded, ordered by place.
    pub findings: Vec<LintFinding>,
}

/// One thing that a linter found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LintFinding {
    /// Its rule, such as `U1801`.
    pub rule: String,
    /// The file, starting with the addon's folder.
    pub path: String,
    /// Counted from 1.
    pub line: u32,
    /// What it is.
    pub message: String,
    /// Whether the changes mend it.
    pub mended: bool,
}

impl std::fmt::Display for LintFinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {} ({})", self.path, self.line, self.message, self.rule)
    }
}

/// `file_path` starts with `./`.
#[derive(Deserialize)]
struct Found {
    file_path: String,
    line: u32,
    code: String,
    message: String,
    fix: Option<Fix>,
}

#[derive(Deserialize)]
struct Fix {
    applicability: String,
}

/// Lints an addon; `None` if the image has no linter.
pub(super) async fn lint(container: &Container, addon: &Addon, version: &OdooVersion) -> Result<Option<LintRun>, SandboxError> {
    let archive = sources::archive(addon.files().map(|(path, bytes)| (path.as_str(), bytes)))?;
    let bounds = Bounds { bytes: ANSWER_BYTES, ..Bounds::SCRIPT };
    let output = container.exec(&ADDON, &["bash", &script("lint.sh"), version.as_str()], Some(&archive), bounds).await?;
    match output.stop {
        Stop::Exited(0) => read(&output.bytes, addon).map(Some).map_err(|why| SandboxError::Protocol(format!("lint.sh: {why}"))),
        Stop::Exited(64) => Err(SandboxError::Sources("they cannot be unpacked to be linted".to_owned())),
        // 127: an image of one's own that does not know the script.
        Stop::Exited(69 | 127) => Ok(None),
        stop => {
            Err(SandboxError::Protocol(format!("lint.sh: {stop:?}: {}", output.text().chars().take(MESSAGE_CHARS).collect::<String>())))
        }
    }
}

/// Reads the tar that the script prints. Any bytes may come; what is no answer to what was sent is an error that says why.
fn read(bytes: &[u8], addon: &Addon) -> Result<LintRun, String> {
    let mut archive = tar::Archive::new(bytes);
    let mut found = None;
    let mut changes = Vec::new();
    for entry in archive.entries().map_err(|error| error.to_string())? {
        let mut entry = entry.map_err(|error| format!("its answer is no tar: {error}"))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(format!("{name:?} in its answer is no regular file"));
        }
        // No longer than the answer, which is bounded.
        let mut text = Vec::new();
        entry
            .by_ref()
            .take(ANSWER_BYTES as u64)
            .read_to_end(&mut text)
            .map_err(|error| format!("its answer is cut off in {name:?}: {error}"))?;
        if name == FINDINGS {
            found = Some(serde_json::from_slice::<Vec<Found>>(&text).map_err(|error| format!("its findings cannot be read: {error}"))?);
        } else {
            changes.extend(change(&name, text, addon)?);
        }
    }
    let mut findings: Vec<LintFinding> = found.ok_or("its answer has no findings")?.into_iter().take(MAX_FINDINGS).map(finding).collect();
    findings.sort_by(|one, other| (&one.path, one.line).cmp(&(&other.path, other.line)));
    changes.sort_by(|one: &FileChange, other| one.path.cmp(&other.path));
    Ok(LintRun { changes, findings })
}

/// A rewritten file; `None` if its text is the same.
fn change(name: &str, after: Vec<u8>, addon: &Addon) -> Result<Option<FileChange>, String> {
    let path = name.strip_prefix(AFTER).and_then(|path| path.parse::<RelPath>().ok());
    let path = path.ok_or_else(|| format!("{name:?} in its answer is no file that was sent"))?;
    let before = addon.text(&path).ok_or_else(|| format!("{path} is no text that was sent"))?;
    let after = String::from_utf8(after).map_err(|_| format!("{path} would be no UTF-8 text"))?;
    Ok((after != before).then(|| FileChange { before: Some(before.to_owned()), path, after }))
}

fn finding(found: Found) -> LintFinding {
    let short = |text: &str, chars| text.chars().filter(|c| !c.is_control()).take(chars).collect::<String>();
    LintFinding {
        rule: short(&found.code, NAME_CHARS),
        path: short(found.file_path.trim_start_matches("./"), MESSAGE_CHARS),
        line: found.line,
        message: short(&found.message, MESSAGE_CHARS),
        mended: found.fix.is_some_and(|fix| fix.applicability == "safe"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUND: &str = r#"[{"file_path": "./m/v.xml", "line": 8, "column": 7, "code": "U1801", "name": "n", "message": "`<tree>` is\nold", "fix": {"applicability": "safe", "title": "t"}}]"#;

    fn addon() -> Addon {
        let files = [("m/v.xml", &b"<tree/>"[..]), ("m/a.py", b"x = 1\n"), ("m/i.png", b"\xff\xfe")];
        Addon::new("m".parse().unwrap(), files.map(|(path, bytes)| (path.parse().unwrap(), bytes.to_vec())))
    }

    fn answer(files: &[(&str, &[u8])]) -> Vec<u8> {
        sources::archive(files.iter().copied()).unwrap()
    }

    #[test]
    fn answer_is_changes_and_findings() {
        let sent = [(FINDINGS, FOUND.as_bytes()), ("after/m/v.xml", b"<list/>"), ("after/m/a.py", b"x = 1\n")];
        let run = read(&answer(&sent), &addon()).unwrap();
        let expected = FileChange { path: "m/v.xml".parse().unwrap(), before: Some("<tree/>".to_owned()), after: "<list/>".to_owned() };
        assert_eq!(run.changes, [expected], "a file whose text is the same is no change");
        assert_eq!(run.findings[0].to_string(), "m/v.xml:8: `<tree>` isold (U1801)");
        assert!(run.findings[0].mended);
    }

    #[test]
    fn only_files_that_were_sent_come_back() {
        let found = (FINDINGS, &b"[]"[..]);
        for (name, bytes) in [
            ("after/m/new.py", &b"x"[..]),
            ("after/other/v.xml", b"x"),
            ("elsewhere", b"x"),
            ("after/m/i.png", b"x"),
            ("after/m/v.xml", b"\xff"),
        ] {
            let error = read(&answer(&[found, (name, bytes)]), &addon()).unwrap_err();
            assert!(error.contains(name.trim_start_matches(AFTER)), "{name}: {error}");
        }
    }

    #[test]
    fn path_that_climbs_out_is_refused() {
        // The builder refuses such a name, so it is put in afterwards.
        let mut bytes = answer(&[(FINDINGS, b"[]"), ("after/AA/BB", b"x")]);
        let at = bytes.windows(11).position(|window| window == b"after/AA/BB").unwrap();
        bytes[at..at + 11].copy_from_slice(b"after/../BB");
        let sum: u32 =
            bytes[at..at + 512].iter().enumerate().map(|(i, b)| u32::from(if (148..156).contains(&i) { b' ' } else { *b })).sum();
        bytes[at + 148..at + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert!(read(&bytes, &addon()).unwrap_err().contains("no file that was sent"));
    }

    #[test]
    fn link_is_refused() {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        archive.append_link(&mut header, "after/m/v.xml", "/etc/passwd").unwrap();
        assert!(read(&archive.into_inner().unwrap(), &addon()).unwrap_err().contains("no regular file"));
    }

    #[test]
    fn garbage_is_an_error_and_no_panic() {
        let whole = answer(&[(FINDINGS, FOUND.as_bytes()), ("after/m/v.xml", b"<list/>")]);
        for bytes in [&b""[..], b"\0", b"no tar at all", &[0xff; 2048], &whole[..700], &whole[600..]] {
            assert!(read(bytes, &addon()).is_err(), "{bytes:?}");
        }
        for json in ["", "{}", "[1]", r#"[{"file_path": "a"}]"#, r#"[{"file_path":"a","line":-1,"code":"c","message":"m"}]"#, "\u{0}"] {
            assert!(read(&answer(&[(FINDINGS, json.as_bytes())]), &addon()).unwrap_err().contains("findings"), "{json}");
        }
        // Every single byte of a whole answer broken in turn.
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            let _ = read(&bytes, &addon());
        }
    }

    #[test]
    fn findings_are_bounded() {
        let many = format!("[{}]", vec![FOUND.trim_matches(['[', ']']).replace("old", &"x".repeat(2000)); MAX_FINDINGS + 1].join(","));
        let run = read(&answer(&[(FINDINGS, many.as_bytes())]), &addon()).unwrap();
        assert_eq!(run.findings.len(), MAX_FINDINGS);
        assert_eq!(run.findings[0].message.chars().count(), MESSAGE_CHARS);
    }
}
