//! Any bytes as a log: read without a panic, and everything that comes out is bounded.
#![no_main]

#[path = "../../src/domain/mod.rs"]
#[allow(dead_code, unused_imports, missing_docs)]
mod domain;
#[path = "../../src/odoo/mod.rs"]
#[allow(dead_code, unused_imports, missing_docs)]
mod odoo;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    for (report, count) in odoo::occurrences(&text) {
        assert!(count > 0 && report.text.len() <= 48 * 1024 && report.title.len() <= 200);
        assert!(report.subclass.is_none_or(|sub| report.class.subclasses().contains(&sub.as_str())));
    }
    odoo::TestLog::read(&text);
});
