use super::*;
use crate::odoo::source::Facts;

const ORM: &str = "class BaseModel(metaclass=MetaModel):
    _order = 'id'
    _description = None
    def search(self, domain, offset=0, limit=None, order=None): pass
    def _search(self, domain, offset=0, limit=None, order=None, *, active_test=True): pass
    @api.model_create_multi
    def create(self, vals_list): pass
    def write(self, vals): pass
    def browse(self, ids=()): pass
    def mapped(self, func): pass
    def filtered(self, func): pass
    def ensure_one(self): pass
    def sudo(self, flag=True): pass
    @api.deprecated('use check_access() instead')
    def check_access_rights(self, operation): pass
";

fn addon(name: &str, files: &[(&str, &str)]) -> Addon {
    let files = files.iter().map(|(path, text)| (format!("{name}/{path}").parse().unwrap(), text.as_bytes().to_vec()));
    Addon::new(name.parse().unwrap(), files)
}

fn core() -> Facts {
    let base = "class P(models.Model):
    _name = 'res.partner'
    name = fields.Char()
    phone = fields.Char()
    type = fields.Selection([('contact', 'Contact'), ('other', 'Other')])
    parent_id = fields.Many2one('res.partner')
    child_ids = fields.One2many('res.partner', 'parent_id')
    user_ids = fields.One2many('res.users', 'partner_id')
    def _display(self, form, *, short=False): pass

class G(models.Model):
    _name = 'res.groups'
    name = fields.Char()

class U(models.Model):
    _name = 'res.users'
    _inherits = {'res.partner': 'partner_id'}
    partner_id = fields.Many2one('res.partner')
    login = fields.Char()

class V(models.Model):
    _name = 'ir.ui.view'
    name = fields.Char()
    model = fields.Char()
    arch = fields.Text()
    inherit_id = fields.Many2one('ir.ui.view')

class A(models.Model):
    _name = 'ir.model.access'
    name = fields.Char()
    model_id = fields.Many2one('ir.model')
    group_id = fields.Many2one('res.groups')
    perm_read = fields.Boolean()

class M(models.Model):
    _name = 'ir.model'
    name = fields.Char()
";
    let views = "<odoo><record id='group_user' model='res.groups'/>
<record id='view_partner_form' model='ir.ui.view'><field name='model'>res.partner</field>
<field name='arch' type='xml'><form><field name='name'/></form></field></record></odoo>";
    let mail = "class T(models.AbstractModel):
    _name = 'mail.thread'
    message_ids = fields.Char()
    def message_post(self, *, body='', message_type='notification'): pass
";
    let hooks = "export function useService() {}\nexport * from './more';\n";
    let web = addon(
        "web",
        &[
            ("__manifest__.py", "{'depends': ['base']}"),
            ("static/src/core/hooks.js", hooks),
            ("static/src/core/more.js", "export const useBus = 1;\n"),
            ("static/src/core/dialog/index.js", "export class Dialog {}\n"),
            ("static/src/core/dialog.xml", "<templates><t t-name='web.Dialog'/></templates>"),
        ],
    );
    let mut facts = Facts::of(&[
        web,
        addon("base", &[("__manifest__.py", "{'name': 'Base'}"), ("models/p.py", base), ("views.xml", views)]),
        addon("mail", &[("__manifest__.py", "{'depends': ['base']}"), ("models/t.py", mail)]),
    ]);
    facts.orm.read(ORM);
    facts
}

/// What is found in an addon `m` of these files, as `file:line name`.
fn looked_up(files: &[(&str, &str)]) -> References {
    let mut all = vec![("__manifest__.py", "{'depends': ['mail', 'web'], 'data': ['a.xml', 'security/ir.model.access.csv']}")];
    all.extend_from_slice(files);
    for needed in ["a.xml", "security/ir.model.access.csv"] {
        if !files.iter().any(|(path, _)| *path == needed) {
            all.push((needed, if needed == "a.xml" { "<odoo/>" } else { "id,name\n" }));
        }
    }
    let addon = addon("m", &all);
    let (own, core) = (Facts::of([&addon]), core());
    references(&addon, Index::new(&own, &core), &"19.0".parse().unwrap())
}

fn found(files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let found = looked_up(files);
    assert_eq!(found.unknown, Vec::<String>::new());
    let short = |found: &Unresolved| format!("{}:{} {}", found.path.rsplit('/').next().unwrap(), found.line, found.name);
    (found.unresolved.iter().map(short).collect(), found.deprecated.iter().map(short).collect())
}

fn python(body: &str) -> Vec<String> {
    let text = format!("class D(models.Model):\n    _name = 'm.desk'\n    partner_id = fields.Many2one('res.partner')\n{body}");
    found(&[("models/d.py", &text)]).0
}

