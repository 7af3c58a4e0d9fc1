//! Reports that came from outside, under the names that they have earned.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain::ErrorReport;
use crate::odoo;

/// The payload of a job with the fingerprint of its report recomputed: a fingerprint that somebody made up would be a group, a past fix or a
/// success of its own.
pub fn recompute_fingerprint(mut payload: Value) -> Value {
    if let Ok(report) = ErrorReport::deserialize(&payload["report"]) {
        payload["report"]["fingerprint"] = json!(odoo::recompute_fingerprint(&report));
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_fingerprint_is_not_kept() {
        let report = odoo::reports(include_str!("../../tests/fixtures/logs/p_tree.log")).remove(0);
        let sent = |fingerprint: &str| {
            let mut payload = json!({ "report": report, "module": "p_tree" });
            payload["report"]["fingerprint"] = json!(fingerprint);
            recompute_fingerprint(payload)
        };
        for n in 0..11 {
            assert_eq!(sent(&format!("{n:032x}")), sent(report.fingerprint.as_str()));
        }
        assert_eq!(sent(&"0".repeat(32))["report"]["fingerprint"], report.fingerprint.as_str());
    }

    #[test]
    fn payload_without_a_report_is_left_alone() {
        for payload in [json!({ "log": "x" }), json!({ "report": { "fingerprint": "x" } }), json!([]), json!(null)] {
            assert_eq!(recompute_fingerprint(payload.clone()), payload);
        }
    }
}
