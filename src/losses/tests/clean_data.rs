//! Patches of data files that lose nothing.

use super::{Case, clean, hold};

const XML: &[Case] = &[
    clean(
        "tree becomes list",
        &[(
            "v.xml",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"name\">v.tree</field><field name=\"model\">res.partner</field><field name=\"arch\" type=\"xml\"><tree string=\"X\"><field name=\"name\"/></tree></field></record><record id=\"a\" model=\"ir.actions.act_window\"><field name=\"view_mode\">tree,form</field></record></odoo>",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"name\">v.list</field><field name=\"model\">res.partner</field><field name=\"arch\" type=\"xml\"><list string=\"X\"><field name=\"name\"/></list></field></record><record id=\"a\" model=\"ir.actions.act_window\"><field name=\"view_mode\">list,form</field></record></odoo>",
        )],
    ),
    clean(
        "attrs become expressions",
        &[(
            "v.xml",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"model\">res.partner</field><field name=\"arch\" type=\"xml\"><form><field name=\"name\" attrs=\"{'invisible': [('ref', '=', False)], 'required': ['|', ('email', '!=', False), ('phone', '=', 'x')]}\"/><button name=\"action_open\" type=\"object\" states=\"draft,sent\"/></form></field></record></odoo>",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"model\">res.partner</field><field name=\"arch\" type=\"xml\"><form><field name=\"name\" invisible=\"not ref\" required=\"email or phone == 'x'\"/><button name=\"action_open\" type=\"object\" invisible=\"state not in ('draft', 'sent')\"/></form></field></record></odoo>",
        )],
    ),
    clean(
        "expand and string of search groups",
        &[(
            "v.xml",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\"><search><group expand=\"0\" string=\"Group By\"><filter name=\"g\" string=\"G\" context=\"{'group_by': 'name'}\"/></group></search></field></record></odoo>",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\"><search><group><filter name=\"g\" string=\"G\" context=\"{'group_by':'name'}\"/></group></search></field></record></odoo>",
        )],
    ),
    clean(
        "a misspelt field of a view",
        &[(
            "v.xml",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"model\">sale.order</field><field name=\"arch\" type=\"xml\"><form><field name=\"sate\"/></form></field></record></odoo>",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"model\">sale.order</field><field name=\"arch\" type=\"xml\"><form><field name=\"state\"/></form></field></record></odoo>",
        )],
    ),
    clean(
        "a button with the method's new name",
        &[(
            "v.xml",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"model\">sale.order</field><field name=\"arch\" type=\"xml\"><form><button name=\"action_done\" type=\"object\" string=\"Lock\"/></form></field></record></odoo>",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"model\">sale.order</field><field name=\"arch\" type=\"xml\"><form><button name=\"action_lock\" type=\"object\" string=\"Lock\"/></form></field></record></odoo>",
        )],
    ),
    clean(
        "an anchor",
        &[(
            "v.xml",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\"><page name=\"sales_and_purchases\" position=\"after\"><page name=\"x\" string=\"X\"/></page><xpath expr=\"//div[hasclass('oe_chatter')]\" position=\"before\"><field name=\"ref\"/></xpath></field></record></odoo>",
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\"><page name=\"sales_purchases\" position=\"after\"><page name=\"x\" string=\"X\"/></page><xpath expr=\"//chatter\" position=\"before\"><field name=\"ref\"/></xpath></field></record></odoo>",
        )],
    ),
    clean(
        "a misspelt external id",
        &[(
            "v.xml",
            "<odoo><menuitem id=\"a\" name=\"A\" parent=\"base.menu_administraton\" groups=\"base.group_usr\"/></odoo>",
            "<odoo><menuitem id=\"a\" name=\"A\" parent=\"base.menu_administration\" groups=\"base.group_user\"/></odoo>",
        )],
    ),
    clean(
        "an ampersand",
        &[(
            "v.xml",
            "<odoo><record id=\"r\" model=\"res.partner\"><field name=\"name\">a & b</field></record></odoo>",
            "<odoo><record id=\"r\" model=\"res.partner\"><field name=\"name\">a &amp; b</field></record></odoo>",
        )],
    ),
    clean(
        "a tag that was not closed",
        &[(
            "v.xml",
            "<odoo><record id=\"r\" model=\"res.partner\"><field name=\"name\">a</record></odoo>",
            "<odoo><record id=\"r\" model=\"res.partner\"><field name=\"name\">a</field></record></odoo>",
        )],
    ),
    clean(
        "a misspelt tag",
        &[(
            "v.xml",
            "<odoo><record id=\"r\" model=\"res.partner\"><fild name=\"name\">a</fild></record></odoo>",
            "<odoo><record id=\"r\" model=\"res.partner\"><field name=\"name\">a</field></record></odoo>",
        )],
    ),
    clean(
        "a declaration",
        &[(
            "v.xml",
            "<?xml version=\"1.0\" encoding=\"latin-1\"?>\n<odoo><record id=\"r\" model=\"res.partner\"><field name=\"name\">a</field></record></odoo>",
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<odoo><record id=\"r\" model=\"res.partner\"><field name=\"name\">a</field></record></odoo>",
        )],
    ),
    clean(
        "a required value of a record",
        &[(
            "v.xml",
            "<odoo><record id=\"r\" model=\"res.partner.category\"><field name=\"color\">1</field></record></odoo>",
            "<odoo><record id=\"r\" model=\"res.partner.category\"><field name=\"color\">1</field><field name=\"name\">R</field></record></odoo>",
        )],
    ),
    clean(
        "a misspelt field of a record",
        &[(
            "v.xml",
            "<odoo><record id=\"r\" model=\"res.partner\"><field name=\"emial\">a</field></record></odoo>",
            "<odoo><record id=\"r\" model=\"res.partner\"><field name=\"email\">a</field></record></odoo>",
        )],
    ),
    clean(
        "what a cron no longer has",
        &[(
            "v.xml",
            "<odoo><record id=\"c\" model=\"ir.cron\"><field name=\"name\">C</field><field name=\"numbercall\">-1</field><field name=\"doall\" eval=\"False\"/></record></odoo>",
            "<odoo><record id=\"c\" model=\"ir.cron\"><field name=\"name\">C</field></record></odoo>",
        )],
    ),
    clean(
        "t-esc becomes t-out",
        &[(
            "v.xml",
            "<odoo><template id=\"t\"><span t-esc=\"o.name\"/></template></odoo>",
            "<odoo><template id=\"t\"><span t-out=\"o.name\"/></template></odoo>",
        )],
    ),
    clean(
        "groups of a menu",
        &[(
            "v.xml",
            "<odoo><record id=\"m\" model=\"ir.ui.menu\"><field name=\"name\">M</field><field name=\"groups_id\" eval=\"[(4, ref('base.group_user'))]\"/></record></odoo>",
            "<odoo><record id=\"m\" model=\"ir.ui.menu\"><field name=\"name\">M</field><field name=\"group_ids\" eval=\"[(4, ref('base.group_user'))]\"/></record></odoo>",
        )],
    ),
    clean(
        "a misspelt field of a template",
        &[(
            "v.xml",
            "<odoo><template id=\"t\"><span t-out=\"doc.colour\"/></template></odoo>",
            "<odoo><template id=\"t\"><span t-out=\"doc.color\"/></template></odoo>",
        )],
    ),
    clean(
        "a row of another model's id",
        &[(
            "security/ir.model.access.csv",
            "id,name,model_id:id,group_id:id,perm_read,perm_write,perm_create,perm_unlink\na,a,model_res_partnr,base.group_user,1,0,0,0\n",
            "id,name,model_id:id,group_id:id,perm_read,perm_write,perm_create,perm_unlink\na,a,model_res_partner,base.group_user,1,0,0,0\n",
        )],
    ),
];

#[test]
fn fixes_of_data_lose_nothing() {
    hold(XML);
}
