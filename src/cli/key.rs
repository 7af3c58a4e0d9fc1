//! `odoo-agent key`: ways in for programs and people.

use std::time::Duration;

use clap::Subcommand;
use secrecy::ExposeSecret;

use super::connect::connect;
use super::{Exit, show};
use crate::app::App;
use crate::config::Config;
use crate::domain::{Failure, Scopes, TenantId};
use crate::tenants;
use crate::tenants::keys::{self, KeyId, KeyView, NewKey};

/// The longest life or overlap of a key.
const MAX_DAYS: u64 = 3650;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    /// Tenant of the keys; `create` makes it if there is none.
    #[arg(long, default_value = "default", global = true)]
    tenant: TenantId,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key and print it. It is shown this once; only its hash is kept.
    Create {
        /// What it is for.
        #[arg(long, default_value = "cli")]
        name: String,
        /// Its scopes: some of ingest, read, run, apply, approve, admin, with commas between them.
        #[arg(long, default_value_t = Scopes::usual())]
        scopes: Scopes,
        /// Time that it is valid, such as 90d, 24h or 30m; without this until it is revoked.
        #[arg(long, value_name = "TIME", value_parser = span)]
        expires_in: Option<Duration>,
    },
    /// Show the keys, without their secrets. What stands after `oak_` in a key is its short id, so that a leaked one can be found.
    List,
    /// Make a key that takes the place of another, and print it: the same name and scopes, and as long a life.
    Rotate {
        /// The old key: its id or its short id, as `key list` shows them.
        id: String,
        /// Time that the old key stays valid, such as 24h.
        #[arg(long, value_name = "TIME", value_parser = span, default_value = "24h")]
        overlap: Duration,
    },
    /// Make a key worthless, at once.
    Revoke {
        /// The key: its id or its short id, as `key list` shows them.
        id: String,
    },
}

/// A number with its unit: `30m`, `24h`, `90d`, or `0`.
fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no length of time: use a number with m, h or d behind it, such as 24h, and at most {MAX_DAYS}d");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let unit = text.chars().last().ok_or_else(wrong)?;
    let minutes = match unit {
        'm' => 1,
        'h' => 60,
        'd' => 24 * 60,
        _ => return Err(wrong()),
    };
    let number: u64 = text.strip_suffix(unit).and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
    let minutes = number.checked_mul(minutes).filter(|minutes| *minutes <= MAX_DAYS * 24 * 60).ok_or_else(wrong)?;
    Ok(Duration::from_secs(minutes * 60))
}

pub async fn run(config: Config, args: Args) -> anyhow::Result<Exit> {
    let connected = connect(config).await?;
    let done = act(&connected.app, &args.tenant, args.action).await;
    connected.close().await;
    show::out(&done?);
    Ok(Exit::Done)
}

/// Does it; gives what is to be printed.
async fn act(app: &App, tenant: &TenantId, action: Action) -> Result<String, Failure> {
    match action {
        Action::Create { name, scopes, expires_in } => {
            if expires_in == Some(Duration::ZERO) {
                return Err(Failure::bad_input("a key that expires at once is none: give --expires-in a time, such as 90d"));
            }
            create(app, tenant, NewKey { name, scopes, lifetime: expires_in }).await
        }
        Action::List => Ok(keys::list(&app.db, tenant).await?.iter().map(line).collect::<Vec<_>>().join("\n")),
        Action::Rotate { id, overlap } => {
            let rotated = keys::rotate(&app.db, tenant, find(app, tenant, &id).await?, overlap).await?;
            let rotated = rotated.ok_or_else(|| no_key(tenant, &id))?;
            show::line(&format!("the key {id} expires at {}; the new one is {}", rotated.old_expires_at.to_rfc3339(), rotated.id.0));
            Ok(rotated.secret.expose_secret().to_owned())
        }
        Action::Revoke { id } => match keys::revoke(&app.db, tenant, find(app, tenant, &id).await?).await? {
            true => Ok(format!("{id} is revoked")),
            false => Err(no_key(tenant, &id)),
        },
    }
}

async fn find(app: &App, tenant: &TenantId, id: &str) -> Result<KeyId, Failure> {
    keys::find(&app.db, tenant, id).await?.ok_or_else(|| no_key(tenant, id))
}

fn no_key(tenant: &TenantId, id: &str) -> Failure {
    let id: String = show::clean(id).chars().take(100).collect();
    Failure::bad_input(format!("the tenant {tenant} has no valid key {id}; `key list` shows them"))
}

fn line(key: &KeyView) -> String {
    let short_id = key.short_id.as_deref().unwrap_or("-");
    let until = key.expires_at.map_or("no end".to_owned(), |end| format!("until {}", end.format("%Y-%m-%d %H:%M")));
    let used = key.last_used_at.map_or("never used".to_owned(), |used| format!("used {}", used.format("%Y-%m-%d %H:%M")));
    let made = key.created_at.format("%Y-%m-%d");
    let (id, state, scopes, name) = (key.id.0, key.state, &key.scopes, show::clean(&key.name));
    format!("{id}  {short_id:<12}  {state:<7}  {scopes}  made {made}, {until}, {used}  {name}")
}

/// Makes the tenant if there is none, and a key for it.
pub async fn create(app: &App, tenant: &TenantId, new: NewKey) -> Result<String, Failure> {
    tenants::ensure(&app.db, tenant).await?;
    let (_, key) = keys::create(&app.db, tenant, new).await?;
    Ok(key.expose_secret().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        for (text, minutes) in [("30m", 30), ("24h", 1440), ("90d", 129_600), ("0", 0), ("0h", 0)] {
            assert_eq!(span(text), Ok(Duration::from_secs(minutes * 60)), "{text}");
        }
        for bad in ["", "h", "24", "-1h", "1w", "24 h", "3651d", "99999999999999999999d", "18446744073709551615d", "ü"] {
            assert!(span(bad).unwrap_err().contains("such as 24h"), "{bad}");
        }
    }
}
