//! What was done in a tenant's name, by whom. Rows are added, never changed: the application's role cannot. The database dates them and links
//! each to the one before it of the same tenant when the transaction commits, so that a row that is changed, taken out or put in is found.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::db::{Db, DbError, TenantTx, storable, storable_json};
use crate::domain::TenantId;

/// Number of entries that are read and checked together.
const PAGE: i64 = 1_000;
/// The most entries that are listed.
pub const MAX_LISTED: u32 = 1_000;
/// The `previous` of the first entry.
const BEGINNING: [u8; 32] = [0; 32];

/// Notes that `actor` (a key, a worker, a command) did `action` (`fix.applied`, `key.created`) to `subject` (a run, a key, a file).
pub async fn write(tx: &mut TenantTx, actor: &str, action: &str, subject: &str, detail: &Value) -> Result<(), DbError> {
    let tenant = tx.tenant().clone();
    let detail = storable_json("detail of an audit entry", detail)?;
    sqlx::query!(
        "insert into audit (id, tenant_id, actor, action, subject, detail) values ($1, $2, $3, $4, $5, $6)",
        Uuid::now_v7(),
        tenant.as_str(),
        storable(actor),
        storable(action),
        storable(subject),
        detail,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// An entry as people see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntryView {
    /// Its place in the chain of its tenant, from 1.
    pub number: i64,
    /// Its id.
    pub id: Uuid,
    /// Time at which the database wrote it.
    pub at: DateTime<Utc>,
    /// Person or program that did it.
    pub actor: String,
    /// Name of the act, such as `fix.approved`.
    pub action: String,
    /// To what.
    pub subject: String,
    /// The rest.
    pub detail: Value,
}

/// The newest entries of a tenant, newest first; at most [`MAX_LISTED`].
pub async fn list(db: &Db, tenant: &TenantId, limit: u32) -> Result<Vec<EntryView>, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let rows = sqlx::query_as!(
        EntryView,
        r#"select number as "number!", id, at, actor, action, subject, detail from audit where tenant_id = $1 and number is not null
            order by number desc limit $2"#,
        tenant.as_str(),
        i64::from(limit.min(MAX_LISTED)),
    );
    Ok(rows.fetch_all(tx.conn()).await?)
}

/// The end of a chain: who has noted it elsewhere can tell later that nothing before it was changed, even by whoever owns the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The number of the last entry; 0 where there is none.
    pub number: i64,
    /// Its hash.
    pub hash: Vec<u8>,
}

impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:", self.number)?;
        self.hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for Head {
    type Err = BadHead;
    fn from_str(text: &str) -> Result<Self, BadHead> {
        let read = || {
            let (number, digits) = text.split_once(':')?;
            let is_hash = digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
            let hash: Option<Vec<u8>> = is_hash.then(|| (0..64).step_by(2).map(byte).collect()).flatten();
            Some(Self { number: number.parse().ok().filter(|number| *number >= 0)?, hash: hash? })
        };
        read().ok_or_else(|| BadHead(text.chars().take(80).collect()))
    }
}

/// A text that is no end of a chain.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no end of an audit; use NUMBER:HASH as `audit verify` prints it")]
pub struct BadHead(String);

/// The first entry that does not fit, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Its number; that which is missing, if it is missing. `None`: it was never linked.
    pub number: Option<i64>,
    /// The entry, unless it is missing.
    pub id: Option<Uuid>,
    /// Sentence that says what does not fit.
    pub reason: String,
}

/// Result of checking a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Number of entries that fit, from the first one on.
    pub entries: i64,
    /// The end of the chain as the database has it.
    pub head: Head,
    /// The first entry that does not fit.
    pub fault: Option<Fault>,
}

