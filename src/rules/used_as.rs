//! Of which kind a field must be by how a view shows it or a record sets it.

use roxmltree::Node;

use crate::odoo::source::FieldFacts;

/// What a use asks of the kind of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It holds several records.
    Many,
    /// It leads to one record.
    One,
    /// It leads to records.
    Records,
    /// It is true or false.
    Truth,
    /// It is a number.
    Number,
    /// It holds a value and no records.
    Value,
}

impl Use {
    fn fits(self, kind: &str) -> bool {
        let many = matches!(kind, "One2many" | "Many2many");
        let one = matches!(kind, "Many2one" | "Reference" | "Many2oneReference");
        match self {
            Self::Many => many,
            Self::One => one,
            Self::Records => many || one,
            Self::Truth => kind == "Boolean",
            Self::Number => {
                matches!(kind, "Integer" | "Float" | "Monetary" | "Many2one" | "Many2oneReference" | "Boolean" | "Char" | "Selection")
            }
            Self::Value => !many && !one,
        }
    }

    const fn what(self) -> &'static str {
        match self {
            Self::Many => "several records",
            Self::One => "one record",
            Self::Records => "records",
            Self::Truth => "true or false",
            Self::Number => "a number",
            Self::Value => "a value",
        }
    }
}

/// What a field of a view is shown as, if the view tells.
pub(super) fn in_view(node: Node<'_, '_>) -> Option<Use> {
    if node.children().any(|child| matches!(child.tag_name().name(), "list" | "tree" | "kanban")) {
        return Some(Use::Many);
    }
    match node.attribute("widget")? {
        "many2many_tags" | "many2many_checkboxes" | "one2many_list" | "many2many" | "one2many" | "many2many_binary" => Some(Use::Many),
        "many2one" | "many2one_avatar" | "many2one_avatar_user" => Some(Use::One),
        "boolean_toggle" | "boolean_favorite" | "boolean" => Some(Use::Truth),
        "monetary" | "integer" | "float" | "float_time" | "percentage" | "percentpie" | "progressbar" => Some(Use::Number),
        "date" | "daterange" | "remaining_days" | "email" | "phone" | "url" | "html" | "text" | "char" => Some(Use::Value),
        _ => None,
    }
}

/// What a field of a record is set to, if the data file tells.
pub(super) fn in_record(node: Node<'_, '_>) -> Option<Use> {
    if node.has_attribute("ref") {
        return Some(Use::Records);
    }
    if let Some(eval) = node.attribute("eval").map(str::trim) {
        let is_number = eval.parse::<f64>().is_ok();
        return match eval {
            "True" => Some(Use::Truth),
            _ if eval.starts_with("[(") || eval.starts_with("[Command") => Some(Use::Many),
            _ if is_number => Some(Use::Number),
            _ if eval.starts_with(['"', '\'']) => Some(Use::Value),
            _ => None,
        };
    }
    let text = node.text().map(str::trim).filter(|text| !text.is_empty() && !node.has_attribute("search"))?;
    Some(if text.parse::<f64>().is_ok() { Use::Number } else { Use::Value })
}

/// Why a field does not fit the way in which it is used; `None` if it does.
pub(super) fn unfit(uses: &[Use], name: &str, facts: &FieldFacts) -> Option<String> {
    let wrong = uses.iter().find(|one| !one.fits(&facts.kind))?;
    Some(format!("{name} is a {}, but is used as {}.", facts.kind, wrong.what()))
}

/// Whether a name for one and one for several differ in nothing else, and the field holds records.
pub(super) fn number(wrong: &str, name: &str, facts: &FieldFacts) -> Option<String> {
    let plural = |one: &str, many: &str| many.strip_suffix('s') == Some(one);
    let differs = plural(wrong, name) || plural(name, wrong);
    (differs && Use::Records.fits(&facts.kind)).then(|| format!("{wrong} and {name} differ in whether they are one record or several."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::edit::xml;

    #[test]
    fn uses_ask_for_a_kind() {
        for (text, wanted, fits, not) in [
            ("<field name='a'><list/></field>", in_view as fn(Node<'_, '_>) -> Option<Use>, "One2many", "Many2one"),
            ("<field name='a' widget='many2many_tags'/>", in_view, "Many2many", "Char"),
            ("<field name='a' ref='x'/>", in_record, "Many2one", "Char"),
            ("<field name='a' eval='[(6, 0, [])]'/>", in_record, "Many2many", "Many2one"),
            ("<field name='a' eval='True'/>", in_record, "Boolean", "Integer"),
            ("<field name='a'>5</field>", in_record, "Integer", "Many2many"),
            ("<field name='a'>text</field>", in_record, "Char", "Many2one"),
        ] {
            let document = xml::parse(text).unwrap();
            let found = wanted(document.root_element()).unwrap();
            assert!(found.fits(fits) && !found.fits(not), "{text}");
        }
        let document = xml::parse("<field name='a'/>").unwrap();
        assert_eq!(in_view(document.root_element()), None);
    }
}
