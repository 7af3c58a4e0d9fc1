//! Fixes that lose nothing.

use super::{Case, NEW, clean, hold};

const PYTHON: &[Case] = &[
    clean(
        "a text that is no number where a number is made of it",
        &[("a.py", "from odoo import models\nLIMIT = int('ten')\n", "from odoo import models\nLIMIT = 10\n")],
    ),
    clean(
        "a misspelt field of a record",
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'res.company'\n    def f(self):\n        return self.currency_id.decimal_place\n",
            "class A(models.Model):\n    _inherit = 'res.company'\n    def f(self):\n        return self.currency_id.decimal_places\n",
        )],
    ),
    clean(
        "a misspelt method",
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'sale.order'\n    def f(self):\n        self.action_confrm()\n",
            "class A(models.Model):\n    _inherit = 'sale.order'\n    def f(self):\n        self.action_confirm()\n",
        )],
    ),
    clean(
        "a misspelt compute",
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'sale.order'\n    x = fields.Char(compute='_compute_y')\n    def _compute_x(self):\n        self.x = 'a'\n",
            "class A(models.Model):\n    _inherit = 'sale.order'\n    x = fields.Char(compute='_compute_x')\n    def _compute_x(self):\n        self.x = 'a'\n",
        )],
    ),
    clean(
        "a misspelt comodel",
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'sale.order'\n    x_id = fields.Many2one('res.partnr', string='X')\n",
            "class A(models.Model):\n    _inherit = 'sale.order'\n    x_id = fields.Many2one('res.partner', string='X')\n",
        )],
    ),
    clean(
        "an Odoo model with swapped letters",
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'sale.order'\n    x_id = fields.Many2one('gate.piont')\n",
            "class A(models.Model):\n    _inherit = 'sale.order'\n    x_id = fields.Many2one('gate.point')\n",
        )],
    ),
    clean(
        "a record among several instead of the one",
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'account.account'\n    def f(self, company):\n        return self.search([('company_id', 'in', company.ids)])\n",
            "class A(models.Model):\n    _inherit = 'account.account'\n    def f(self, company):\n        return self.search([('company_ids', 'in', company.ids)])\n",
        )],
    ),
    clean(
        "invoices that were asked for as such",
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    def f(self):\n        return self.env['account.invoice'].search_count([('move_type', '=', 'out_invoice')])\n",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    def f(self):\n        return self.env['account.move'].search_count([('move_type', '=', 'out_invoice')])\n",
        )],
    ),
    clean("an addon that was merged into another", &[("__manifest__.py", "{'depends': ['fetchmail']}", "{'depends': ['mail']}")]),
    clean(
        "a misspelt inverse",
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'sale.order'\n    x_ids = fields.One2many('res.partner', inverse_name='parent')\n",
            "class A(models.Model):\n    _inherit = 'sale.order'\n    x_ids = fields.One2many('res.partner', inverse_name='parent_id')\n",
        )],
    ),
    clean(
        "a misspelt inherited model",
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'res.partnr'\n    x = fields.Char()\n",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    x = fields.Char()\n",
        )],
    ),
    clean(
        "a misspelt related path",
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'sale.order'\n    x = fields.Char(related='partner_id.nam')\n",
            "class A(models.Model):\n    _inherit = 'sale.order'\n    x = fields.Char(related='partner_id.name')\n",
        )],
    ),
    clean(
        "a wrong name in depends",
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'sale.order'\n    product_state_id = fields.Many2one('res.partner')\n    @api.depends('state_id')\n    def f(self):\n        for rec in self:\n            rec.name = rec.product_state_id.name\n",
            "class A(models.Model):\n    _inherit = 'sale.order'\n    product_state_id = fields.Many2one('res.partner')\n    @api.depends('product_state_id')\n    def f(self):\n        for rec in self:\n            rec.name = rec.product_state_id.name\n",
        )],
    ),
    clean(
        "a misspelt import",
        &[(
            "a.py",
            "from odoo.exceptions import UsrError\ndef f():\n    raise UsrError('a b')\n",
            "from odoo.exceptions import UserError\ndef f():\n    raise UserError('a b')\n",
        )],
    ),
    clean(
        "an import that was missing",
        &[(
            "a.py",
            "def f():\n    raise UserError('a b')\n",
            "from odoo.exceptions import UserError\n\n\ndef f():\n    raise UserError('a b')\n",
        )],
    ),
    clean(
        "an import that leads nowhere",
        &[("__init__.py", "from . import models\nfrom . import wizard\n", "from . import models\n"), ("models.py", "x = 1\n", "x = 1\n\n")],
    ),
    clean(
        "SQL constraints become attributes",
        &[(
            "a.py",
            "class A(models.Model):\n    _name = 'a.b'\n    _sql_constraints = [('name_uniq', 'UNIQUE(name)', 'Name must be unique')]\n",
            "class A(models.Model):\n    _name = 'a.b'\n    _name_uniq = models.Constraint(\n        \"UNIQUE(name)\",\n        \"Name must be unique\",\n    )\n",
        )],
    ),
    clean(
        "SQL constraints with translated messages",
        &[(
            "a.py",
            "from odoo import _, models\nclass A(models.Model):\n    _name = 'a.b'\n    _sql_constraints = [\n        ('u', 'unique (name, company_id)', _('Twice!')),\n        ('p', 'CHECK(pages > 0'\n         ' AND a IS NOT NULL)', 'Pages'),\n    ]\n",
            "from odoo import models\nclass A(models.Model):\n    _name = 'a.b'\n    _u = models.Constraint('unique (name, company_id)', 'Twice!')\n    _p = models.Constraint('CHECK(pages > 0 AND a IS NOT NULL)', 'Pages')\n",
        )],
    ),
    clean(
        "a return that was missing",
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'sale.order'\n    def create(self, vals_list):\n        records = super().create(vals_list)\n        self.env.registry.clear_cache()\n",
            "class A(models.Model):\n    _inherit = 'sale.order'\n    def create(self, vals_list):\n        records = super().create(vals_list)\n        self.env.registry.clear_cache()\n        return records\n",
        )],
    ),
    clean(
        "the signature of a hook",
        &[(
            "a.py",
            "from odoo import SUPERUSER_ID, api\ndef post_init_hook(cr, registry):\n    env = api.Environment(cr, SUPERUSER_ID, {})\n    env['res.partner'].search([('ref', '=', False)]).write({'ref': 'x'})\n    cr.execute('SELECT name FROM x WHERE y')\n",
            "def post_init_hook(env):\n    env['res.partner'].search([('ref', '=', False)]).write({'ref': 'x'})\n    env.cr.execute('SELECT name FROM x WHERE y')\n",
        )],
    ),
    clean(
        "the order of group_expand",
        &[(
            "a.py",
            "class A(models.Model):\n    _name = 'a.b'\n    def _read_group_stage_ids(self, stages, domain, order):\n        return stages.search([('fold', '=', False)], order=order)\n",
            "class A(models.Model):\n    _name = 'a.b'\n    def _read_group_stage_ids(self, stages, domain):\n        return stages.search([('fold', '=', False)])\n",
        )],
    ),
    clean(
        "list views in actions",
        &[(
            "a.py",
            "class A(models.Model):\n    _name = 'a.b'\n    def f(self):\n        return {'type': 'ir.actions.act_window', 'view_mode': 'tree,form', 'views': [(False, 'tree')], 'context': {'tree_view_ref': 'x.y'}}\n",
            "class A(models.Model):\n    _name = 'a.b'\n    def f(self):\n        return {'type': 'ir.actions.act_window', 'view_mode': 'list,form', 'views': [(False, 'list')], 'context': {'list_view_ref': 'x.y'}}\n",
        )],
    ),
    clean(
        "a value that is not always there",
        &[(
            "a.py",
            "class A(models.Model):\n    _name = 'a.b'\n    def f(self):\n        data = self.g()\n        for state in self:\n            state.products_count = data[state]\n",
            "class A(models.Model):\n    _name = 'a.b'\n    def f(self):\n        data = self.g()\n        for state in self:\n            state.products_count = data.get(state, 0)\n",
        )],
    ),
    clean(
        "a value in every branch",
        &[(
            "a.py",
            "class A(models.Model):\n    _name = 'a.b'\n    def f(self):\n        data = self.g()\n        for state in self:\n            if state in data:\n                state.products_count = data[state]\n",
            "class A(models.Model):\n    _name = 'a.b'\n    def f(self):\n        data = self.g()\n        for state in self:\n            state.products_count = data.get(state, 0)\n",
        )],
    ),
    clean(
        "an empty value before a branch",
        &[(
            "a.py",
            "class A(models.Model):\n    _name = 'a.b'\n    def f(self):\n        for rec in self:\n            if rec.partner_id:\n                rec.x = rec.partner_id.name\n",
            "class A(models.Model):\n    _name = 'a.b'\n    def f(self):\n        for rec in self:\n            rec.x = False\n            if rec.partner_id:\n                rec.x = rec.partner_id.name\n",
        )],
    ),
    clean(
        "the record of the loop",
        &[(
            "a.py",
            "class A(models.Model):\n    _name = 'a.b'\n    def f(self):\n        names = self.g()\n        for record in self:\n            record.display_name = names[self.name]\n",
            "class A(models.Model):\n    _name = 'a.b'\n    def f(self):\n        names = self.g()\n        for record in self:\n            record.display_name = names[record.name]\n",
        )],
    ),
    clean(
        "a guard around SQL over nothing",
        &[(
            "a.py",
            "class A(models.Model):\n    _name = 'a.b'\n    def f(self):\n        self.env.cr.execute('SELECT id FROM a WHERE b IN %s', (tuple(self.ids),))\n        return self.env.cr.fetchall()\n",
            "class A(models.Model):\n    _name = 'a.b'\n    def f(self):\n        if not self.ids:\n            return []\n        self.env.cr.execute('SELECT id FROM a WHERE b IN %s', (tuple(self.ids),))\n        return self.env.cr.fetchall()\n",
        )],
    ),
    clean(
        "an array in SQL over nothing",
        &[(
            "a.py",
            "class A(models.Model):\n    _name = 'a.b'\n    def f(self):\n        self.env.cr.execute('SELECT id FROM a WHERE b IN %s AND c', (tuple(self.ids),))\n",
            "class A(models.Model):\n    _name = 'a.b'\n    def f(self):\n        self.env.cr.execute('SELECT id FROM a WHERE b = ANY(%s) AND c', (list(self.ids),))\n",
        )],
    ),
    clean(
        "decorators that are gone",
        &[(
            "a.py",
            "class A(models.Model):\n    _name = 'a.b'\n    @api.multi\n    @api.depends('name')\n    def f(self):\n        self.x = 1\n    @api.returns('self')\n    def g(self):\n        return self.name\n",
            "class A(models.Model):\n    _name = 'a.b'\n    @api.depends('name')\n    def f(self):\n        self.x = 1\n    def g(self):\n        return self.name\n",
        )],
    ),
    clean(
        "create of several records",
        &[(
            "a.py",
            "class A(models.Model):\n    _name = 'a.b'\n    @api.model\n    def create(self, vals):\n        if vals.get('name'):\n            vals['ref'] = vals['name']\n        return super(A, self).create(vals)\n",
            "class A(models.Model):\n    _name = 'a.b'\n    @api.model_create_multi\n    def create(self, vals_list):\n        for vals in vals_list:\n            if vals.get('name'):\n                vals['ref'] = vals['name']\n        return super().create(vals_list)\n",
        )],
    ),
    clean(
        "a colon",
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        if not self.name\n            raise UserError('a b')\n",
            "class A(models.Model):\n    def f(self):\n        if not self.name:\n            raise UserError('a b')\n",
        )],
    ),
    clean(
        "an indentation",
        &[("a.py", "def f(self):\n    x = 1\n      y = 2\n    return x + y\n", "def f(self):\n    x = 1\n    y = 2\n    return x + y\n")],
    ),
    clean("print of Python 2", &[("a.py", "def f(x):\n    print 'a', x\n", "def f(x):\n    print('a', x)\n")]),
    clean(
        "translations with arguments",
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        raise UserError(_('Field %(name)s of %(model)s') % {'name': self.name, 'model': self._name})\n",
            "class A(models.Model):\n    def f(self):\n        raise UserError(self.env._('Field %(name)s of %(model)s', name=self.name, model=self._name))\n",
        )],
    ),
    clean(
        "a renamed field of users",
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        return self.env.user.groups_id & self.group_ids\n",
            "class A(models.Model):\n    def f(self):\n        return self.env.user.all_group_ids & self.group_ids\n",
        )],
    ),
    clean(
        "a key that Odoo renamed",
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        return self.env['stock.move'].create({'product_uom': self.uom_id.id, 'name': 'x'})\n",
            "class A(models.Model):\n    def f(self):\n        return self.env['stock.move'].create({'product_uom_id': self.uom_id.id, 'name': 'x'})\n",
        )],
    ),
    clean(
        "an Odoo model that Odoo renamed",
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        return self.env['stock.production.lot'].search([('name', '=', self.name)])\n",
            "class A(models.Model):\n    def f(self):\n        return self.env['stock.lot'].search([('name', '=', self.name)])\n",
        )],
    ),
    clean(
        "names of records",
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    def f(self):\n        return self.parent_id.name_get()[0][1]\n",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    def f(self):\n        return self.parent_id.display_name\n",
        )],
    ),
    clean(
        "the first of some records",
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        return fields.first(self.line_ids)\n",
            "class A(models.Model):\n    def f(self):\n        return self.line_ids[:1]\n",
        )],
    ),
    clean(
        "a default of a required field",
        &[(
            "a.py",
            "class A(models.Model):\n    _name = 'a.b'\n    x = fields.Integer(required=True)\n",
            "class A(models.Model):\n    _name = 'a.b'\n    x = fields.Integer(required=True, default=0)\n",
        )],
    ),
    clean(
        "ondelete of a selection",
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'ir.cron'\n    interval_type = fields.Selection(selection_add=[('quarters', 'Quarters')])\n",
            "class A(models.Model):\n    _inherit = 'ir.cron'\n    interval_type = fields.Selection(selection_add=[('quarters', 'Quarters')], ondelete={'quarters': 'set default'})\n",
        )],
    ),
    clean(
        "a search method",
        &[(
            "a.py",
            "class A(models.Model):\n    _name = 'a.b'\n    u_ids = fields.Many2many(comodel_name='res.users', string='U', compute='_c')\n    def _c(self):\n        self.u_ids = False\n",
            "class A(models.Model):\n    _name = 'a.b'\n    u_ids = fields.Many2many(\n        comodel_name='res.users',\n        string='U',\n        compute='_c',\n        search='_s',\n    )\n    def _c(self):\n        self.u_ids = False\n    def _s(self, operator, value):\n        return [('line_ids.user_id', operator, value)]\n",
        )],
    ),
    clean(
        "code that is laid out anew",
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        return self.env['res.partner'].create({'name': 'a', \"ref\": 'b'})\n",
            "class A(models.Model):\n    def f(self):\n        # A comment.\n        vals = {\n            \"name\": \"a\",\n            'ref': \"b\",\n        }\n        return self.env[\"res.partner\"].create(vals)\n",
        )],
    ),
    clean(
        "a value that gets a name first",
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'sale.order'\n    def f(self):\n        self.write({'name': self.partner_id.ref})\n",
            "class A(models.Model):\n    _inherit = 'sale.order'\n    def f(self):\n        ref = self.partner_id.ref or ''\n        self.write({'name': ref})\n",
        )],
    ),
    clean(
        "a function that is moved to another file",
        &[
            (
                "a.py",
                "class A(models.Model):\n    _inherit = 'sale.order'\n    def f(self):\n        self.message_post(body='Done!')\n",
                "class A(models.Model):\n    _inherit = 'sale.order'\n",
            ),
            (
                "b.py",
                NEW,
                "class B(models.Model):\n    _inherit = 'sale.order'\n    def f(self):\n        self.message_post(body='Done!')\n",
            ),
        ],
    ),
    clean(
        "arguments that have other names",
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'sale.order'\n    def f(self):\n        self.message_post(body='x y', type='comment')\n",
            "class A(models.Model):\n    _inherit = 'sale.order'\n    def f(self):\n        self.message_post(body='x y', message_type='comment')\n",
        )],
    ),
    clean(
        "any of several dictionaries",
        &[(
            "a.py",
            "class A(models.Model):\n    def create(self, vals_list):\n        if vals_list.get('pinned'):\n            self._reorder()\n        return super().create(vals_list)\n",
            "class A(models.Model):\n    def create(self, vals_list):\n        if any(vals.get('pinned') for vals in vals_list):\n            self._reorder()\n        return super().create(vals_list)\n",
        )],
    ),
    clean(
        "an Odoo model of more records, with the term that says which",
        &[(
            "a.py",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    def f(self):\n        return self.env['hr.contract'].search_count([('employee_id', '=', self.id)])\n",
            "class A(models.Model):\n    _inherit = 'res.partner'\n    def f(self):\n        return self.env['hr.version'].search_count([('employee_id', '=', self.id), ('contract_date_start', '!=', False)])\n",
        )],
    ),
    clean(
        "a text put together otherwise",
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self):\n        self.x = self.env._('{a}: from {b}').format(a=self.a, b=self.b)\n",
            "class A(models.Model):\n    def f(self):\n        self.x = self.env._('%(a)s: from %(b)s', a=self.a, b=self.b)\n",
        )],
    ),
    clean(
        "bytes of an attachment",
        &[(
            "a.py",
            "class A(models.Model):\n    def f(self, content):\n        self.env['ir.attachment'].create({'name': 'x', 'datas': base64.b64encode(content)})\n",
            "class A(models.Model):\n    def f(self, content):\n        self.env['ir.attachment'].create({'name': 'x', 'raw': content})\n",
        )],
    ),
];

