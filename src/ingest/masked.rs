//! Secrets out of what is about to be stored.

use serde_json::Value;

use crate::odoo;

/// Returns the payload of a job with the secrets in all its texts masked, so that no row and no message holds them.
pub fn masked(mut payload: Value) -> Value {
    odoo::mask_json(&mut payload);
    payload
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secret_in_any_text_is_not_stored() {
        let payload = masked(json!({
            "log": "connecting to postgres://odoo:hunter22@db/prod", "module": "m", "text": "why does token=hunter22x fail",
            "report": { "chain": [{ "message": "password=hunter22", "frames": [{ "source": "login(password='hunter22')" }] }] },
        }));
        assert!(!payload.to_string().contains("hunter22"), "{payload}");
        assert_eq!(payload["module"], "m");
        assert_eq!(masked(payload.clone()), payload);
    }
}
