use crate::domain::ErrorClass::AttributeMissing;
use crate::rules::testing_index::first;

#[test]
fn near_method_is_meant() {
    let python = "class A(models.Model):\n    _inherit = 'res.partner'\n    x = fields.Char(compute='_compute_totl')\n    y = fields.Char(default='_compute_totl_x')\n\n    def _compute_total(self):\n        pass\n";
    let files = [("__manifest__.py", "{'depends': ['base']}"), ("a.py", python)];
    let text = "AttributeError: 'res.partner' object has no attribute '_compute_totl'";
    let after = first("method_name", &files, "a.py", AttributeMissing, text);
    assert_eq!(after, Some(python.replace("_totl'", "_total'")));
}
