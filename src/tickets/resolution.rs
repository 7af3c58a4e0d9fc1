//! What a person says mended an error, checked and with its secrets masked before anything is done with it.

use crate::domain::{Patch, PatchError, RelPath};
use crate::odoo;

/// The most characters of what is said.
pub const MAX_TEXT: usize = 20_000;
/// The most bytes of a correction.
pub const MAX_CORRECTION: usize = 1024 * 1024;

/// Why something is no resolution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadResolution {
    /// Nothing is said.
    #[error("the resolution is empty: say what mended the error")]
    Empty,
    /// More than anybody reads.
    #[error("the resolution has {0} characters; at most {MAX_TEXT} are taken")]
    TooLong(usize),
    /// More than a correction may hold.
    #[error("the correction has {0} bytes; at most {MAX_CORRECTION} are taken")]
    TooLarge(usize),
    /// No diff, or one of files that are in no addon.
    #[error("the correction is no unified diff of files in addons: {0}")]
    Correction(#[from] PatchError),
}

/// What a person says mended the error of a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    text: String,
    correction: Option<String>,
    files: Vec<RelPath>,
}

impl Resolution {
    /// Checks what comes from outside and masks the secrets in it: those of logs in the words, those of sources in the diff.
    pub fn new(text: &str, correction: Option<&str>) -> Result<Self, BadResolution> {
        let text = text.trim();
        let characters = text.chars().count();
        match characters {
            0 => return Err(BadResolution::Empty),
            _ if characters > MAX_TEXT => return Err(BadResolution::TooLong(characters)),
            _ => {}
        }
        if let Some(bytes) = correction.map(str::len).filter(|bytes| *bytes > MAX_CORRECTION) {
            return Err(BadResolution::TooLarge(bytes));
        }
        let files = correction.map(Patch::files_of).transpose()?.unwrap_or_default();
        let correction = correction.map(|diff| odoo::mask_source(diff).into_owned());
        Ok(Self { text: odoo::mask(text).into_owned(), correction, files })
    }

    /// What was said.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The change that mends it, as a unified diff.
    pub fn correction(&self) -> Option<&str> {
        self.correction.as_deref()
    }

    /// The files that the correction changes.
    pub fn files(&self) -> &[RelPath] {
        &self.files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str = "--- a/shop/order.py\n+++ b/shop/order.py\n@@ -1 +1,2 @@\n-qty = 1\n+qty = 2\n+api_key = 'a1b2c3d4e5f6'\n";

    #[test]
    fn what_is_wrong_is_named() {
        let said = |text: &str, correction: Option<&str>| Resolution::new(text, correction).unwrap_err().to_string();
        assert!(said(" \n\t", None).contains("empty"));
        assert!(said(&"é".repeat(MAX_TEXT + 1), None).contains("20001 characters"));
        assert!(said("x", Some(&"x".repeat(MAX_CORRECTION + 1))).contains("1048577 bytes"));
        assert!(said("x", Some("")).contains("'--- a/addon/file'"));
        assert!(said("x", Some("no diff")).contains("'--- a/addon/file'"));
        assert!(said("x", Some(&DIFF.replace("shop/order.py", "../order.py"))).contains("\"../order.py\""));
        assert!(Resolution::new(&format!(" {} ", "é".repeat(MAX_TEXT)), None).is_ok());
    }

    #[test]
    fn secrets_are_masked_and_code_is_not() {
        let said = Resolution::new("the password=hunter22 of postgres://odoo:hunter22@db was wrong", Some(DIFF)).unwrap();
        assert!(!said.text().contains("hunter22") && said.text().contains("was wrong"), "{}", said.text());
        let diff = said.correction().unwrap();
        assert!(!diff.contains("a1b2c3d4e5f6") && diff.contains("+qty = 2\n"), "{diff}");
        assert_eq!(said.files().iter().map(RelPath::as_str).collect::<Vec<_>>(), ["shop/order.py"]);
    }
}
