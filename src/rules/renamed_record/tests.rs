use crate::domain::ErrorClass as C;
use crate::rules::testing;
use crate::rules::testing_index::candidates_in_core;

const MANIFEST: (&str, &str) = ("__manifest__.py", "{'depends': ['uom', 'stock'], 'data': ['v.xml']}");
const UOM: &str =
    "<odoo><record id=\"product_uom_square_meter\" model=\"uom.uom\"/><record id=\"product_uom_square_foot\" model=\"uom.uom\"/></odoo>";

/// The files after the patch of the rule, and whether it is sure.
fn after(files: &[(&str, &str)], class: C, text: &str) -> Option<(Vec<String>, bool)> {
    let core: [(&str, &[(&str, &str)]); 2] = [
        ("uom", &[("__manifest__.py", "{'depends': ['base'], 'data': ['u.xml']}"), ("u.xml", UOM)]),
        ("stock", &[("__manifest__.py", "{'depends': ['uom']}"), ("s.py", "class Lot(models.Model):\n    _name = 'stock.lot'\n")]),
    ];
    let found = candidates_in_core(&core, files, class, text).into_iter().find(|candidate| candidate.rule == "renamed_record")?;
    Some((found.patch.changes().iter().map(|change| change.after.clone()).collect(), found.is_safe()))
}

#[test]
fn every_mention_follows() {
    let python = "x = self.env.ref('uom.uom_square_meter')\n";
    let xml = "<odoo><record id=\"p\" model=\"m.p\"><field name=\"uom_id\" ref=\"uom.uom_square_meter\"/><field name=\"b_ids\" eval=\"[(4, ref('uom.uom_square_foot'))]\"/><field name=\"note\">uom.uom_square_meter</field></record></odoo>";
    let text = "ValueError: External ID not found in the system: uom.uom_square_meter";
    let (changed, sure) = after(&[MANIFEST, ("a.py", python), ("v.xml", xml)], C::ExternalIdMissing, text).unwrap();
    let expected = xml.replace("\"uom.uom_", "\"uom.product_uom_").replace("'uom.uom_", "'uom.product_uom_");
    assert_eq!(changed, [python.replace("uom.uom_", "uom.product_uom_"), expected]);
    assert!(sure);
}

#[test]
fn odoo_models_of_csv_files_follow() {
    let csv = "id,name,model_id:id\nx,x,stock.model_stock_production_lot\n";
    let text = "Exception: Module loading m failed: file m/m.thing.csv could not be processed:\nNo matching record found for external id 'stock.model_stock_production_lot' in field 'Model'";
    let found = after(&[MANIFEST, ("m.thing.csv", csv)], C::CsvInvalid, text);
    assert_eq!(found, Some((vec![csv.replace("stock_production_lot", "stock_lot")], true)));
}

#[test]
fn records_that_are_nowhere_are_left() {
    for id in ["uom.uom_zzz", "stock.seq_quant_package", "base.group_user", "m.model_zzz", "hr_contract.zzz"] {
        let xml = format!("<odoo><record id=\"p\" model=\"m.p\"><field name=\"uom_id\" ref=\"{id}\"/></record></odoo>");
        let text = format!("ValueError: External ID not found in the system: {id}");
        assert_eq!(after(&[MANIFEST, ("v.xml", &xml)], C::ExternalIdMissing, &text), None, "{id}");
    }
}

#[test]
fn without_the_sources_of_odoo_it_is_not_sure() {
    let xml = "<odoo><record id=\"p\" model=\"m.p\"><field name=\"state_id\" ref=\"base.state_in_or\"/></record></odoo>";
    let addon = testing::addon(&[("v.xml", xml)]);
    let text = "ValueError: External ID not found in the system: base.state_in_or";
    let found = testing::candidates_in("20.0", &addon, C::ExternalIdMissing, text);
    assert!(matches!(found.as_slice(), [only] if only.name() == "renamed_record?"), "{found:?}");
    assert_eq!(found[0].patch.changes()[0].after, xml.replace("state_in_or", "state_in_od"));
    assert!(testing::candidates(&addon, C::ExternalIdMissing, text).is_empty());
}
