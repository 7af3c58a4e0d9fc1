//! Any exception raised in an addon while it was loaded, run or tested: the recognisers are reached without luck.
#![no_main]

#[path = "../../src/domain/mod.rs"]
#[allow(dead_code, unused_imports, missing_docs)]
mod domain;
#[path = "../../src/odoo/mod.rs"]
#[allow(dead_code, unused_imports, missing_docs)]
mod odoo;

const FRAMES: [&str; 4] = [
    "  File \"/opt/custom/shop/models/a.py\", line 3, in write\n    self._fields[name]\n",
    "  File \"/usr/lib/python3/dist-packages/odoo/modules/loading.py\", line 9, in load_module_graph\n    getattr(py_module, post_init)(env)\n",
    "  File \"/usr/lib/python3/dist-packages/odoo/tools/convert.py\", line 9, in _tag_record\n    x\n",
    "  File \"/mnt/extra/shop/tests/test_a.py\", line 9, in test_x\n    self.env[\"a_b.c\"].commit()\n",
];
const LOGGERS: [&str; 4] = ["odoo.http: ", "odoo.service.server: ", "odoo.addons.shop.tests.test_a: FAIL: A.test_x", "odoo.sql_db: bad query: "];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let [choice, rest @ ..] = bytes else { return };
    let said = String::from_utf8_lossy(rest);
    let (frame, logger) = (FRAMES[usize::from(choice & 3)], LOGGERS[usize::from(choice >> 2 & 3)]);
    let text = format!("2026-01-31 12:00:00,123 7 ERROR shop {logger}\nTraceback (most recent call last):\n{frame}{said}\n");
    for report in odoo::reports(&text) {
        assert!(report.text.len() <= 48 * 1024 && report.title.len() <= 200);
        assert!(report.subclass.is_none_or(|sub| report.class.subclasses().contains(&sub.as_str())));
        // What is stored can be read again.
        odoo::reports(&report.text);
    }
});
