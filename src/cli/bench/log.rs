//! How fast a log is read, and the sample that it is made of.

use std::time::Instant;

use super::show;
use crate::domain::{JobKind, ModuleName, PatchError};
use crate::odoo::{self, Addon};

/// How much log is read for the throughput.
const LOG_BYTES: usize = 16 * 1024 * 1024;

/// The example of the job kind: a log, and an addon that prints it.
pub struct Sample {
    pub log: String,
    pub addon: Addon,
}

pub fn sample() -> anyhow::Result<Sample> {
    let example: serde_json::Value = serde_json::from_str(JobKind::DebugError.example())?;
    let module: ModuleName = example["module"].as_str().unwrap_or_default().parse()?;
    let manifest =
        format!("{{'name': '{module}', 'version': '19.0.1.0.0', 'license': 'LGPL-3', 'depends': ['base'], 'data': ['v.xml']}}\n");
    let view = "<odoo>\n  <record id=\"v\" model=\"ir.ui.view\">\n    <field name=\"name\">v</field>\n    <field name=\"model\">res.partner</field>\n    \
                <field name=\"arch\" type=\"xml\"><tree><field name=\"name\"/></tree></field>\n  </record>\n</odoo>\n";
    let files = [("__init__.py", String::new()), ("__manifest__.py", manifest), ("v.xml", view.to_owned())];
    let files = files.into_iter().map(|(name, text)| Ok((format!("{module}/{name}").parse()?, text.into_bytes())));
    let files: Result<Vec<_>, PatchError> = files.collect();
    Ok(Sample { log: example["log"].as_str().unwrap_or_default().to_owned(), addon: Addon::new(module, files?) })
}

/// One core: entries, tracebacks, classes, fingerprints.
pub fn read(sample: &Sample) {
    let log = sample.log.repeat(LOG_BYTES / sample.log.len().max(1));
    let started = Instant::now();
    let found = odoo::occurrences(&log);
    let rate = log.len() as f64 / started.elapsed().as_secs_f64() / 1e6;
    let errors: u32 = found.iter().map(|(_, times)| times).sum();
    show::out(&format!("| reading a log, one core | {rate:.0} MB/s ({errors} errors in {} MB) |", log.len() / 1_000_000));
}