#[test]
fn names_that_exist_are_no_findings() {
    let text = "
    total = fields.Float(compute='_compute_total')
    name = fields.Char(related='partner_id.parent_id.name')

    @api.depends('partner_id.child_ids.phone')
    def _compute_total(self):
        for desk in self.filtered(lambda d: d.partner_id.phone):
            partner = desk.partner_id.sudo()
            partner |= self.env['res.partner'].search([('parent_id.name', '=', 'x'), ('type', '=', 'other')], limit=1)
            partner.write({'phone': 1, 'child_ids': [(0, 0, {'name': 'x'})]})
            desk.total = len(partner.mapped('user_ids.login')) + partner.user_ids.phone
            self.env.ref('base.group_user', raise_if_not_found=False)
            unknown = desk.something_that_gives(1) if False else partner
            self.env['res.partner'].create([{'name': n} for n in 'ab'])

    def something_that_gives(self, what):
        return what.anything.at.all
";
    assert_eq!(python(text), Vec::<String>::new());
}

#[test]
fn names_that_are_gone_are_found_where_they_stand() {
    let text = "
    @api.depends('partner_id.mobile')
    def _compute(self):
        for desk in self:
            partner = desk.partner_id
            partner.mobile
            partner.child_ids.write({
                'name': 1,
                'mobile': 2,
            })
            self.env['res.gone'].search([])
            self.env['res.partner'].search([('parent_id.mobile', '=', 1)])
            self.mapped('partner_id.fax')
            partner.gone_method()
            partner.type = 'gone'
            self.env.ref('base.gone_record')
        vals = {'name': 1}
        vals['title'] = 2
        self.env['res.partner'].create(vals)
";
    let wanted = [
        "d.py:5 mobile",
        "d.py:9 mobile",
        "d.py:12 mobile",
        "d.py:14 res.gone",
        "d.py:15 mobile",
        "d.py:16 fax",
        "d.py:17 gone_method",
        "d.py:18 gone",
        "d.py:19 base.gone_record",
        "d.py:21 title",
    ];
    assert_eq!(python(text), wanted);
}

#[test]
fn what_is_not_sure_is_not_said() {
    // A guarded name, a variable of two types, a parameter, a class with a base that is not known, the self of a mixin.
    let text = "
    def a(self, other):
        if 'mobile' in self.env['res.partner']._fields:
            return self.partner_id.mobile
    def b(self, other):
        x = self.partner_id
        x = other
        return x.mobile, other.mobile
class Odd(Strange, models.Model):
    _name = 'm.odd'
    def c(self):
        return self.anything
class Mixin(models.AbstractModel):
    _name = 'm.mixin'
    def d(self):
        return self.anything, super().unknown()
";
    assert_eq!(python(text), Vec::<String>::new());
}

#[test]
fn parameters_of_overrides_and_calls_are_compared() {
    let text = "class P(models.Model):
    _inherit = 'res.partner'
    def _display(self):
        return super()._display('x')
    def _search(self, domain, offset=0, limit=None, order=None, access_rights_uid=None):
        return super()._search(domain, offset, limit, order, access_rights_uid)
    def go(self):
        self.env['res.partner'].check_access_rights('read')
        self.sudo()._display('x', long=True)
    def name_get(self):
        return []
";
    let (unresolved, deprecated) = found(&[("models/p.py", text)]);
    assert_eq!(unresolved, ["p.py:3 _display", "p.py:6 _search", "p.py:9 _display", "p.py:10 name_get"]);
    assert_eq!(deprecated, ["p.py:5 _search", "p.py:8 check_access_rights"]);
}

#[test]
fn create_that_takes_one_dictionary_is_found() {
    let create = |decorator: &str, body: &str| {
        found(&[(
            "models/p.py",
            &format!("class P(models.Model):\n    _inherit = 'res.partner'\n    {decorator}\n    def create(self, vals):\n{body}"),
        )])
    };
    let alone = "        vals['name'] = vals.get('name') or 'x'\n        return super().create(vals)\n";
    assert_eq!(create("@api.model", alone).0, ["p.py:4 create"]);
    assert_eq!(create("@api.model_create_multi", alone).0, ["p.py:4 create"]);
    let each = "        for vals in vals:\n            vals['name'] = 'x'\n        return super().create(vals)\n";
    assert_eq!(create("@api.model_create_multi", each), (vec![], vec![]));
    assert_eq!(create("@api.model", "        return super().create(vals)\n"), (vec![], vec!["p.py:4 create".to_owned()]));
}

#[test]
fn views_rows_and_the_manifest_are_read() {
    let view = r#"<odoo>
<record id='v' model='ir.ui.view'><field name='model'>res.partner</field><field name='inherit_id' ref='base.view_partner_form'/>
<field name='arch' type='xml'><field name='name' position='after'>
<field name='mobile' invisible="type == 'x' and active_id and not pager"/>
<field name='child_ids'><list><field name='phone'/>
<field name='fax'/></list></field>
<button name='gone_action' type='object' groups='base.group_gone'/>
</field></field></record>
<record id='w' model='ir.ui.view'><field name='model'>res.gone</field></record>
<record id='x' model='res.users'><field name='phone'>1</field>
<field name='mobile'>1</field></record>
<template id='t' inherit_id='base.gone_template'/>
<menuitem id='q' action='gone_action'/>
</odoo>"#;
    let rows =
        "id,name,model_id:id,group_id:id,perm_read\na,a,base.model_res_partner,base.group_user,1\nb,b,model_m_gone,base.group_lost,1\n";
    let manifest = "{
    'depends': ['mail'],
    'data': [
        'a.xml',
        'gone.xml',
        'security/ir.model.access.csv',
    ],
}";
    let (unresolved, _) = found(&[("a.xml", view), ("security/ir.model.access.csv", rows), ("__manifest__.py", manifest)]);
    let wanted = [
        "__manifest__.py:5 gone.xml",
        "a.xml:4 mobile",
        "a.xml:4 pager",
        "a.xml:6 fax",
        "a.xml:7 gone_action",
        "a.xml:7 base.group_gone",
        "a.xml:9 res.gone",
        "a.xml:11 mobile",
        "a.xml:12 base.gone_template",
        "a.xml:13 m.gone_action",
        "ir.model.access.csv:3 m.model_m_gone",
        "ir.model.access.csv:3 base.group_lost",
    ];
    assert_eq!(unresolved, wanted);
}

