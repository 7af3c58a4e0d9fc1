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

/// One error as a server logs it at run time, of a class that nothing recognises: every recogniser has to look at it.
const UNKNOWN: &str = "2026-11-20 09:14:02,201 4127 ERROR shop odoo.http: Exception during request handling. \n\
Traceback (most recent call last):\n  \
File \"/opt/odoo/odoo/http.py\", line 2328, in _serve_ir_http\n    response = self.dispatcher.dispatch(rule.endpoint, args)\n  \
File \"/opt/odoo/odoo/http.py\", line 788, in route_wrapper\n    result = endpoint(self, *args, **params_ok)\n  \
File \"/mnt/addons/workshop_order/controllers/portal.py\", line 41, in order_page\n    order = self._order(token)\n  \
File \"/mnt/addons/workshop_order/models/order.py\", line 118, in _order\n    return self.env[\"workshop.order\"]._from_token(token)\n  \
File \"/mnt/addons/workshop_order/models/order.py\", line 97, in _from_token\n    raise TokenRefused(f\"the token of {name} is refused\")\n\
odoo.addons.workshop_order.models.order.TokenRefused: the token of customer_0 is refused at 2026-11-20 09:14:02, see https://example.com/orders\n";

/// One core: entries, tracebacks, classes, fingerprints. A log that repeats one error is read faster than one in which each has a text of
/// its own, so both are measured; with a name of its own each is another error too.
pub fn read(sample: &Sample) {
    measure("the same error again", &sample.log.repeat(LOG_BYTES / sample.log.len().max(1)));
    for (what, log, word) in [
        ("every text its own, one error", sample.log.as_str(), "Allowed types are"),
        ("every text its own, every error its own", sample.log.as_str(), "workshop_order_view_list"),
        ("every text its own, of no class that is known", UNKNOWN, "customer_0"),
    ] {
        measure(what, &varied(log, word));
    }
}

/// The log over and over, with a number behind `word`: no two errors have the same text.
fn varied(log: &str, word: &str) -> String {
    let mut text = String::with_capacity(LOG_BYTES + log.len());
    for number in 0_u32.. {
        if text.len() >= LOG_BYTES {
            break;
        }
        text.push_str(&log.replace(word, &format!("{word}{number}")));
    }
    text
}

fn measure(what: &str, log: &str) {
    let (started, before) = (Instant::now(), on_processor());
    let found = odoo::occurrences(log);
    let seconds = before.zip(on_processor()).map_or_else(|| started.elapsed().as_secs_f64(), |(before, after)| after - before);
    let rate = log.len() as f64 / seconds / 1e6;
    let errors: u32 = found.iter().map(|(_, times)| times).sum();
    show::out(&format!("| reading a log, one core: {what} | {rate:.0} MB/s ({errors} errors in {} MB) |", log.len() / 1_000_000));
}

/// Seconds that this thread had a processor to itself, where the system tells: what else runs on the machine does not count.
pub fn on_processor() -> Option<f64> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    told.split_whitespace().next()?.parse::<f64>().ok().map(|nanoseconds| nanoseconds / 1e9)
}
