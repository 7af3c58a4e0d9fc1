use crate::domain::ErrorClass as C;
use crate::rules::testing;
use crate::rules::testing_index::{candidates, candidates_in_core};

const STOCK: &str = "class Lot(models.Model):\n    _name = 'stock.lot'\n\nclass Package(models.Model):\n    _name = 'stock.package'\n\nclass Route(models.Model):\n    _name = 'stock.route'\n\nclass Barcode(models.Model):\n    _name = 'product.uom'\n";
const MANIFEST: (&str, &str) = ("__manifest__.py", "{'depends': ['stock'], 'data': ['v.xml', 'security/ir.model.access.csv']}");

/// The files after the patch of the rule, and whether it is sure.
fn after(files: &[(&str, &str)], class: C, text: &str) -> Option<(Vec<String>, bool)> {
    let core = [("stock", [("__manifest__.py", "{'depends': ['base']}"), ("s.py", STOCK)])];
    let core: Vec<(&str, &[(&str, &str)])> = core.iter().map(|(name, files)| (*name, files.as_slice())).collect();
    let found = candidates_in_core(&core, files, class, text).into_iter().find(|candidate| candidate.rule == "renamed_odoo_model")?;
    Some((found.patch.changes().iter().map(|change| change.after.clone()).collect(), found.is_safe()))
}

#[test]
fn every_place_follows() {
    let python = "class A(models.Model):\n    _inherit = 'stock.production.lot'\n    route_id = fields.Many2one(\"stock.location.route\")\n\n    def f(self):\n        return self.env['stock.production.lot'], 'about stock.production.lot'\n";
    let xml = "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"model\">stock.production.lot</field></record><record id=\"p\" model=\"stock.quant.package\"/><record id=\"s\" model=\"ir.actions.server\"><field name=\"model_id\" ref=\"stock.model_stock_production_lot\"/></record></odoo>";
    let csv = "id,name,model_id:id,group_id:id,perm_read\na,a,model_stock_production_lot,base.group_user,1\n";
    let files = [MANIFEST, ("a.py", python), ("v.xml", xml), ("security/ir.model.access.csv", csv)];
    let (changed, sure) = after(&files, C::ModelMissing, "TypeError: Model 'stock.production.lot' does not exist in registry.").unwrap();
    let python = python.replace("'stock.production.lot'", "'stock.lot'").replace("stock.location.route", "stock.route");
    let xml = xml
        .replace(">stock.production.lot", ">stock.lot")
        .replace("stock.quant.package", "stock.package")
        .replace("stock_production_lot", "stock_lot");
    assert_eq!(changed, [python, csv.replace("stock_production_lot", "stock_lot"), xml]);
    assert!(sure);
}

#[test]
fn what_only_comes_nearest_is_not_sure_and_never_done_by_the_way() {
    let python = "class A(models.Model):\n    _inherit = 'stock.production.lot'\n    p_id = fields.Many2one('product.packaging')\n";
    let lot = after(&[MANIFEST, ("a.py", python)], C::ModelMissing, "TypeError: Model 'stock.production.lot' does not exist in registry.");
    assert_eq!(lot, Some((vec![python.replace("stock.production.lot", "stock.lot")], true)));
    let text = "AssertionError: Field stock.lot.p_id with unknown comodel_name 'product.packaging'";
    let packaging = after(&[MANIFEST, ("a.py", python)], C::FieldReferenceBroken, text);
    assert_eq!(packaging, Some((vec![python.replace("product.packaging", "product.uom")], false)));
}

#[test]
fn odoo_models_that_are_there_or_gone_are_left() {
    for name in ["res.partner", "hr.expense.sheet", "zzz.model", "hr.contract"] {
        let python = format!("class A(models.Model):\n    _inherit = '{name}'\n");
        let text = format!("TypeError: Model '{name}' does not exist in registry.");
        let found = candidates(&[("__manifest__.py", "{'depends': ['base']}"), ("a.py", &python)], C::ModelMissing, &text);
        assert!(found.iter().all(|candidate| !matches!(candidate.rule, "renamed_odoo_model" | "model_name")), "{name}: {found:?}");
    }
}

#[test]
fn without_the_sources_of_odoo_it_is_not_sure() {
    let addon = testing::addon(&[("a.py", "class A(models.Model):\n    _inherit = 'hr.contract.type'\n")]);
    let text = "TypeError: Model 'hr.contract.type' does not exist in registry.";
    let found = testing::candidates_in("20.0", &addon, C::ModelMissing, text);
    assert!(matches!(found.as_slice(), [only] if only.name() == "renamed_odoo_model?"), "{found:?}");
    assert!(testing::candidates(&addon, C::ModelMissing, text).is_empty());
}
