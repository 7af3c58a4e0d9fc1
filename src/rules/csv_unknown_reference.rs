//! What: an external id in a CSV file that does not exist becomes the one that was clearly meant.
//!
//! Why: a letter is missing, or the prefix of the module that owns the Odoo model.
//! Before: `a,a,model_product_stat,base.group_user,1,0,0,0`. After: `a,a,model_product_state,base.group_user,1,0,0,0`.
//! Since: any Odoo.

use regex::Regex;

use super::data_order::ids;
use super::edit::near_miss;
use super::edit::python::{Source, field};
use super::near;
use super::{Case, Proposal, Rule, changed, graded};
use crate::domain::ErrorClass;
use crate::odoo::Addon;

/// The rule.
pub(super) const RULE: Rule =
    Rule { name: "csv_unknown_reference", classes: &[ErrorClass::CsvInvalid, ErrorClass::ExternalIdMissing], since: 0, propose };

/// Odoo models that belong to `base`, whose external ids need its prefix.
const OF_BASE: [&str; 22] = [
    "res_partner",
    "res_users",
    "res_company",
    "res_groups",
    "res_country",
    "res_country_state",
    "res_currency",
    "res_lang",
    "res_bank",
    "res_partner_bank",
    "res_partner_category",
    "ir_attachment",
    "ir_cron",
    "ir_model",
    "ir_model_fields",
    "ir_model_access",
    "ir_sequence",
    "ir_config_parameter",
    "ir_ui_view",
    "ir_ui_menu",
    "ir_rule",
    "ir_filters",
];

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let Some((wrong, right, doubt)) = correction(case) else { return Vec::new() };
    let changes = changed(case.addon, "csv", |text| replace_cells(text, &wrong, &right));
    graded(format!("{wrong} does not exist; {right} is clearly meant."), doubt, changes)
}

fn correction(case: &Case<'_>) -> Option<(String, String, Option<String>)> {
    let pattern = Regex::new(r"No matching record found for external id '([\w.]+)' in field").ok()?;
    let wrong = pattern.captures(&case.report.text)?.get(1)?.as_str();
    let own = format!("{}.", case.addon.name());
    let name = wrong.strip_prefix(&own).unwrap_or(wrong);
    let prefix = &wrong[..wrong.len() - name.len()];
    if name.contains('.') {
        return None;
    }
    let known =
        if name.starts_with("model_") { model_ids(case.addon) } else { case.addon.texts("xml").flat_map(|(_, text)| ids(text)).collect() };
    if known.iter().any(|id| id == name) {
        // It is defined: then it is loaded too late or not at all, which is another fault.
        return None;
    }
    if let Some(of_base) = name.strip_prefix("model_").filter(|model| OF_BASE.contains(model)) {
        return Some((wrong.to_owned(), format!("base.model_{of_base}"), None));
    }
    let right = near_miss(name, known.iter().map(String::as_str))?;
    let doubt = if rows_tell(case.addon, wrong, right) { None } else { near::doubt(case, name, right, known.iter().map(String::as_str)) };
    Some((wrong.to_owned(), format!("{prefix}{right}"), doubt))
}

/// Whether every row with the wrong reference names the right one in another cell, as its id or its label do, and none of them the wrong
/// one: `access_product_state_manager,product.state,model_product_stat`.
fn rows_tell(addon: &Addon, wrong: &str, right: &str) -> bool {
    let words = |text: &str| -> String {
        let lower = text.to_lowercase();
        let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        format!("_{}_", words.join("_"))
    };
    let bare = |name: &str| words(name.rsplit('.').next().unwrap_or(name).trim_start_matches("model_"));
    let (ours, theirs) = (bare(wrong), bare(right));
    let cells = |line: &str| -> Vec<String> { line.split(',').map(|cell| cell.trim().trim_matches('"').to_owned()).collect() };
    let rows = addon.texts("csv").flat_map(|(_, text)| text.lines()).map(cells).filter(|cells| cells.iter().any(|cell| cell == wrong));
    let mut told = rows.map(|cells| {
        let others: Vec<String> = cells.iter().filter(|cell| *cell != wrong).map(|cell| words(cell)).collect();
        others.iter().any(|cell| cell.contains(&theirs)) && !others.iter().any(|cell| cell.contains(&ours))
    });
    told.next().is_some_and(|first| first) && told.all(|one| one)
}