const OTHER: &[Case] = &[
    clean(
        "a file that does not exist leaves the manifest",
        &[(
            "__manifest__.py",
            "{'name': 'M', 'depends': ['base'], 'data': ['views/nofile.xml']}",
            "{'name': 'M', 'depends': ['base'], 'data': []}",
        )],
    ),
    clean(
        "a dependency that was missing",
        &[(
            "__manifest__.py",
            "{'name': 'M', 'depends': ['base'], 'version': '18.0.1.0.0'}",
            "{'name': 'M', 'depends': ['base', 'mail'], 'version': '19.0.1.0.0'}",
        )],
    ),
    clean(
        "a dependency that brings the old one",
        &[("__manifest__.py", "{'name': 'M', 'depends': ['base']}", "{'name': 'M', 'depends': ['contacts']}")],
    ),
    clean(
        "a misspelt dependency",
        &[("__manifest__.py", "{'name': 'M', 'depends': ['contact']}", "{'name': 'M', 'depends': ['contacts']}")],
    ),
    clean(
        "the order of data files",
        &[
            (
                "__manifest__.py",
                "{'name': 'M', 'depends': ['base'], 'data': ['a.xml', 'b.xml']}",
                "{'name': 'M', 'depends': ['base'], 'data': ['b.xml', 'a.xml']}",
            ),
            ("a.xml", "<odoo/>", "<odoo></odoo>"),
            ("b.xml", "<odoo/>", "<odoo></odoo>"),
        ],
    ),
    clean(
        "another file is meant",
        &[
            (
                "__manifest__.py",
                "{'name': 'M', 'depends': ['base'], 'data': ['views/states.xml']}",
                "{'name': 'M', 'depends': ['base'], 'data': ['views/state.xml']}",
            ),
            ("views/state.xml", "<odoo/>", "<odoo></odoo>"),
        ],
    ),
    clean(
        "an addon that was merged",
        &[("__manifest__.py", "{'name': 'M', 'depends': ['base', 'hr_contract']}", "{'name': 'M', 'depends': ['base', 'hr']}")],
    ),
    clean("a page loses its declaration", &[("static/description/index.html", "<?xml version=\"1.0\"?>\n<p>a</p>\n", "<p>a</p>\n")]),
    clean(
        "a variable of a style",
        &[(
            "static/src/scss/a.scss",
            ".a {\n    border-color: $bar-theme-edge;\n}\n",
            "$bar-theme-edge: #ccc;\n.a {\n    border-color: $bar-theme-edge;\n}\n",
        )],
    ),
];

#[test]
fn fixes_of_python_lose_nothing() {
    hold(PYTHON);
}

#[test]
fn fixes_of_other_files_lose_nothing() {
    hold(OTHER);
}
