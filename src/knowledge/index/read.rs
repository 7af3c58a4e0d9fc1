//! A file to its text, within limits. What lies in a tree is not trusted: it may be a device, endless, binary, or gone by now.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::LazyLock;

use nix::fcntl::OFlag;
use regex::bytes::Regex;

use super::tree::is_translation;

/// The most bytes of a file that is read.
const MAX_BYTES: u64 = 2 * 1024 * 1024;
/// The same of a translation.
const MAX_TRANSLATION: u64 = 8 * 1024 * 1024;
/// The bytes in which an encoding is declared.
const HEAD: usize = 300;

/// What became of a file.
pub(super) enum Content {
    /// Its text, and the hash of its bytes.
    Text(String, blake3::Hash),
    /// Its bytes have the hash that was known.
    Unchanged,
    /// It is there but is not for us; the hash stands for what it is now.
    Unfit(&'static str, blake3::Hash),
    /// It is there and cannot be read, so that nothing is known of how it is now.
    Unreadable,
    /// It is not there any more.
    Gone,
}

/// Reads a file; `known` is the hash of its bytes as they were last time. Never fails, never waits on a pipe.
pub(super) fn read(file: &Path, name: &str, known: Option<&[u8]>) -> Content {
    match bytes(file, if is_translation(name) { MAX_TRANSLATION } else { MAX_BYTES }) {
        Ok(Some((bytes, hash))) => {
            if known.is_some_and(|known| known == hash.as_bytes().as_slice()) {
                return Content::Unchanged;
            }
            match bytes.ok_or("too large").and_then(decode) {
                Ok(text) => Content::Text(text, hash),
                Err(reason) => Content::Unfit(reason, hash),
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Content::Gone,
        Ok(None) | Err(_) => Content::Unreadable,
    }
}

/// The bytes of a file with their hash; of one that is too large no bytes and the hash of its size. `None`: it is no regular file.
fn bytes(file: &Path, limit: u64) -> std::io::Result<Option<(Option<Vec<u8>>, blake3::Hash)>> {
    // The walk saw a regular file. By now it may be a link or a pipe.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits()).open(file)?;
    let metadata = opened.metadata()?;
    if !metadata.is_file() {
        return Ok(None);
    }
    if metadata.len() > limit {
        return Ok(Some((None, blake3::hash(&metadata.len().to_le_bytes()))));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    opened.take(limit).read_to_end(&mut bytes)?;
    let hash = blake3::hash(&bytes);
    Ok(Some((Some(bytes), hash)))
}

/// UTF-8, or what the file says that it is.
fn decode(bytes: Vec<u8>) -> Result<String, &'static str> {
    if bytes.contains(&0) {
        return Err("binary");
    }
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return Ok(text.strip_prefix('\u{feff}').map(ToOwned::to_owned).unwrap_or(text)),
        Err(error) => error.into_bytes(),
    };
    let declared = declared(&bytes[..bytes.len().min(HEAD)]).and_then(encoding);
    match declared {
        Some(encoding) if encoding != encoding_rs::UTF_8 => {
            let (text, _, broken) = encoding.decode(&bytes);
            if broken { Err("another encoding than it says") } else { Ok(text.into_owned()) }
        }
        _ => Err("no UTF-8"),
    }
}

/// Python writes `latin-1` and `iso_8859_1` for what browsers, whose names these are, call `latin1` and `iso-8859-1`.
fn encoding(label: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let label = String::from_utf8_lossy(label).to_lowercase().replace('_', "-");
    let joined = label.replace('-', "");
    encoding_rs::Encoding::for_label(label.as_bytes()).or_else(|| encoding_rs::Encoding::for_label(joined.as_bytes()))
}

/// The label in `# -*- coding: latin-1 -*-`, `<?xml … encoding="…"?>` or `charset=…`.
fn declared(head: &[u8]) -> Option<&[u8]> {
    #[expect(clippy::expect_used, reason = "a constant pattern, and a test reads it")]
    static LABEL: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"(?:coding[:=]\s*|encoding=\s*|charset=)["']?([A-Za-z0-9_.-]+)"#).expect("a constant pattern"));
    Some(LABEL.captures(head)?.get(1)?.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_bytes(bytes: &[u8], name: &str) -> Content {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        std::fs::write(&file, bytes).unwrap();
        read(&file, name, None)
    }

    #[test]
    fn declared_encoding_is_read() {
        let Content::Text(text, _) = read_bytes(b"# -*- coding: iso-8859-1 -*-\nname = 'caf\xe9'\n", "a.py") else { panic!() };
        assert!(text.contains("café"));
        let Content::Text(text, _) = read_bytes(b"# coding=latin-1\nx = '\xe9'", "a.py") else { panic!() };
        assert!(text.contains('é'));
        let Content::Text(text, _) = read_bytes(b"<?xml version='1.0' encoding='latin1'?><a>\xe9</a>", "a.xml") else { panic!() };
        assert!(text.contains('é'));
        assert!(matches!(read_bytes(b"x = '\xff'", "a.py"), Content::Unfit("no UTF-8", _)));
        assert!(matches!(read_bytes(b"\x00\x01", "a.py"), Content::Unfit("binary", _)));
    }

    #[test]
    fn large_files_are_left_out() {
        let large = vec![b'x'; 3 * 1024 * 1024];
        assert!(matches!(read_bytes(&large, "a.py"), Content::Unfit("too large", _)));
        assert!(matches!(read_bytes(&large, "i18n/es.po"), Content::Text(..)));
    }

    #[test]
    fn what_has_not_changed_has_no_text() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        std::fs::write(&file, "x").unwrap();
        assert!(matches!(read(&file, "a.py", Some(blake3::hash(b"x").as_bytes())), Content::Unchanged));
        assert!(matches!(read(&file, "a.py", Some(blake3::hash(b"y").as_bytes())), Content::Text(..)));
    }

    #[test]
    fn pipes_links_and_gone_files_do_not_hang() {
        let dir = tempfile::tempdir().unwrap();
        nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("link")).unwrap();
        assert!(matches!(read(&dir.path().join("pipe"), "a.py", None), Content::Unreadable));
        assert!(matches!(read(&dir.path().join("link"), "a.py", None), Content::Unreadable));
        assert!(matches!(read(&dir.path().join("none"), "a.py", None), Content::Gone));
    }
}
