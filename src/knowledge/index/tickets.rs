//! The tenant's tickets as texts to be found: what an error was, where it was looked for, and what a person was told. A ticket cannot be
//! resolved in this product yet, so what is kept is the ticket as it was filed; one that is closed counts for more.

use serde_json::{Value, json};

use super::IndexError;
use crate::db::Db;
use crate::domain::TenantId;
use crate::knowledge::chunk::{Kind, Zone};
use crate::knowledge::store::{DocType, Entry, put};

/// The version of how tickets are made into texts.
const TICKETS: u32 = 1;
/// How many are written together.
const BATCH: usize = 100;
/// The characters of a ticket that are embedded.
const MAX_CARD: usize = 400;

/// Keeps the tickets that are new or have changed; says how many.
pub(super) async fn keep(db: &Db, tenant: &TenantId) -> Result<u64, IndexError> {
    let mut tx = db.tenant(tenant).await?;
    let changed = sqlx::query!(
        r#"select t.id from tickets t
            where not exists (select from tenant_knowledge k
                               where k.doc_type = 'tickets' and k.source_id is null and k.ref = t.id::text
                                 and k.made_by = jsonb_build_object('tickets', $1::int, 'state', t.state))
            order by t.created_at"#,
        i32::try_from(TICKETS).unwrap_or(0),
    )
    .fetch_all(tx.conn())
    .await?;
    tx.commit().await?;
    let ids: Vec<_> = changed.into_iter().map(|row| row.id).collect();
    for ids in ids.chunks(BATCH) {
        let mut tx = db.tenant(tenant).await?;
        let rows = sqlx::query!("select id, title, body, evidence, patch, state from tickets where id = any($1) order by id", ids)
            .fetch_all(tx.conn())
            .await?;
        for row in rows {
            let text = Ticket { title: row.title, body: row.body, evidence: row.evidence, patch: row.patch, state: row.state };
            put(&mut tx, &text.entry(row.id.to_string())).await?;
        }
        tx.commit().await?;
    }
    Ok(ids.len() as u64)
}

struct Ticket {
    title: String,
    body: String,
    evidence: Value,
    patch: Option<String>,
    state: String,
}

impl Ticket {
    fn entry(self, id: String) -> Entry {
        let report = &self.evidence["report"];
        let text = |key: &str| report[key].as_str().unwrap_or_default();
        let patch = self.patch.map(|patch| format!("\n\n{patch}")).unwrap_or_default();
        Entry {
            doc_type: DocType::Tickets,
            kind: Kind::Ticket,
            r#ref: id,
            module: text("module").parse().ok(),
            version: text("odoo_version").parse().ok(),
            zones: vec![
                (Zone::Name, self.title.clone()),
                (Zone::Owner, text("class").to_owned()),
                (Zone::Prose, format!("{}\n{}", self.title, text("title"))),
                (Zone::Body, self.body.clone()),
                (Zone::Context, text("module").to_owned()),
            ],
            card: Some(format!("{} {}", self.title, text("title")).chars().take(MAX_CARD).collect()),
            content: format!("{}\n\n{}{patch}", self.title, self.body),
            title: self.title,
            quality: if self.state == "closed" { 0.7 } else { 0.4 },
            made_by: json!({ "tickets": TICKETS, "state": self.state }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticket_is_found_by_its_error() {
        let ticket = |evidence| Ticket {
            title: "No fix".to_owned(),
            body: "b".to_owned(),
            evidence,
            patch: Some("--- a".to_owned()),
            state: "open".to_owned(),
        };
        let entry =
            ticket(json!({ "report": { "module": "shop", "odoo_version": "19.0", "title": "KeyError: 'x'" } })).entry("1".to_owned());
        assert_eq!((entry.module.unwrap().as_str(), entry.version.unwrap().as_str()), ("shop", "19.0"));
        assert!(entry.card.unwrap().contains("KeyError") && entry.content.ends_with("--- a"));
        let bare = ticket(json!({ "report": { "module": "../x" } })).entry("2".to_owned());
        assert!(bare.module.is_none() && bare.version.is_none());
    }
}
