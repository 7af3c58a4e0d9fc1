use crate::domain::ErrorClass::FieldReferenceBroken;
use crate::rules::testing_index::{first, mended};

fn after(python: &str, text: &str) -> Option<String> {
    first("field_name", &[("__manifest__.py", "{'depends': ['base']}"), ("a.py", python)], "a.py", FieldReferenceBroken, text)
}

#[test]
fn other_side_leads_back() {
    let python = |inverse: &str| {
        format!(
            "class A(models.Model):\n    _inherit = \"res.partner\"\n    line_ids = fields.One2many(\n        comodel_name=\"m.line\",\n        inverse_name=\"{inverse}\",\n    )\n\nclass L(models.Model):\n    _name = \"m.line\"\n    contact_id = fields.Many2one(\"res.partner\")\n    company_id = fields.Many2one(\"res.company\")\n"
        )
    };
    let text = "ValueError: 'partner' declared in 'res.partner.line_ids' does not exist on 'm.line'.";
    assert_eq!(after(&python("partner"), text), Some(python("contact_id")));
}

#[test]
fn first_broken_name_of_a_path_is_mended() {
    let python = |path: &str| {
        format!(
            "class A(models.Model):\n    _inherit = \"res.partner\"\n    x = fields.Char(related=\"{path}\")\n    y = fields.Char(\"company_id.stret\")\n"
        )
    };
    let text = "KeyError: 'Field stret referenced in related field definition res.partner.x does not exist.'";
    assert_eq!(after(&python("company_id.stret"), text), Some(python("company_id.street")));
    let text = "KeyError: 'Field compny_id referenced in related field definition res.partner.x does not exist.'";
    assert_eq!(after(&python("compny_id.street"), text), Some(python("company_id.street")));
}

const DEPENDS: &str = "ValueError: Wrong @depends on '_compute_x' (compute method of field res.partner.x). Dependency field 'state_id' not found in model res.partner.";

fn computed(depends: &str, value: &str) -> String {
    format!(
        "class A(models.Model):\n    _inherit = 'res.partner'\n    x = fields.Char(compute='_compute_x')\n    sale_state_id = fields.Many2one('res.company')\n    new_state_id = fields.Many2one('res.company')\n\n    @api.depends({depends})\n    def _compute_x(self):\n        for one in self:\n            one.x = {value}\n"
    )
}

#[test]
fn what_the_method_uses_is_what_it_depends_on() {
    let before = computed("'name', 'state_id.name'", "one.sale_state_id.name");
    assert_eq!(after(&computed("'state_id'", "one.name"), DEPENDS), None, "two fields are equally near");
    assert_eq!(after(&before, DEPENDS), Some(before.replace("'state_id.name'", "'sale_state_id.name'")));
}

#[test]
fn what_odoo_renamed_is_depended_on_by_its_new_name() {
    let before = "class G(models.Model):\n    _name = 'res.groups'\n    user_ids = fields.Many2many('res.users')\n    all_user_ids = fields.Many2many('res.users')\n\nclass A(models.Model):\n    _inherit = 'res.partner'\n    group_id = fields.Many2one('res.groups')\n    x = fields.Char(compute='_compute_x')\n\n    @api.depends('group_id.users')\n    def _compute_x(self):\n        self.x = self.group_id.users\n";
    let text = "ValueError: Wrong @depends on '_compute_x' (compute method of field res.partner.x). Dependency field 'users' not found in model res.groups.";
    assert_eq!(after(before, text), Some(before.replace("'group_id.users'", "'group_id.all_user_ids'")));
}

#[test]
fn path_may_come_out_of_another_method() {
    let before = "class G(models.Model):\n    _name = 'res.groups'\n    all_user_ids = fields.Many2many('res.users')\n\nclass A(models.Model):\n    _inherit = 'res.partner'\n    group_id = fields.Many2one('res.groups')\n    x = fields.Char(compute='_compute_x')\n\n    def _paths(self):\n        return ['name', 'group_id.users', 'users']\n\n    @api.depends(lambda self: self._paths())\n    def _compute_x(self):\n        self.x = 1\n";
    let text = "ValueError: Wrong @depends on '_compute_x' (compute method of field res.partner.x). Dependency field 'users' not found in model res.groups.";
    assert_eq!(after(before, text), Some(before.replace("'group_id.users'", "'group_id.all_user_ids'")));
}

#[test]
fn what_is_not_used_may_be_dropped() {
    let before = computed("'name', 'zzz_f'", "one.name");
    let text = DEPENDS.replace("state_id", "zzz_f");
    assert_eq!(after(&before, &text), Some(before.replace("'name', 'zzz_f'", "'name'")));
    assert_eq!(after(&computed("'zzz_f'", "one.zzz_f"), &text), None);
}

#[test]
fn nothing_near_is_left() {
    let python = "class A(models.Model):\n    _inherit = 'res.partner'\n    x = fields.Char(related='company_id.zzz')\n";
    let text = "KeyError: 'Field zzz referenced in related field definition res.partner.x does not exist.'";
    let found = mended(&[("__manifest__.py", "{'depends': ['base']}"), ("a.py", python)], "a.py", FieldReferenceBroken, text);
    assert!(found.iter().all(|(rule, _)| *rule != "field_name"), "{found:?}");
}
