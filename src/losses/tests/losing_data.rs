//! Patches of data files, manifests and scripts that lose something.

use super::{Case, NEW, hold, losing};
use crate::domain::LossKind::{Behaviour, Button, Cardinality, Condition, Manifest, Menu, Node, Record, Right, Scope, Translation, Value};

const XML: &[Case] = &[
    losing(
        "a button is deleted",
        &[Button],
        &[(
            "v.xml",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"model\">sale.order</field><field name=\"arch\" type=\"xml\"><form><header><button name=\"action_done\" type=\"object\" string=\"Lock\"/></header><field name=\"name\"/></form></field></record></odoo>",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"model\">sale.order</field><field name=\"arch\" type=\"xml\"><form><header/><field name=\"name\"/></form></field></record></odoo>",
        )],
    ),
    losing(
        "a button is commented out",
        &[Button],
        &[(
            "v.xml",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\"><form><button name=\"action_done\" type=\"object\"/></form></field></record></odoo>",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\"><form><!--<button name=\"action_done\" type=\"object\"/>--></form></field></record></odoo>",
        )],
    ),
    losing(
        "a button is hidden",
        &[Button],
        &[(
            "v.xml",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\"><form><button name=\"action_confirm\" type=\"object\"/></form></field></record></odoo>",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\"><form><button name=\"action_confirm\" type=\"object\" invisible=\"1\"/></form></field></record></odoo>",
        )],
    ),
    losing(
        "a field of a view",
        &[Node],
        &[(
            "v.xml",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\"><form><field name=\"name\"/><field name=\"mobile\"/></form></field></record></odoo>",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\"><form><field name=\"name\"/></form></field></record></odoo>",
        )],
    ),
    losing(
        "groups of a node",
        &[Right],
        &[(
            "v.xml",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\"><form><field name=\"name\" groups=\"base.group_system\"/></form></field></record></odoo>",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\"><form><field name=\"name\"/></form></field></record></odoo>",
        )],
    ),
    losing(
        "a condition of a node",
        &[Condition],
        &[(
            "v.xml",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\"><form><field name=\"name\" attrs=\"{'invisible': [('ref', '=', False)], 'required': [('email', '=', False)]}\"/></form></field></record></odoo>",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\"><form><field name=\"name\" invisible=\"not ref\"/></form></field></record></odoo>",
        )],
    ),
    losing(
        "a condition becomes its opposite",
        &[Condition],
        &[(
            "v.xml",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\"><form><field name=\"name\" attrs=\"{'invisible': [('ref', '=', False)]}\"/></form></field></record></odoo>",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\"><form><field name=\"name\" invisible=\"ref\"/></form></field></record></odoo>",
        )],
    ),
    losing(
        "a domain of a filter",
        &[Condition],
        &[(
            "v.xml",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\"><search><filter name=\"f\" domain=\"[('state', '=', 'sale'), ('x', '=', 1)]\"/></search></field></record></odoo>",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\"><search><filter name=\"f\" domain=\"[('state', '=', 'sale')]\"/></search></field></record></odoo>",
        )],
    ),
    losing(
        "options of a field",
        &[Node],
        &[(
            "v.xml",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\"><form><field name=\"name\" options=\"{'no_create': True}\"/></form></field></record></odoo>",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\"><form><field name=\"name\"/></form></field></record></odoo>",
        )],
    ),
    losing(
        "a record is dropped",
        &[Record],
        &[(
            "v.xml",
            "<odoo><record id=\"a\" model=\"res.partner\"><field name=\"name\">A</field></record><record id=\"b\" model=\"res.partner\"><field name=\"name\">B</field></record></odoo>",
            "<odoo><record id=\"a\" model=\"res.partner\"><field name=\"name\">A</field></record></odoo>",
        )],
    ),
    losing(
        "a value of a record",
        &[Record],
        &[(
            "v.xml",
            "<odoo><record id=\"a\" model=\"res.partner\"><field name=\"name\">A</field><field name=\"mobile\">123</field></record></odoo>",
            "<odoo><record id=\"a\" model=\"res.partner\"><field name=\"name\">A</field></record></odoo>",
        )],
    ),
    losing(
        "a value of a record is another",
        &[Record],
        &[(
            "v.xml",
            "<odoo><record id=\"a\" model=\"ir.cron\"><field name=\"name\">A</field><field name=\"interval_type\">months</field></record></odoo>",
            "<odoo><record id=\"a\" model=\"ir.cron\"><field name=\"name\">A</field><field name=\"interval_type\">days</field></record></odoo>",
        )],
    ),
    losing(
        "a record is switched off",
        &[Record],
        &[(
            "v.xml",
            "<odoo><record id=\"a\" model=\"ir.cron\"><field name=\"name\">A</field></record></odoo>",
            "<odoo><record id=\"a\" model=\"ir.cron\"><field name=\"name\">A</field><field name=\"active\" eval=\"False\"/></record></odoo>",
        )],
    ),
    losing(
        "a menu is dropped",
        &[Menu],
        &[(
            "v.xml",
            "<odoo><menuitem id=\"a\" name=\"A\"/><menuitem id=\"b\" name=\"B\" parent=\"a\" action=\"x\"/></odoo>",
            "<odoo><menuitem id=\"a\" name=\"A\"/></odoo>",
        )],
    ),
    losing(
        "a rule is narrowed",
        &[Right],
        &[(
            "v.xml",
            "<odoo><record id=\"r\" model=\"ir.rule\"><field name=\"domain_force\">[('company_id', 'in', company_ids)]</field><field name=\"groups\" eval=\"[(4, ref('base.group_user'))]\"/></record></odoo>",
            "<odoo><record id=\"r\" model=\"ir.rule\"><field name=\"domain_force\">[(1, '=', 1)]</field><field name=\"groups\" eval=\"[(4, ref('base.group_user'))]\"/></record></odoo>",
        )],
    ),
    losing(
        "another group of a menu",
        &[Right, Menu, Value],
        &[(
            "v.xml",
            "<odoo><record id=\"m\" model=\"ir.ui.menu\"><field name=\"group_ids\" eval=\"[(6,0,[ref('base.group_erp_manager')])]\"/></record></odoo>",
            "<odoo><record id=\"m\" model=\"ir.ui.menu\"><field name=\"group_ids\" eval=\"[(6,0,[ref('base.group_system')])]\"/></record></odoo>",
        )],
    ),
    losing(
        "one record becomes many in data",
        &[Cardinality],
        &[(
            "v.xml",
            "<odoo><record id=\"f\" model=\"ir.filters\"><field name=\"name\">F</field><field name=\"user_id\" ref=\"base.user_admin\"/></record></odoo>",
            "<odoo><record id=\"f\" model=\"ir.filters\"><field name=\"name\">F</field><field name=\"user_ids\" ref=\"base.user_admin\"/></record></odoo>",
        )],
    ),
    losing(
        "a text of a template",
        &[Value],
        &[(
            "v.xml",
            "<odoo><template id=\"t\"><p>Pay within ten days.</p><span t-out=\"o.name\"/></template></odoo>",
            "<odoo><template id=\"t\"><span t-out=\"o.name\"/></template></odoo>",
        )],
    ),
    losing(
        "a value of a template",
        &[Node],
        &[(
            "v.xml",
            "<odoo><template id=\"t\"><p>x</p><span t-out=\"o.mobile\"/></template></odoo>",
            "<odoo><template id=\"t\"><p>x</p><span/></template></odoo>",
        )],
    ),
    losing(
        "a condition of a template is added",
        &[Scope],
        &[(
            "v.xml",
            "<odoo><template id=\"t\"><field name=\"x\"/></template></odoo>",
            "<odoo><template id=\"t\"><field name=\"x\" t-if=\"o.planned_on\"/></template></odoo>",
        )],
    ),
    losing(
        "a row of rights",
        &[Right],
        &[(
            "security/ir.model.access.csv",
            "id,name,model_id:id,group_id:id,perm_read,perm_write,perm_create,perm_unlink\na,a,model_x,base.group_user,1,0,0,0\nb,b,model_x,base.group_system,1,1,1,1\n",
            "id,name,model_id:id,group_id:id,perm_read,perm_write,perm_create,perm_unlink\na,a,model_x,base.group_user,1,0,0,0\n",
        )],
    ),
    losing(
        "a right is wider",
        &[Right],
        &[(
            "security/ir.model.access.csv",
            "id,name,model_id:id,group_id:id,perm_read,perm_write,perm_create,perm_unlink\na,a,model_x,base.group_user,1,0,0,0\n",
            "id,name,model_id:id,group_id:id,perm_read,perm_write,perm_create,perm_unlink\na,a,model_x,base.group_user,1,1,0,0\n",
        )],
    ),
    losing(
        "a right for everybody",
        &[Right],
        &[(
            "security/ir.model.access.csv",
            "id,name,model_id:id,group_id:id,perm_read,perm_write,perm_create,perm_unlink\na,a,model_x,base.group_user,1,0,0,0\n",
            "id,name,model_id:id,group_id:id,perm_read,perm_write,perm_create,perm_unlink\na,a,model_x,,1,0,0,0\n",
        )],
    ),
    losing(
        "rights are made up",
        &[Right],
        &[
            (
                "security/ir.model.access.csv",
                NEW,
                "id,name,model_id:id,group_id:id,perm_read,perm_write,perm_create,perm_unlink\na,a,model_x,base.group_user,1,1,1,1\n",
            ),
            ("a.py", "x = 1\n", "x = 1\n\n"),
        ],
    ),
    losing(
        "a rule is made up",
        &[Right],
        &[("s.xml", NEW, "<odoo><record id=\"r\" model=\"ir.rule\"><field name=\"name\">R</field></record></odoo>")],
    ),
    losing(
        "a group is made up",
        &[Right],
        &[("s.xml", NEW, "<odoo><record id=\"group_x\" model=\"res.groups\"><field name=\"name\">X</field></record></odoo>")],
    ),
];