/// The external ids of the Odoo models that the addon's Python defines or extends.
fn model_ids(addon: &Addon) -> Vec<String> {
    let mut found = Vec::new();
    for (_, text) in addon.texts("py") {
        let Some(source) = Source::parse(text) else { continue };
        for assignment in source.all("assignment") {
            let names_model = field(assignment, "left").is_some_and(|left| matches!(source.of(left), "_name" | "_inherit"));
            if let Some(name) = field(assignment, "right").filter(|_| names_model).and_then(|right| source.literal(right)) {
                found.push(format!("model_{}", name.replace('.', "_")));
            }
        }
    }
    found
}

/// The text with every cell that is exactly `wrong` replaced, quoted or not.
fn replace_cells(text: &str, wrong: &str, right: &str) -> Option<String> {
    let mut after = String::with_capacity(text.len());
    let mut found = false;
    for (i, part) in text.split(',').enumerate() {
        if i > 0 {
            after.push(',');
        }
        // A line end may stand inside a part: `…,0\nnext id`.
        for piece in part.split_inclusive('\n') {
            let cell = piece.trim().trim_matches('"');
            found |= cell == wrong;
            after.push_str(&if cell == wrong { piece.replacen(wrong, right, 1) } else { piece.to_owned() });
        }
    }
    found.then_some(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{addon, candidates, fixture, mended_file};

    const CLASS: ErrorClass = ErrorClass::CsvInvalid;
    const CSV: &str = "\"id\",\"model_id:id\",\"group_id:id\",\"perm_read\"\n\"a\",\"model_product_stat\",base.group_user,1\n\"b\",\"model_product_state\",m.group_state_manage,1\n";
    const PYTHON: &str = "from odoo import models\nclass A(models.Model):\n    _name = 'product.state'\n";

    fn log(id: &str) -> String {
        format!(
            "file m/security/ir.model.access.csv could not be processed:\nNo matching record found for external id '{id}' in field 'Model'"
        )
    }

    #[test]
    fn near_name_is_meant() {
        let files = [("a.csv", CSV), ("a.py", PYTHON), ("g.xml", "<odoo><record id=\"group_state_manager\" model=\"res.groups\"/></odoo>")];
        let after = mended_file(&files, "a.csv", CLASS, &log("model_product_stat")).unwrap();
        assert_eq!(after, CSV.replace("\"model_product_stat\"", "\"model_product_state\""));
        let after = mended_file(&files, "a.csv", CLASS, &log("m.group_state_manage")).unwrap();
        assert_eq!(after, CSV.replace("m.group_state_manage", "m.group_state_manager"));
    }

    #[test]
    fn model_of_base_gets_its_prefix() {
        let csv = "id,model_id:id\na,model_res_partner\n";
        assert_eq!(
            mended_file(&[("a.csv", csv)], "a.csv", CLASS, &log("model_res_partner")).unwrap(),
            csv.replace("model_res", "base.model_res")
        );
    }

    #[test]
    fn row_that_names_the_model_elsewhere_tells_which_is_meant() {
        let safe = |row: &str| {
            let csv = format!("id,name,model_id:id,perm_read\n{row},model_product_stat,1\n");
            let other = "self.env['stock'].search([('stat', '=', 1)])\nstat = 1\n";
            let files = [("a.csv", csv.as_str()), ("a.py", PYTHON), ("b.py", other)];
            candidates(&addon(&files), CLASS, &log("model_product_stat"))[0].is_safe()
        };
        assert!(safe("access_product_state_manager,product.state"));
        assert!(!safe("access_product_stat,product.stat") && !safe("access_a,a"));
        assert!(!safe("access_product_state,product.stat"), "its label says the other");
    }

    #[test]
    fn nothing_near_nothing_proposed() {
        assert!(candidates(&fixture("csv_unknown_reference", "p_csv"), CLASS, &log("model_zzz_model")).is_empty());
    }
}
