//! Tickets as texts to be found: what an error was, where it was looked for, and what a person says mended it. What a person said is known
//! as soon as it is said; the rest comes with the daily run.

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::chunk::{Kind, Zone};
use super::store::{DocType, Entry, put};
use super::{errors, fixes};
use crate::db::{DbError, TenantTx};
use crate::domain::{ErrorReport, Fingerprint, ModuleName, OdooVersion, TicketId};
use crate::odoo;

/// The version of how tickets are made into texts.
const TICKETS: u32 = 3;
/// The characters of a ticket without an error that are embedded.
const MAX_CARD: usize = 400;

/// Keeps what a ticket says by now. `false`: this tenant has no such ticket.
pub async fn keep_ticket(tx: &mut TenantTx, ticket: TicketId) -> Result<bool, DbError> {
    Ok(keep(tx, &[ticket.0]).await? == 1)
}

/// The tickets that are not kept as they are by now.
pub(super) async fn stale(tx: &mut TenantTx) -> Result<Vec<Uuid>, DbError> {
    let rows = sqlx::query!(
        r#"select t.id from tickets t
            where not exists (select from tenant_knowledge k
                               where k.doc_type = 'tickets' and k.source_id is null and k.ref = t.id::text
                                 and k.made_by ->> 'tickets' = $1 and k.made_by ->> 'state' = t.state
                                 and k.made_by ->> 'said' is not distinct from case when t.resolution is not null then
                                         encode(sha256(convert_to(jsonb_build_array(t.resolution, t.correction)::text, 'UTF8')), 'hex') end)
            order by t.created_at"#,
        TICKETS.to_string(),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Keeps what these tickets say by now; says how many there are. They are held until the end of the transaction, so that nobody says more to
/// one meanwhile, which would be written over.
pub(super) async fn keep(tx: &mut TenantTx, tickets: &[Uuid]) -> Result<u64, DbError> {
    let rows = sqlx::query_as!(
        Ticket,
        "select id, title, body, evidence, patch, state, resolution, correction, case when resolution is not null then
                    encode(sha256(convert_to(jsonb_build_array(resolution, correction)::text, 'UTF8')), 'hex') end as said
           from tickets where id = any($1) order by id for update",
        tickets,
    )
    .fetch_all(tx.conn())
    .await?;
    let kept = rows.len() as u64;
    for ticket in rows {
        let error = Error::of(&ticket.evidence);
        let fingerprint = error.as_ref().and_then(|error| error.fingerprint.clone());
        let entry = ticket.entry(error);
        put(tx, &entry).await?;
        if let Some(fingerprint) = fingerprint {
            sqlx::query!(
                "update tenant_knowledge set fingerprint = $2 where source_id is null and doc_type = 'tickets' and ref = $1",
                entry.r#ref,
                fingerprint.as_str(),
            )
            .execute(tx.conn())
            .await?;
        }
    }
    Ok(kept)
}

struct Ticket {
    id: Uuid,
    title: String,
    body: String,
    evidence: Value,
    patch: Option<String>,
    state: String,
    resolution: Option<String>,
    correction: Option<String>,
    /// The hash of both.
    said: Option<String>,
}

/// The error that a ticket is about, as past fixes have theirs.
struct Error {
    text: String,
    fingerprint: Option<Fingerprint>,
    module: Option<ModuleName>,
    version: Option<OdooVersion>,
}

impl Error {
    fn of(evidence: &Value) -> Option<Self> {
        let payload = &evidence["payload"];
        let read = [&evidence["report"], &payload["report"], &evidence["error"]];
        let found = match read.into_iter().find_map(Self::read) {
            Some(found) => found,
            // The run was given up before its log was read.
            None => Self::told(&asked_about(payload)?),
        };
        // The series that it was looked at in goes before the one that it was to be looked at in, and both before what the log names; the
        // addon that was asked for before the one that the log names.
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        let version = [&evidence["odoo_version"], &payload["odoo_version"]].into_iter().find_map(|version| text(version)?.parse().ok());
        let module = text(&payload["module"]).and_then(|module| module.parse().ok());
        Some(Self { version: version.or(found.version), module: module.or(found.module), ..found })
    }

    fn told(report: &ErrorReport) -> Self {
        Self {
            // A report of a run that was given up is as it came from outside.
            text: odoo::mask(&fixes::text_of(report)).into_owned(),
            fingerprint: Some(report.fingerprint.clone()),
            module: report.module.clone(),
            version: report.odoo_version.clone(),
        }
    }

    /// A report, or as much of one as there is: older tickets have only its head.
    fn read(report: &Value) -> Option<Self> {
        if let Ok(report) = ErrorReport::deserialize(report) {
            return Some(Self::told(&report));
        }
        let text = |key: &str| report[key].as_str().unwrap_or_default();
        let title = report["title"].as_str()?;
        Some(Self {
            text: format!("{} {title}", text("class")).trim().to_owned(),
            fingerprint: text("fingerprint").parse().ok(),
            module: text("module").parse().ok(),
            version: text("odoo_version").parse().ok(),
        })
    }
}

/// The error of a log that a job was to look at: the one it names, else the first of the addon it names, else the first.
fn asked_about(payload: &Value) -> Option<ErrorReport> {
    let mut reports = odoo::reports(payload["log"].as_str()?);
    let at = match (payload["fingerprint"].as_str(), payload["module"].as_str()) {
        (Some(wanted), _) => reports.iter().position(|report| report.fingerprint.as_str() == wanted)?,
        (None, Some(module)) => {
            reports.iter().position(|report| report.module.as_ref().is_some_and(|of| of.as_str() == module)).unwrap_or(0)
        }
        (None, None) => 0,
    };
    (at < reports.len()).then(|| reports.swap_remove(at))
}

impl Ticket {
    fn entry(self, error: Option<Error>) -> Entry {
        let module = error.as_ref().and_then(|error| error.module.clone());
        let title = || self.title.chars().take(MAX_CARD).collect();
        let (mut zones, card) = match &error {
            Some(error) => (errors::zones(&error.text, ""), errors::card(&error.text)),
            None => (vec![(Zone::Name, self.title.clone())], title()),
        };
        zones.push((Zone::Prose, format!("{}\n{}", self.title, self.resolution.as_deref().unwrap_or_default())));
        zones.push((Zone::Body, self.body.clone()));
        zones.push((Zone::Context, module.as_ref().map(ToString::to_string).unwrap_or_default()));
        Entry {
            doc_type: DocType::Tickets,
            kind: Kind::Ticket,
            r#ref: self.id.to_string(),
            module,
            version: error.as_ref().and_then(|error| error.version.clone()),
            content: self.shown(),
            zones,
            // A ticket may say nothing that can be compared by what it means.
            card: Some(if card.trim().is_empty() { title() } else { card }),
            quality: self.quality(),
            made_by: json!({
                "tickets": TICKETS,
                "state": self.state,
                "said": self.said,
                "cause": self.cause(error.as_ref()),
                "class": error.as_ref().and_then(|error| errors::class_of(&error.text)),
            }),
            title: self.title,
        }
    }

    /// The same change mends the same cause, and so does what is said in the same words.
    fn cause(&self, error: Option<&Error>) -> Option<String> {
        let mended = self.correction.as_deref().or(self.resolution.as_deref()).or(self.patch.as_deref());
        let hash = |text: &str| blake3::hash(text.as_bytes()).to_hex()[..16].to_owned();
        mended.map(hash).or_else(|| Some(error?.fingerprint.as_ref()?.to_string()))
    }

    /// What a person says goes before everything.
    fn quality(&self) -> f32 {
        match (&self.resolution, self.state.as_str()) {
            (Some(_), _) => 1.0,
            (None, "closed") => 0.7,
            (None, _) => 0.4,
        }
    }

    fn shown(&self) -> String {
        let mut parts = vec![self.title.clone()];
        parts.extend(self.resolution.as_ref().map(|said| format!("A person says what mended it: {said}")));
        parts.extend(self.correction.as_ref().map(|diff| format!("The correction:\n\n{}", diff.trim_end())));
        parts.push(self.body.clone());
        parts.extend(self.patch.clone());
        parts.join("\n\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINGERPRINT: &str = "0123456789abcdef0123456789abcdef";
    const LOG: &str = "2026-11-22 18:58:03,295 56 ERROR live odoo.http: Exception during request handling.\n\
                       Traceback (most recent call last):\n  File \"/opt/custom/shop/models/order.py\", line 40, in confirm\n\
                       \u{20}   self._check(values['qty'])\nKeyError: 'qty'\n";

    fn ticket(evidence: Value) -> Ticket {
        Ticket {
            id: Uuid::nil(),
            title: "[shop] No fix".to_owned(),
            body: "Look at the order.".to_owned(),
            evidence,
            patch: Some("--- a".to_owned()),
            state: "open".to_owned(),
            resolution: None,
            correction: None,
            said: None,
        }
    }

    fn resolved(evidence: Value) -> Ticket {
        let said = Some("abc".to_owned());
        Ticket { state: "closed".to_owned(), resolution: Some("Ask for qty.".to_owned()), said, ..ticket(evidence) }
    }

    fn entry(ticket: Ticket) -> Entry {
        let error = Error::of(&ticket.evidence);
        ticket.entry(error)
    }

    fn words(entry: &Entry, zone: Zone) -> String {
        entry.zones.iter().filter(|(name, _)| *name == zone).map(|(_, text)| format!("{text}\n")).collect()
    }

    #[test]
    fn ticket_says_its_error_as_a_fix_does() {
        let report = odoo::reports(LOG).remove(0);
        let text = fixes::text_of(&report);
        let whole = json!({ "report": report, "odoo_version": "18.0" });
        let given_up = [json!({ "payload": { "report": report } }), json!({ "payload": { "log": LOG } })];
        for evidence in [whole, given_up[0].clone(), given_up[1].clone()] {
            let found = entry(ticket(evidence.clone()));
            assert_eq!(found.card.as_deref(), Some(errors::card(&text).as_str()), "{evidence}");
            assert_eq!((found.module.as_ref().unwrap().as_str(), &found.made_by["class"]), ("shop", &json!(errors::class_of(&text))));
            assert!(words(&found, Zone::Body).contains("KeyError: 'qty'") && words(&found, Zone::Body).contains("Look at the order."));
            assert_eq!(found.version.is_some(), evidence["odoo_version"].is_string());
        }
    }

    #[test]
    fn given_up_run_is_about_what_it_was_asked_for() {
        let other = LOG.replace("'qty'", "'zip'").replace("custom/shop/models/order.py", "custom/post/models/parcel.py");
        let log = format!("{LOG}{other}");
        let second = odoo::reports(&log).into_iter().find(|report| report.title.contains("zip")).unwrap();
        let found = |payload: Value| Error::of(&json!({ "payload": payload })).unwrap();
        let fingerprint = |payload: Value| found(payload).fingerprint.unwrap();
        assert_ne!(fingerprint(json!({ "log": log })), second.fingerprint);
        assert_eq!(fingerprint(json!({ "log": log, "fingerprint": second.fingerprint })), second.fingerprint);
        assert_eq!(fingerprint(json!({ "log": log, "module": "post" })), second.fingerprint);
        assert!(
            Error::of(&json!({ "payload": { "log": log, "fingerprint": FINGERPRINT } })).is_none(),
            "no error of the log has that name"
        );
        let asked = found(json!({ "log": LOG, "module": "stock", "odoo_version": "18.0" }));
        assert_eq!((asked.module.unwrap().as_str(), asked.version.unwrap().as_str()), ("stock", "18.0"));
    }

    #[test]
    fn secrets_of_a_report_from_outside_are_masked() {
        let mut report = odoo::reports(LOG).remove(0);
        report.chain[0].message = "Authorization: Bearer abcdef123456".to_owned();
        let found = entry(ticket(json!({ "payload": { "report": report } })));
        assert!(!format!("{found:?}").contains("abcdef123456"));
    }

    #[test]
    fn head_of_an_error_is_enough() {
        let head = json!({ "fingerprint": FINGERPRINT, "class": "key_missing", "title": "KeyError: 'qty'", "module": "shop" });
        let found = entry(Ticket { patch: None, ..ticket(json!({ "error": head, "odoo_version": "19.0" })) });
        assert_eq!((found.module.unwrap().as_str(), found.version.unwrap().as_str()), ("shop", "19.0"));
        assert!(found.card.unwrap().contains("KeyError"));
        assert_eq!(found.made_by["cause"], FINGERPRINT);
    }

    #[test]
    fn what_was_said_stands_first() {
        let correction = Some("--- a/shop/order.py\n+++ b/shop/order.py\n".to_owned());
        let found = entry(Ticket { correction, ..resolved(json!({})) });
        let places: Vec<_> =
            ["[shop]", "Ask for qty.", "+++ b/shop", "Look at", "--- a"].iter().map(|part| found.content.find(part).unwrap()).collect();
        assert!(places[..4].is_sorted() && found.content.ends_with("--- a"), "{}", found.content);
        assert!(words(&found, Zone::Prose).contains("Ask for qty."));
        assert_eq!((&found.made_by["said"], &found.made_by["state"]), (&json!("abc"), &json!("closed")));
    }

    #[test]
    fn word_of_a_person_is_worth_most() {
        let quality = |ticket: Ticket| entry(ticket).quality;
        let open = quality(ticket(json!({})));
        let closed = quality(Ticket { state: "closed".to_owned(), ..ticket(json!({})) });
        let resolved = quality(resolved(json!({})));
        assert!(open < closed && closed < resolved && (resolved - 1.0).abs() < f32::EPSILON);
    }

    #[test]
    fn same_words_mend_the_same_cause() {
        let cause = |ticket: Ticket| entry(ticket).made_by["cause"].clone();
        assert_eq!(cause(resolved(json!({}))), cause(resolved(json!({ "error": { "title": "x" } }))));
        assert_ne!(cause(resolved(json!({}))), cause(ticket(json!({}))));
        let nothing = Ticket { patch: None, ..ticket(json!({})) };
        assert_eq!(cause(nothing), Value::Null);
    }

    #[test]
    fn garbage_is_a_ticket_too() {
        for evidence in [json!(null), json!([]), json!({ "report": 1, "payload": { "log": "\0" } }), json!({ "report": { "title": "" } })] {
            let found = entry(ticket(evidence));
            assert!(found.module.is_none() && found.version.is_none() && found.content.contains("Look at the order."));
            assert!(found.card.unwrap().contains("No fix"));
        }
        assert!(entry(ticket(json!({ "report": { "title": "x", "module": "../x" } }))).module.is_none());
    }
}
