//! What: the page that describes an addon loses its XML declaration.
//!
//! Why: Odoo reads the page as text and hands it to a parser that refuses text which says how its bytes are encoded. Tools of older
//! series wrote such pages, so that an addon does not even install.
//! Before: `<?xml version="1.0" encoding="utf-8"?>` above `<!DOCTYPE html …`. After: the second line alone.
//! Since: 19.

use super::{Case, Proposal, Rule, change, graded};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule =
    Rule { name: "description_encoding", classes: &[ErrorClass::ValueInvalid, ErrorClass::Other], since: 19, propose };

const PAGE: &str = "static/description/index.html";

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    if !case.report.text.contains("Unicode strings with encoding declaration are not supported") {
        return Vec::new();
    }
    let changed = || {
        let path = case.addon.path(PAGE)?;
        let text = case.addon.text(&path)?;
        Some(change(&path, text, without(text)?.to_owned()))
    };
    let changes: Vec<_> = changed().into_iter().collect();
    let doubt = changes.first().and_then(|change| encoding_to_keep(change.before.as_deref().unwrap_or_default()));
    graded("The addon's description says in XML how it is encoded, which Odoo's reader refuses: that line goes.", doubt, changes)
}

/// Why the declaration may not simply go: Odoo reads UTF-8, and the text is in another encoding, so that it would be read as something else.
fn encoding_to_keep(text: &str) -> Option<String> {
    let (declaration, page) = text.split_once("?>")?;
    let named =
        declaration.split_once("encoding=")?.1.trim_matches(|c: char| c.is_whitespace() || c == '"' || c == '\'').to_ascii_lowercase();
    let is_plain = page.is_ascii() && !page.contains('\u{1b}');
    let is_utf8 = matches!(named.as_str(), "utf-8" | "utf8" | "us-ascii" | "ascii");
    (!is_utf8 && !is_plain)
        .then(|| format!("The page is written in {named}: without its declaration it would be read as UTF-8, so it has to be converted."))
}

fn without(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches('\u{feff}').trim_start();
    let (_, page) = rest.strip_prefix("<?xml")?.split_once("?>")?;
    Some(page.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::mended_file;

    const TEXT: &str = "ValueError: Unicode strings with encoding declaration are not supported. Please use bytes input";

    #[test]
    fn page_in_another_encoding_has_to_be_converted() {
        assert!(encoding_to_keep("<?xml version=\"1.0\" encoding=\"iso-2022-jp\"?>\n<p>\u{1b}$B<+\u{1b}(B</p>").is_some());
        assert!(encoding_to_keep("<?xml version='1.0' encoding='latin-1'?>\n<p>plain</p>").is_none());
        assert!(encoding_to_keep("<?xml version='1.0' encoding='UTF-8'?>\n<p>é</p>").is_none());
    }

    #[test]
    fn declaration_goes_and_the_page_stays() {
        let page = "<!DOCTYPE html>\n<html><body>é</body></html>\n";
        let before = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n{page}");
        assert_eq!(mended_file(&[(PAGE, &before)], PAGE, ErrorClass::Other, TEXT).as_deref(), Some(page));
        assert_eq!(mended_file(&[(PAGE, page)], PAGE, ErrorClass::Other, TEXT), None);
        assert_eq!(mended_file(&[(PAGE, &before)], PAGE, ErrorClass::Other, "ValueError: x"), None);
    }
}