/// Checks every entry of a tenant against its hash and the one before it, and the chain against its end; `noted` is an end that was noted
/// before, which must still be part of it.
pub async fn verify(db: &Db, tenant: &TenantId, noted: Option<&Head>) -> Result<Verified, DbError> {
    let mut tx = db.tenant(tenant).await?;
    // The end first: what is added meanwhile lies behind it.
    let head = sqlx::query!("select number, hash from audit_heads where tenant_id = $1", tenant.as_str()).fetch_optional(tx.conn()).await?;
    let head = head.map_or(Head { number: 0, hash: BEGINNING.to_vec() }, |row| Head { number: row.number, hash: row.hash });
    let mut last = Head { number: 0, hash: BEGINNING.to_vec() };
    let mut fault = None;
    while fault.is_none() && last.number < head.number {
        let page = page(&mut tx, tenant, last.number, head.number).await?;
        if page.is_empty() {
            break;
        }
        for link in &page {
            fault = link.fault(&last).or_else(|| noted.and_then(|noted| link.differs(noted)));
            if fault.is_some() {
                break;
            }
            last = Head { number: link.number, hash: link.hash.clone() };
        }
    }
    let fault = match fault {
        Some(fault) => Some(fault),
        None => end_fault(&last, &head, noted).or(unlinked(&mut tx, tenant).await?),
    };
    Ok(Verified { entries: last.number, head, fault })
}

/// An entry with what its hash covers.
struct Link {
    number: i64,
    id: Uuid,
    previous: Vec<u8>,
    hash: Vec<u8>,
    text: String,
}

impl Link {
    fn fault(&self, last: &Head) -> Option<Fault> {
        if self.number != last.number + 1 {
            return Some(Fault {
                number: Some(last.number + 1),
                id: None,
                reason: format!("it is missing: after {} comes {}", last.number, self.number),
            });
        }
        let computed = Sha256::new().chain_update(&self.previous).chain_update(&self.text).finalize();
        let reason = if computed[..] != self.hash[..] {
            "its hash is not that of what it says: it was changed"
        } else if self.previous != last.hash {
            "it follows another entry than the one before it: that one, or this one, was replaced"
        } else {
            return None;
        };
        Some(Fault { number: Some(self.number), id: Some(self.id), reason: reason.to_owned() })
    }

    fn differs(&self, noted: &Head) -> Option<Fault> {
        let is_other = self.number == noted.number && self.hash != noted.hash;
        let reason = "its hash is not the one that was noted: the audit was written anew up to here".to_owned();
        is_other.then_some(Fault { number: Some(self.number), id: Some(self.id), reason })
    }
}

async fn page(tx: &mut TenantTx, tenant: &TenantId, after: i64, until: i64) -> Result<Vec<Link>, DbError> {
    let rows = sqlx::query_as!(
        Link,
        r#"select number as "number!", id, previous as "previous!", hash as "hash!", audit_text(audit) as "text!" from audit
            where tenant_id = $1 and number > $2 and number <= $3 order by number limit $4"#,
        tenant.as_str(),
        after,
        until,
        PAGE,
    );
    Ok(rows.fetch_all(tx.conn()).await?)
}

/// Returns the fault at the end of a chain in which everything fits.
fn end_fault(last: &Head, head: &Head, noted: Option<&Head>) -> Option<Fault> {
    let missing = |until: i64| Fault {
        number: Some(last.number + 1),
        id: None,
        reason: if until == last.number + 1 { "it is missing".to_owned() } else { format!("it is missing, and all up to {until}") },
    };
    if last.number < head.number {
        return Some(missing(head.number));
    }
    if last.hash != head.hash {
        let reason = "its hash is not that of the end of the audit: it was replaced".to_owned();
        return Some(Fault { number: Some(last.number), id: None, reason });
    }
    noted.filter(|noted| noted.number > last.number).map(|noted| missing(noted.number))
}

/// An entry that is in no chain, or behind the end of it. One statement, so that what is added meanwhile is none of them.
async fn unlinked(tx: &mut TenantTx, tenant: &TenantId) -> Result<Option<Fault>, DbError> {
    let found = sqlx::query!(
        "select id, number from audit where tenant_id = $1
            and (number is null or number > coalesce((select number from audit_heads where tenant_id = $1), 0))
          order by number nulls last, at, id limit 1",
        tenant.as_str()
    )
    .fetch_optional(tx.conn())
    .await?;
    let reason = "it was put in past the end of the audit".to_owned();
    Ok(found.map(|row| Fault { number: row.number, id: Some(row.id), reason }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_is_read_as_it_is_written() {
        let head = Head { number: 12, hash: vec![0xab; 32] };
        assert_eq!(head.to_string().parse::<Head>().unwrap(), head);
        for bad in ["", "12", "12:", "-1:00", &format!("1:{}", "g".repeat(64)), &format!("1:{}", "é".repeat(32)), &"1".repeat(1_000_000)] {
            assert!(bad.parse::<Head>().is_err());
        }
    }
}
