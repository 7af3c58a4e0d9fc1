//! Secrets out of what is about to be stored.

use serde_json::Value;

use crate::odoo;

/// The payload of a job with the secrets in its log masked, so that no row and no message holds them.
pub fn masked(mut payload: Value) -> Value {
    if let Some(Value::String(log)) = payload.get_mut("log") {
        *log = odoo::mask(log).into_owned();
    }
    payload
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secret_in_a_log_is_not_stored() {
        let payload = masked(json!({ "log": "connecting to postgres://odoo:hunter22@db/prod", "module": "m" }));
        assert!(!payload.to_string().contains("hunter22"), "{payload}");
        assert_eq!(payload["module"], "m");
        assert_eq!(masked(json!({ "report": {} })), json!({ "report": {} }));
    }
}
