//! What: the page that describes an addon loses its XML declaration.
//!
//! Why: Odoo reads the page as text and hands it to a parser that refuses text which says how its bytes are encoded. Tools of older
//! series wrote such pages, so that an addon does not even install.
//! Before: `<?xml version="1.0" encoding="utf-8"?>` above `<!DOCTYPE html …`. After: the second line alone.
//! Since: 19.

use super::{Case, Proposal, Rule, change, proposal};
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
    proposal(
        "The addon's description says in XML how it is encoded, which Odoo's reader refuses: that line goes.",
        changed().into_iter().collect(),
    )
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
    fn declaration_goes_and_the_page_stays() {
        let page = "<!DOCTYPE html>\n<html><body>é</body></html>\n";
        let before = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n{page}");
        assert_eq!(mended_file(&[(PAGE, &before)], PAGE, ErrorClass::Other, TEXT).as_deref(), Some(page));
        assert_eq!(mended_file(&[(PAGE, page)], PAGE, ErrorClass::Other, TEXT), None);
        assert_eq!(mended_file(&[(PAGE, &before)], PAGE, ErrorClass::Other, "ValueError: x"), None);
    }
}