const OTHER: &[Case] = &[
    losing(
        "a file that is there leaves the manifest",
        &[Manifest],
        &[
            (
                "__manifest__.py",
                "{'name': 'M', 'depends': ['base'], 'data': ['a.xml', 'b.xml']}",
                "{'name': 'M', 'depends': ['base'], 'data': ['a.xml']}",
            ),
            ("a.xml", "<odoo/>", "<odoo></odoo>"),
            ("b.xml", "<odoo/>", "<odoo></odoo>"),
        ],
    ),
    losing(
        "a file is commented out in the manifest",
        &[Manifest],
        &[
            (
                "__manifest__.py",
                "{'name': 'M', 'depends': ['base'], 'data': ['a.xml',\n 'b.xml',\n]}",
                "{'name': 'M', 'depends': ['base'], 'data': ['a.xml',\n # 'b.xml',\n]}",
            ),
            ("a.xml", "<odoo/>", "<odoo></odoo>"),
            ("b.xml", "<odoo/>", "<odoo></odoo>"),
        ],
    ),
    losing(
        "a dependency that exists",
        &[Manifest],
        &[("__manifest__.py", "{'name': 'M', 'depends': ['base', 'mail']}", "{'name': 'M', 'depends': ['base']}")],
    ),
    losing(
        "an asset that is there",
        &[Manifest],
        &[
            ("__manifest__.py", "{'name': 'M', 'assets': {'web.assets_backend': ['m/static/src/a.js']}}", "{'name': 'M', 'assets': {}}"),
            ("static/src/a.js", "x = 1;", "x = 1;\n"),
        ],
    ),
    losing("a hook", &[Manifest], &[("__manifest__.py", "{'name': 'M', 'post_init_hook': 'hook'}", "{'name': 'M'}")]),
    losing(
        "not installable",
        &[Manifest],
        &[("__manifest__.py", "{'name': 'M', 'installable': True}", "{'name': 'M', 'installable': False}")],
    ),
    losing(
        "a translation of a file",
        &[Translation],
        &[("i18n/de.po", "msgid \"Name\"\nmsgstr \"Name\"\n\nmsgid \"Open\"\nmsgstr \"Offen\"\n", "msgid \"Name\"\nmsgstr \"Name\"\n")],
    ),
    losing(
        "a line of a script",
        &[Behaviour],
        &[(
            "static/src/a.js",
            "setup() {\n    this.orm = useService('orm');\n    onWillStart(() => this.load());\n}\n",
            "setup() {\n    this.orm = useService('orm');\n}\n",
        )],
    ),
    losing(
        "a line of a style",
        &[Behaviour],
        &[("static/src/a.scss", ".a {\n    border-color: $edge;\n    color: red;\n}\n", ".a {\n    color: red;\n}\n")],
    ),
];

#[test]
fn losses_of_data_are_found() {
    hold(XML);
}

#[test]
fn losses_of_other_files_are_found() {
    hold(OTHER);
}
