//! A job as a message: a CloudEvents 1.0 event in structured JSON, which any program may publish.

use chrono::{SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::masked::masked_json;
use crate::domain::{InvalidId, Job, JobKind, RunId, TenantId};

/// The largest message that is read: what our own nats-server takes.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;
/// The content type of a message.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";
const SOURCE: &str = "odoo-agent";

/// Why a message is not a job.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// The message is too large to be looked at.
    #[error("the message has {0} bytes; at most 8 MiB are read")]
    TooLarge(usize),
    /// The subject is not `jobs.<kind>.<tenant>`.
    #[error("the subject {0:?} is not jobs.<kind>.<tenant>")]
    Subject(String),
    /// The tenant in the subject is not valid.
    #[error(transparent)]
    Tenant(#[from] InvalidId),
    /// The message is no CloudEvents event.
    #[error("the message is no CloudEvents event in JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// An attribute has a value that it must not have.
    #[error("{attribute} is {found:?}, but must be {expected}")]
    Attribute {
        /// Its name.
        attribute: &'static str,
        /// Its value, cut short.
        found: String,
        /// What it must be.
        expected: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Event {
    specversion: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    type_: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    datacontenttype: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenantid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    #[serde(default)]
    data: Value,
}

/// The `type` of the events of a kind of job.
fn event_type(kind: JobKind) -> String {
    format!("odoo.job.{kind}.v1")
}

/// The job as a message.
pub fn encode(job: &Job, traceparent: Option<&str>) -> Result<Vec<u8>, EnvelopeError> {
    let event = Event {
        specversion: "1.0".to_owned(),
        id: job.run_id.to_string(),
        source: SOURCE.to_owned(),
        type_: event_type(job.kind),
        time: Some(Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)),
        datacontenttype: Some("application/json".to_owned()),
        tenantid: Some(job.tenant.to_string()),
        traceparent: traceparent.filter(|text| is_traceparent(text)).map(str::to_owned),
        data: masked_json(&job.payload)?,
    };
    let bytes = serde_json::to_vec(&event)?;
    if bytes.len() > MAX_BYTES { Err(EnvelopeError::TooLarge(bytes.len())) } else { Ok(bytes) }
}

/// The job in a message, and the trace that it belongs to. Who asks and for what is told by the subject alone, on which a
/// server can restrict a publisher; what the message says must agree with it.
pub fn decode(subject: &str, bytes: &[u8]) -> Result<(Job, Option<String>), EnvelopeError> {
    let (kind, tenant) = parse_subject(subject)?;
    if bytes.len() > MAX_BYTES {
        return Err(EnvelopeError::TooLarge(bytes.len()));
    }
    let event: Event = serde_json::from_slice(bytes)?;
    expect("specversion", &event.specversion, "1.0")?;
    expect("type", &event.type_, &event_type(kind))?;
    if let Some(stated) = &event.tenantid {
        expect("tenantid", stated, tenant.as_str())?;
    }
    if event.source.is_empty() {
        return Err(wrong("source", &event.source, "a non-empty text"));
    }
    if let Some(found) = event.datacontenttype.as_deref().filter(|found| !is_json(found)) {
        return Err(wrong("datacontenttype", found, "application/json"));
    }
    if !event.data.is_object() {
        return Err(wrong("data", &event.data.to_string(), "a JSON object"));
    }
    let run_id: RunId = event.id.parse().map_err(|_| wrong("id", &event.id, "a UUID: the id of the run"))?;
    Ok((Job { run_id, tenant, kind, payload: event.data }, event.traceparent.filter(|text| is_traceparent(text))))
}

fn parse_subject(subject: &str) -> Result<(JobKind, TenantId), EnvelopeError> {
    let bad = || EnvelopeError::Subject(short(subject));
    let mut parts = subject.split('.');
    let (Some("jobs"), Some(kind), Some(tenant), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(bad());
    };
    Ok((kind.parse().map_err(|_| bad())?, tenant.parse()?))
}

fn expect(attribute: &'static str, found: &str, expected: &str) -> Result<(), EnvelopeError> {
    if found == expected { Ok(()) } else { Err(wrong(attribute, found, expected)) }
}

fn wrong(attribute: &'static str, found: &str, expected: &str) -> EnvelopeError {
    EnvelopeError::Attribute { attribute, found: short(found), expected: expected.to_owned() }
}

/// A hostile value must not flood a log line.
fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json") || kind.ends_with("+json")
}

/// The form of a W3C `traceparent`: `00-<32 hex>-<16 hex>-<2 hex>`.
fn is_traceparent(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([2, 32, 16, 2]) && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const SUBJECT: &str = "jobs.debug_error.acme";
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn job() -> Job {
        Job {
            run_id: RunId::generate(),
            tenant: "acme".parse().unwrap(),
            kind: JobKind::DebugError,
            payload: json!({"log": "Traceback…\n", "apply": false}),
        }
    }

    fn changed(change: impl FnOnce(&mut Value)) -> Result<(Job, Option<String>), EnvelopeError> {
        let mut event: Value = serde_json::from_slice(&encode(&job(), None).unwrap()).unwrap();
        change(&mut event);
        decode(SUBJECT, event.to_string().as_bytes())
    }

    #[test]
    fn job_survives_its_round_trip() {
        let job = job();
        let bytes = encode(&job, Some(PARENT)).unwrap();
        let event: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(event["type"], "odoo.job.debug_error.v1");
        assert_eq!(event["id"], job.run_id.to_string());
        assert_eq!(decode(SUBJECT, &bytes).unwrap(), (job, Some(PARENT.to_owned())));
    }

    #[test]
    fn foreign_publisher_may_say_little_or_much() {
        let run = RunId::generate();
        let little = json!({"specversion": "1.0", "id": run, "source": "/erp", "type": "odoo.job.debug_error.v1", "data": {"log": "x"}});
        assert_eq!(decode(SUBJECT, little.to_string().as_bytes()).unwrap().0.run_id, run);
        assert!(changed(|event| event["somefutureattribute"] = json!({"a": [1]})).is_ok());
        assert!(changed(|event| event["datacontenttype"] = json!("application/json; charset=utf-8")).is_ok());
    }

    #[test]
    fn subject_and_message_must_agree() {
        assert!(matches!(
            changed(|event| event["tenantid"] = json!("globex")),
            Err(EnvelopeError::Attribute { attribute: "tenantid", .. })
        ));
        for other in ["odoo.job.backup.v1", "odoo.job.debug_error.v2", ""] {
            assert!(matches!(changed(|event| event["type"] = json!(other)), Err(EnvelopeError::Attribute { attribute: "type", .. })));
        }
        let bytes = encode(&job(), None).unwrap();
        for subject in ["jobs.rm_rf.acme", "jobs.debug_error", "jobs.debug_error.acme.x", "dead.debug_error.acme", "", "jobs.*.acme"] {
            assert!(matches!(decode(subject, &bytes), Err(EnvelopeError::Subject(_))), "{subject}");
        }
        assert!(matches!(decode("jobs.debug_error.ACME", &bytes), Err(EnvelopeError::Tenant(_))));
        assert!(matches!(decode("jobs.debug_error.globex", &bytes), Err(EnvelopeError::Attribute { attribute: "tenantid", .. })));
    }

    #[test]
    fn wrong_attributes_are_named() {
        for (name, value) in [
            ("specversion", json!("0.3")),
            ("id", json!("42")),
            ("source", json!("")),
            ("data", json!("text")),
            ("data", json!(null)),
            ("datacontenttype", json!("text/xml")),
        ] {
            let error = changed(|event| event[name] = value.clone()).unwrap_err();
            assert!(matches!(error, EnvelopeError::Attribute { attribute, .. } if attribute == name), "{name}: {error}");
        }
        assert!(matches!(changed(|event| event["id"] = json!(7)), Err(EnvelopeError::Json(_))));
    }

    #[test]
    fn wrong_trace_is_dropped() {
        let too_long = "f".repeat(9000);
        for bad in ["", "00-1-2-3", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", too_long.as_str()] {
            assert_eq!(changed(|event| event["traceparent"] = json!(bad)).unwrap().1, None, "{bad}");
        }
    }

    #[test]
    fn size_has_a_limit() {
        let huge = Job { payload: json!({"log": "x".repeat(MAX_BYTES)}), ..job() };
        assert!(matches!(encode(&huge, None), Err(EnvelopeError::TooLarge(_))));
        assert!(matches!(decode(SUBJECT, &vec![b' '; MAX_BYTES + 1]), Err(EnvelopeError::TooLarge(_))));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(decode(SUBJECT, deep.as_bytes()), Err(EnvelopeError::Json(_))));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(subject in ".{0,60}", bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(decode(&subject, &bytes).is_err());
            prop_assert!(decode(SUBJECT, &bytes).is_err());
        }

        #[test]
        fn cut_message_is_refused(at in 0usize..300) {
            let bytes = encode(&job(), Some(PARENT)).unwrap();
            prop_assume!(at < bytes.len());
            prop_assert!(decode(SUBJECT, &bytes[..at]).is_err());
        }
    }
}
