//! Patches that reach beyond the addon, and patches that do not.

use super::{File, NEW, patch_of};
use crate::losses::reaches;

fn told(files: &[File<'_>]) -> Vec<String> {
    reaches(&patch_of(files))
}

#[test]
fn ordinary_code_reaches_nowhere() {
    for after in [
        "from odoo import _, api, fields, models\nfrom odoo.exceptions import UserError, ValidationError\nfrom odoo.tools import float_compare\n",
        "import json\nimport logging\nimport re\nfrom datetime import date, timedelta\nfrom dateutil.relativedelta import relativedelta\nimport pytz\nfrom lxml import etree\n",
        "from odoo.addons.mail.models.mail_thread import MailThread\nfrom odoo.http import request, route\nfrom odoo.osv import expression\nfrom psycopg2 import IntegrityError\n",
        "import logging\n_logger = logging.getLogger(__name__)\ndef f(self):\n    _logger.info('%s is done', self.name)\n",
        "class A(models.Model):\n    _inherit = 'res.partner'\n    x = fields.Char()\n    @api.depends('name')\n    def _c(self):\n        for rec in self:\n            rec.x = rec.name\n            rec['x'] = 'y'\n",
        "class A(models.Model):\n    _inherit = 'res.partner'\n    def write(self, vals):\n        vals['x'] = 1\n        return super().write(vals)\n",
        "class C(http.Controller):\n    @http.route('/a', auth='user')\n    def a(self):\n        return 'a'\n",
        "from . import models\nfrom .a import b\n",
        "x = getattr(y, 'name', False)\n",
        "def post_init_hook(env):\n    env['res.partner'].search([])\n    env.cr.execute('UPDATE sale_order SET state = %s', ('a',))\n",
    ] {
        assert_eq!(told(&[("a.py", "", after)]), Vec::<String>::new(), "{after}");
    }
}

#[test]
fn what_stood_before_is_not_added() {
    let before = "import os\nclass A:\n    def __eq__(self, other):\n        return True\n";
    assert_eq!(told(&[("a.py", before, &format!("{before}\n\nx = 1\n"))]), Vec::<String>::new());
}

#[test]
fn reaching_code_is_told() {
    for after in [
        "import os\n",
        "import sys\n",
        "import unittest\n",
        "import threading as t\n",
        "from os import _exit\n",
        "import importlib\n",
        "import inspect, gc\n",
        "import atexit\n",
        "import traceback\n",
        "import odoo\n",
        "from odoo import sql_db\n",
        "from odoo import tests\n",
        "from odoo.tests import common\n",
        "import odoo.tests.common\n",
        "from odoo.service import server\n",
        "from odoo.modules import registry\n",
        "from odoo.tools import config\n",
        "from odoo.cli import command\n",
        "import socket\n",
        "import requests\n",
        "x = ().__class__\n",
        "x = f.__globals__\n",
        "x = object.__subclasses__()\n",
        "x = __builtins__\n",
        "class A:\n    def __eq__(self, other):\n        return True\n",
        "class A:\n    def __bool__(self):\n        return True\n",
        "class A(models.Model):\n    def __getattr__(self, name):\n        return 1\n",
        "class A:\n    def __init_subclass__(cls):\n        pass\n",
        "class A(B, metaclass=C):\n    pass\n",
        "class A(str):\n    pass\n",
        "class A(int):\n    pass\n",
        "from odoo import models\nmodels.BaseModel.write = f\n",
        "from odoo import models\nmodels.BaseModel.x, y = 1, 2\n",
        "from odoo.addons.sale.models.sale_order import SaleOrder\nSaleOrder.write = f\n",
        "from odoo.addons.sale.models.sale_order import SaleOrder\nsetattr(SaleOrder, 'write', f)\n",
        "class A(models.Model):\n    def f(self):\n        self._patch_method('write', g)\n",
        "def f(self):\n    type(self).write = g\n",
        "def f(self):\n    self.env.registry['res.partner'].write = g\n",
        "def f(self):\n    self.env.cr.commit = g\n",
        "def f(self, name):\n    return getattr(self, name)\n",
        "def f(self, name):\n    setattr(self, 'a' + name, 1)\n",
        "x = globals()\n",
        "x = eval('1')\n",
        "exec('1')\n",
        "x = open('/etc/passwd')\n",
        "x = __import__('os')\n",
        "raise SystemExit(0)\n",
        "class A(models.Model):\n    def _register_hook(self):\n        pass\n",
        "def f(self):\n    self.env.cr.commit()\n",
        "def f(self):\n    self.env.cr.execute(\"UPDATE ir_module_module SET state = 'installed'\")\n",
        "def f(self):\n    self.env.cr.execute('DELETE FROM ir_mod' + 'el_data')\n",
        "def f(self):\n    self.env.cr.execute('''update res_users\n set active = true''')\n",
        "import logging\nx = logging.getLogger('odoo.tests.result')\n",
        "import logging\nx = logging.getLogger('odoo.' + 'tests')\n",
        "def f(self):\n    _logger.info('0 failed, 0 error(s) of 12 tests when loading database')\n",
        "def f(self):\n    _logger.info('12 post-tests in 3.00s, 80 queries')\n",
        "@replace\ndef f(self):\n    pass\n",
        "def f(self):\n    return self.env.registry.in_test_mode()\n",
        "x = type('A', (), {})\n",
        "def f(self:\n",
    ] {
        assert!(!told(&[("a.py", "", after)]).is_empty(), "{after}");
        assert!(!told(&[("b.py", NEW, after)]).is_empty(), "new: {after}");
    }
}

#[test]
fn data_reaches_too() {
    let before = "<odoo/>";
    for after in [
        "<odoo><function model=\"res.users\" name=\"write\"/></odoo>",
        "<odoo><record id=\"a\" model=\"res.partner\"><field name=\"x\" eval=\"().__class__\"/></record></odoo>",
        "<odoo><record id=\"a\" model=\"ir.actions.server\"><field name=\"code\">env.cr.commit()</field></record></odoo>",
        "<odoo><record id=\"a\" model=\"ir.cron\"><field name=\"code\">model.x()</field></record></odoo>",
        "<odoo><template id=\"t\"><t t-out=\"request.__class__\"/></template></odoo>",
        "<odoo",
    ] {
        assert!(!told(&[("v.xml", before, after)]).is_empty(), "{after}");
    }
    for after in [
        "<odoo><record id=\"a\" model=\"res.partner\"><field name=\"x\" eval=\"[(4, ref('base.group_user'))]\"/><field name=\"y\" eval=\"time.strftime('%Y')\"/></record></odoo>",
        "<odoo><template id=\"t\"><t t-out=\"o.name\" t-if=\"len(o.line_ids) > 1\"/></template></odoo>",
    ] {
        assert_eq!(told(&[("v.xml", before, after)]), Vec::<String>::new(), "{after}");
    }
}