#[test]
fn without_the_sources_of_odoo_nothing_is_said() {
    let addon = addon(
        "m",
        &[("__manifest__.py", "{}"), ("m.py", "class A(models.Model):\n    _name = 'a'\n    def f(self):\n        self.gone\n")],
    );
    let (own, none) = (Facts::of([&addon]), Facts::default());
    let found = references(&addon, Index::new(&own, &none), &"19.0".parse().unwrap());
    assert!(found.unresolved.is_empty() && !found.unknown.is_empty());
}

#[test]
fn only_what_a_change_adds_counts_against_it() {
    let one = |line, name: &str| Unresolved {
        path: "m/a.py".to_owned(),
        line,
        kind: Kind::Field,
        name: name.to_owned(),
        model: None,
        what: String::new(),
    };
    assert!(added(&[one(1, "a")], &[one(7, "a")]).is_empty());
    assert_eq!(added(&[one(1, "a")], &[one(1, "a"), one(2, "b")]), [one(2, "b")]);
}

#[test]
fn what_runs_in_the_browser_is_resolved() {
    let script = "import { useService, useBus, useLost } from '@web/core/hooks';
import { Dialog } from '@web/core/dialog';
import { gone } from '@web/core/gone';
import { Own, other } from './own';
import { old } from '@old_addon/a';
import { Component } from '@odoo/owl';
const core = require('web.core');
class A extends Component {
    static template = 'm.Gone';
    async load() {
        await this.orm.call('res.partner', 'name_get', []);
        await this.orm.searchRead('res.partner', [], ['name', 'mobile']);
        await this.orm.write('res.lost', [1], {});
        await this.orm.read(this.model, [1], ['anything']);
    }
}
";
    let templates = "<templates>
<t t-name='m.A'><t t-call='web.Dialog'/><t t-call='web.DialogLost'/><t t-call='{{ this.name }}'/></t>
<t t-name='m.B' t-inherit='m.A'/></templates>";
    let own = "export class Own {}\n";
    let (unresolved, _) = found(&[("static/src/a.js", script), ("static/src/own.js", own), ("static/src/a.xml", templates)]);
    let wanted = [
        "a.js:1 useLost",
        "a.js:3 @web/core/gone",
        "a.js:4 other",
        "a.js:5 @old_addon/a",
        "a.js:7 web.core",
        "a.js:9 m.Gone",
        "a.js:11 name_get",
        "a.js:12 mobile",
        "a.js:13 res.lost",
        "a.xml:2 web.DialogLost",
    ];
    assert_eq!(unresolved, wanted);
}

#[test]
fn what_is_not_looked_at_is_said() {
    let large = "#".repeat(MAX_FILE + 1);
    let files =
        [("models/a.py", "class A(:\n"), ("models/b.py", &large), ("static/src/a.js", "export {"), ("tests/test_a.py", "class A(:\n")];
    let unknown = looked_up(&files).unknown;
    let wanted = [
        "m/models/b.py is larger than 2097152 bytes, or is no UTF-8",
        "m/models/a.py is no Python that can be read",
        "m/static/src/a.js is no JavaScript that can be read",
    ];
    assert_eq!(unknown, wanted);
}

#[test]
fn hostile_text_ends() {
    let deep = format!(
        "class A(models.Model):\n    _name = 'a'\n    def f(self):\n        x = {}self{}.y\n",
        "(".repeat(3_000),
        ")".repeat(3_000)
    );
    let chain = (0..400).fold("class A(models.Model):\n    _name = 'a'\n    def f(self):\n        x0 = self\n".to_owned(), |text, n| {
        format!("{text}        x{} = x{n} or x{n}\n", n + 1)
    });
    // Thirty names for one module that exports itself again.
    let circle: String = (0..30).map(|n| format!("export * from './{}f';\n", "./".repeat(n))).collect();
    looked_up(&[("static/src/f.js", &circle), ("static/src/g.js", "import { nope } from './f';\n")]);
    for text in [deep.as_str(), chain.as_str(), "\u{0}(((", "class A(models.Model):\n    _name='a'\n    x = x = x\n"] {
        looked_up(&[("models/d.py", text), ("a.xml", text)]);
    }
}
