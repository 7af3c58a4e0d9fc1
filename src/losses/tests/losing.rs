//! Patches that make an error go away by losing what it was about.

use super::{Case, hold, losing};
use crate::domain::LossKind::{
    Behaviour, Call, Cardinality, Check, Commit, Condition, Constraint, Field, Right, Scope, Test, Translation, Type, Value,
};

const PYTHON: &[Case] = &[
    losing(
        "a value is dropped from create",
        &[Value],
        &[(
            "a.py",
            "class A(models.Model):\n    _name = 'lead.a'\n    def f(self):\n        for lead in self:\n            self.env['res.partner'].create({\n                'name': lead.name,\n                'mobile': lead.cell,\n            })\n",
            "class A(models.Model):\n    _name = 'lead.a'\n    def f(self):\n        for lead in self:\n            self.env['res.partner'].create({\n                'name': lead.name,\n            })\n",
        )],
    ),
    losing(
        "one company of several, read",
        &[Cardinality],
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'account.account'\n    def f(self):\n        return self.company_id.name\n",
            "class A(models.Model):\n    _inherit = 'account.account'\n    def f(self):\n        return self.company_ids.name\n",
        )],
    ),
    losing(
        "all journal entries in place of invoices",
        &[Scope],
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    def f(self):\n        return self.env['account.invoice'].search_count([('partner_id', '=', self.id)])\n",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    def f(self):\n        return self.env['account.move'].search_count([('partner_id', '=', self.id)])\n",
        )],
    ),
    losing(
        "what was to become a number becomes none",
        &[Value],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        self.env['res.partner'].create({'name': 'a', 'color': int('ten')})\n",
            "class A(models.Model):\n    def f(self):\n        self.env['res.partner'].create({'name': 'a', 'color': False})\n",
        )],
    ),
    losing(
        "a value takes the place of another",
        &[Value],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self, lead):\n        self.env['res.partner'].create({'phone': lead.landline, 'mobile': lead.cell})\n",
            "class A(models.Model):\n    def f(self, lead):\n        self.env['res.partner'].create({'phone': lead.landline, 'phone': lead.cell})\n",
        )],
    ),
    losing(
        "a value becomes False",
        &[Value],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self, lead):\n        self.env['res.partner'].create({'ref': lead.cell})\n",
            "class A(models.Model):\n    def f(self, lead):\n        self.env['res.partner'].create({'ref': False})\n",
        )],
    ),
    losing(
        "a wider Odoo model",
        &[Scope],
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    def f(self):\n        return self.env['hr.contract'].search_count([('employee_id', '=', self.id)])\n",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    def f(self):\n        return self.env['hr.version'].search_count([('employee_id', '=', self.id)])\n",
        )],
    ),
    losing(
        "one record becomes many",
        &[Cardinality],
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'ir.filters'\n    def f(self):\n        return self.user_id == self.env.user\n",
            "class A(models.Model):\n    _inherit = 'ir.filters'\n    def f(self):\n        return self.user_ids == self.env.user\n",
        )],
    ),
    losing(
        "an unknown one record becomes many",
        &[Cardinality],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self, x):\n        return x.owner_id.name\n",
            "class A(models.Model):\n    def f(self, x):\n        return x.owner_ids.name\n",
        )],
    ),
    losing(
        "a commit leaves a long job",
        &[Commit],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        for rec in self:\n            rec.action()\n            self.env.cr.commit()\n",
            "class A(models.Model):\n    def f(self):\n        for rec in self:\n            rec.action()\n",
        )],
    ),
    losing(
        "another field that exists",
        &[Value, Type],
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    def f(self):\n        return self.email\n",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    def f(self):\n        return self.phone\n",
        )],
    ),
    losing(
        "an assignment is dropped",
        &[Value],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        for rec in self:\n            rec.name = rec.ref\n            rec.note = rec.comment\n",
            "class A(models.Model):\n    def f(self):\n        for rec in self:\n            rec.name = rec.ref\n",
        )],
    ),
    losing(
        "a field is dropped",
        &[Field],
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    x = fields.Char()\n    y = fields.Char(string='Y')\n",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    x = fields.Char()\n",
        )],
    ),
    losing(
        "a field is no longer required",
        &[Field],
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    x = fields.Char(required=True)\n",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    x = fields.Char(required=False)\n",
        )],
    ),
    losing(
        "a field of another type",
        &[Type],
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    x = fields.Integer()\n",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    x = fields.Char()\n",
        )],
    ),
    losing(
        "a field loses its groups",
        &[Right],
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    x = fields.Char(groups='base.group_system')\n",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    x = fields.Char()\n",
        )],
    ),
    losing(
        "ondelete changes",
        &[Field],
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    x_id = fields.Many2one('res.users', ondelete='cascade')\n",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    x_id = fields.Many2one('res.users', ondelete='set null')\n",
        )],
    ),
    losing(
        "a field is no longer stored",
        &[Field],
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    x = fields.Char(compute='_c', store=True)\n    def _c(self):\n        self.x = 'a'\n",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    x = fields.Char(compute='_c')\n    def _c(self):\n        self.x = 'a'\n",
        )],
    ),
    losing(
        "a value of a selection",
        &[Field, Value],
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'ir.cron'\n    t = fields.Selection(selection_add=[('quarters', 'Quarters'), ('years', 'Years')])\n",
            "class A(models.Model):\n    _inherit = 'ir.cron'\n    t = fields.Selection(selection_add=[('years', 'Years')])\n",
        )],
    ),
    losing(
        "a term of a domain is dropped",
        &[Condition],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        return self.env['sale.order'].search([('state', '=', 'sale'), ('partner_id', '=', self.id)])\n",
            "class A(models.Model):\n    def f(self):\n        return self.env['sale.order'].search([('partner_id', '=', self.id)])\n",
        )],
    ),
    losing(
        "an operator of a domain changes",
        &[Condition],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        return self.env['sale.order'].search([('amount_total', '>=', 5)])\n",
            "class A(models.Model):\n    def f(self):\n        return self.env['sale.order'].search([('amount_total', '>', 5)])\n",
        )],
    ),
    losing(
        "or becomes and",
        &[Condition],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        return self.env['sale.order'].search(['|', ('name', '=', 'a'), ('state', '=', 'b')])\n",
            "class A(models.Model):\n    def f(self):\n        return self.env['sale.order'].search([('name', '=', 'a'), ('state', '=', 'b')])\n",
        )],
    ),
    losing(
        "search of everything",
        &[Condition],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        return self.env['sale.order'].search([('name', '=', 'a')])\n",
            "class A(models.Model):\n    def f(self):\n        return self.env['sale.order'].search([])\n",
        )],
    ),
    losing(
        "a condition is dropped",
        &[Condition],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        if self.state == 'sale' and self.locked:\n            self.unlink()\n",
            "class A(models.Model):\n    def f(self):\n        if self.state == 'sale':\n            self.unlink()\n",
        )],
    ),
    losing(
        "a condition says the opposite",
        &[Condition],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        if not self.locked:\n            self.unlink()\n",
            "class A(models.Model):\n    def f(self):\n        if self.locked:\n            self.unlink()\n",
        )],
    ),
    losing(
        "and becomes or",
        &[Condition],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        if self.a and self.b:\n            self.unlink()\n",
            "class A(models.Model):\n    def f(self):\n        if self.a or self.b:\n            self.unlink()\n",
        )],
    ),
    losing(
        "filtered is dropped",
        &[Condition],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        return self.line_ids.filtered(lambda line: line.active).mapped('x')\n",
            "class A(models.Model):\n    def f(self):\n        return self.line_ids.mapped('x')\n",
        )],
    ),
    losing(
        "filtered is added",
        &[Scope],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        return self.stop_ids.sorted(lambda stop: stop.planned_on)\n",
            "class A(models.Model):\n    def f(self):\n        return self.stop_ids.filtered(lambda stop: stop.planned_on).sorted(lambda stop: stop.planned_on)\n",
        )],
    ),
    losing(
        "a check no longer raises",
        &[Check],
        &[(
            "a.py",
            "class A(models.Model):\n    @api.constrains('name')\n    def _check_name(self):\n        if not self.name:\n            raise ValidationError('No name')\n",
            "class A(models.Model):\n    @api.constrains('name')\n    def _check_name(self):\n        if not self.name:\n            return\n",
        )],
    ),
    losing(
        "constrains is dropped",
        &[Constraint],
        &[(
            "a.py",
            "class A(models.Model):\n    @api.constrains('name', 'ref')\n    def _check_name(self):\n        if not self.name:\n            raise ValidationError('No name')\n",
            "class A(models.Model):\n    @api.constrains('name')\n    def _check_name(self):\n        if not self.name:\n            raise ValidationError('No name')\n",
        )],
    ),
    losing(
        "a constraint of the database is dropped",
        &[Constraint],
        &[(
            "a.py",
            "class A(models.Model):\n    _name = 'a.b'\n    _sql_constraints = [('u', 'UNIQUE(name)', 'Twice'), ('c', 'CHECK(x > 0)', 'Few')]\n",
            "class A(models.Model):\n    _name = 'a.b'\n    _u = models.Constraint('UNIQUE(name)', 'Twice')\n",
        )],
    ),
    losing(
        "super is not called",
        &[Call],
        &[(
            "a.py",
            "class A(models.Model):\n    def write(self, vals):\n        res = super().write(vals)\n        return res\n",
            "class A(models.Model):\n    def write(self, vals):\n        return True\n",
        )],
    ),
    losing(
        "a call is dropped",
        &[Call],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        self.message_post(body='Done!')\n        self.x = 1\n",
            "class A(models.Model):\n    def f(self):\n        self.x = 1\n",
        )],
    ),
    losing(
        "a call is commented out",
        &[Call],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        self._recompute_all()\n        self.x = 1\n",
            "class A(models.Model):\n    def f(self):\n        # self._recompute_all()\n        self.x = 1\n",
        )],
    ),
    losing(
        "an argument is dropped",
        &[Value],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        self.message_post(body='x y', subtype='mail.mt_note')\n",
            "class A(models.Model):\n    def f(self):\n        self.message_post(body='x y')\n",
        )],
    ),
    losing(
        "a method is dropped",
        &[Call],
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    x = fields.Char()\n    def action_x(self):\n        return self.x\n",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    x = fields.Char()\n",
        )],
    ),
    losing(
        "a body becomes pass",
        &[Value, Call, Behaviour],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        self.total = sum(self.line_ids.mapped('price'))\n",
            "class A(models.Model):\n    def f(self):\n        pass\n",
        )],
    ),
    losing(
        "depends is narrowed",
        &[Behaviour],
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'sale.order'\n    @api.depends('name', 'partner_id.name')\n    def _c(self):\n        self.x = self.name\n",
            "class A(models.Model):\n    _inherit = 'sale.order'\n    @api.depends('name')\n    def _c(self):\n        self.x = self.name\n",
        )],
    ),
    losing(
        "a route is for everybody",
        &[Right],
        &[(
            "a.py",
            "class C(http.Controller):\n    @http.route('/a', type='http', auth='user')\n    def a(self):\n        return 'a'\n",
            "class C(http.Controller):\n    @http.route('/a', type='http', auth='public')\n    def a(self):\n        return 'a'\n",
        )],
    ),
    losing(
        "a route is gone",
        &[Call],
        &[(
            "a.py",
            "class C(http.Controller):\n    @http.route(['/a', '/b'], type='http', auth='user')\n    def a(self):\n        return 'a'\n",
            "class C(http.Controller):\n    @http.route(['/a'], type='http', auth='user')\n    def a(self):\n        return 'a'\n",
        )],
    ),
    losing(
        "an exception is swallowed",
        &[Check],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        self.x = self.y / self.z\n",
            "class A(models.Model):\n    def f(self):\n        try:\n            self.x = self.y / self.z\n        except Exception:\n            self.x = 0\n",
        )],
    ),
    losing(
        "sudo is added",
        &[Right],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        return self.partner_id.name\n",
            "class A(models.Model):\n    def f(self):\n        return self.sudo().partner_id.name\n",
        )],
    ),
    losing(
        "getattr passes over what is missing",
        &[Value],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        return self.partner_id.mobile\n",
            "class A(models.Model):\n    def f(self):\n        return getattr(self.partner_id, 'mobile', False)\n",
        )],
    ),
    losing(
        "a limit is added",
        &[Scope],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        return self.env['sale.order'].search([('name', '=', 'a')]).name\n",
            "class A(models.Model):\n    def f(self):\n        return self.env['sale.order'].search([('name', '=', 'a')], limit=1).name\n",
        )],
    ),
    losing(
        "only the first",
        &[Cardinality],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        return self.line_ids.name\n",
            "class A(models.Model):\n    def f(self):\n        return self.line_ids[:1].name\n",
        )],
    ),
    losing(
        "only the first dictionary",
        &[Cardinality],
        &[(
            "a.py",
            "class A(models.Model):\n    def create(self, vals_list):\n        if vals_list.get('pinned'):\n            self._reorder()\n        return super().create(vals_list)\n",
            "class A(models.Model):\n    def create(self, vals_list):\n        if vals_list[0].get('pinned'):\n            self._reorder()\n        return super().create(vals_list)\n",
        )],
    ),
    losing(
        "a loop becomes its first record",
        &[Cardinality],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        for line in self.line_ids:\n            line.x = 1\n",
            "class A(models.Model):\n    def f(self):\n        line = self.line_ids[0]\n        line.x = 1\n",
        )],
    ),
    losing(
        "what is behind if False",
        &[Behaviour],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        self.action_x()\n",
            "class A(models.Model):\n    def f(self):\n        if False:\n            self.action_x()\n",
        )],
    ),
    losing(
        "what is behind a return",
        &[Behaviour],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        self.action_x()\n        return True\n",
            "class A(models.Model):\n    def f(self):\n        return True\n        self.action_x()\n",
        )],
    ),
    losing(
        "a translation is dropped",
        &[Translation],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        raise UserError(_('No lines'))\n",
            "class A(models.Model):\n    def f(self):\n        raise UserError('No lines')\n",
        )],
    ),
    losing(
        "another group",
        &[Value],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        return self.env.user.has_group('base.group_system')\n",
            "class A(models.Model):\n    def f(self):\n        return self.env.user.has_group('base.group_user')\n",
        )],
    ),
    losing(
        "a condition in SQL",
        &[Condition],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        self.env.cr.execute(\"SELECT id FROM a WHERE b = 1 AND active AND name = %s\", (self.name,))\n",
            "class A(models.Model):\n    def f(self):\n        self.env.cr.execute(\"SELECT id FROM a WHERE b = 1 AND name = %s\", (self.name,))\n",
        )],
    ),
    losing(
        "a test is dropped",
        &[Test],
        &[(
            "tests/test_a.py",
            "class T(TransactionCase):\n    def test_a(self):\n        self.assertEqual(self.x, 1)\n        self.assertTrue(self.y)\n",
            "class T(TransactionCase):\n    def test_a(self):\n        self.assertEqual(self.x, 1)\n",
        )],
    ),
    losing(
        "a number in a test",
        &[Test],
        &[(
            "tests/test_a.py",
            "class T(TransactionCase):\n    def test_a(self):\n        self.assertEqual(self.x, 17)\n",
            "class T(TransactionCase):\n    def test_a(self):\n        self.assertEqual(self.x, 18)\n",
        )],
    ),
    losing(
        "an import of a file that is there",
        &[Behaviour],
        &[
            ("__init__.py", "from . import models\nfrom . import wizard\n", "from . import models\n"),
            ("models.py", "x = 1\n", "x = 1\n\n"),
            ("wizard.py", "x = 1\n", "x = 1\n\n"),
        ],
    ),
    losing(
        "a file that was not Python loses a statement",
        &[Behaviour],
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        self.alpha(\n        self.beta()\n        return self.gamma\n",
            "class A(models.Model):\n    def f(self):\n        return self.gamma\n",
        )],
    ),
    losing(
        "an order is another",
        &[Behaviour, Value],
        &[(
            "a.py",
            "class A(models.Model):\n    _name = 'a.b'\n    _order = 'sequence, priority desc'\n    x = fields.Char()\n",
            "class A(models.Model):\n    _name = 'a.b'\n    x = fields.Char()\n",
        )],
    ),
];

#[test]
fn losses_of_python_are_found() {
    hold(PYTHON);
}

#[test]
fn what_is_lost_is_named_where_it_stood() {
    let found = super::lost(PYTHON[0].files);
    let told: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["m/a.py:7: the value of 'mobile' that is handed to create is no longer written"]);
}
