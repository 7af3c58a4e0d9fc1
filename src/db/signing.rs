//! Proofs that a transaction is of a tenant. Row-level security shows a tenant's rows only to a transaction that has one, so that a statement
//! which somebody else put into the application's connection cannot name another tenant. See `docs/database.md`.

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use sha2::Sha256;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use std::sync::Arc;

use super::{APP_ROLE, Config, DbError, INDEXER_ROLE, explain_connect, options};
use crate::domain::TenantId;

const SECRET_BYTES: usize = 32;

/// Scope of a transaction in the name of its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Read what is shared; read and write what is the tenant's own.
    Tenant,
    /// Write what is shared.
    Index,
}

impl Scope {
    /// The role that the transaction runs in.
    pub(super) fn role(self) -> &'static str {
        match self {
            Self::Tenant => APP_ROLE,
            Self::Index => INDEXER_ROLE,
        }
    }

    /// The name in proofs; `is_indexing()` in the database knows it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Index => "index",
        }
    }
}

/// The secret that proofs are made with. The database holds it too, where the application's role cannot read it.
#[derive(Clone)]
pub(super) struct SigningKey(Arc<SecretBox<[u8; SECRET_BYTES]>>);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKey {
    /// Reads the secret of the settings: 64 hexadecimal digits.
    pub(super) fn parse(text: &SecretString) -> Result<Self, DbError> {
        let digits = text.expose_secret().trim().as_bytes();
        let byte = |pair: &[u8]| {
            let is_hex = pair.iter().all(u8::is_ascii_hexdigit);
            std::str::from_utf8(pair).ok().filter(|_| is_hex).and_then(|pair| u8::from_str_radix(pair, 16).ok())
        };
        let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
        bytes.and_then(|bytes| Self::from_bytes(&bytes)).filter(|_| digits.len() == 2 * SECRET_BYTES).ok_or_else(|| {
            DbError::Setup("database.signing_key must be 64 hexadecimal digits; `openssl rand -hex 32` makes some".to_owned())
        })
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        <[u8; SECRET_BYTES]>::try_from(bytes).ok().map(|bytes| Self(Arc::new(SecretBox::new(Box::new(bytes)))))
    }

    pub(super) fn expose_secret(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// The proof for one transaction, as `current_tenant()` in the database expects it.
    pub(super) fn proof(&self, scope: Scope, tenant: &TenantId, nonce: i64) -> String {
        let scope = scope.as_str();
        // `new` takes a block of 64 bytes; HMAC fills a shorter key up with zeros.
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        block[..SECRET_BYTES].copy_from_slice(self.expose_secret());
        let mac = Hmac::<Sha256>::new(&block).chain_update(format!("{scope}/{tenant}/{nonce}")).finalize().into_bytes();
        let digits: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{scope} {digits}")
    }

    /// Fails if the database holds another secret.
    pub(super) async fn check(&self, conn: &mut PgConnection) -> Result<(), DbError> {
        let tenant: TenantId = "_".parse().map_err(|error| DbError::unreadable("tenant", error))?;
        let mut tx = conn.begin().await?;
        let nonce: i64 = sqlx::raw_sql("select public.tenant_nonce()").fetch_one(&mut *tx).await?.try_get(0)?;
        let proof = self.proof(Scope::Tenant, &tenant, nonce);
        let statement =
            format!("set local odoo_agent.tenant = '{tenant}'; set local odoo_agent.proof = '{proof}'; select public.current_tenant()");
        let checked = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *tx).await;
        tx.rollback().await?;
        match checked {
            Err(error) if has_code(&error, "42501") => Err(DbError::Setup(
                "database.signing_key is not the secret that the database holds; use the same one everywhere".to_owned(),
            )),
            other => Ok(other.map(drop)?),
        }
    }
}

fn has_code(error: &sqlx::Error, code: &str) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|found| found == code)
}

/// The secret of the settings, else the one that the database holds, which only the owner can read.
pub(super) async fn key_of(config: &Config) -> Result<SigningKey, DbError> {
    if let Some(secret) = &config.signing_key {
        return SigningKey::parse(secret);
    }
    let url = config.owner_url().ok_or_else(|| DbError::Setup("no address is set; set DATABASE_URL".to_owned()))?;
    let mut conn = PgConnection::connect_with(&options(url)?).await.map_err(explain_connect)?;
    let found = sqlx::query_scalar::<_, Vec<u8>>("select secret from public.tenant_signing_key").fetch_optional(&mut conn).await;
    conn.close().await?;
    let missing = || {
        DbError::Setup(
            "the secret that says whose a transaction is cannot be read by this login; set database.signing_key, or name the owner in \
             database.migration_url"
                .to_owned(),
        )
    };
    match found {
        Ok(secret) => secret.and_then(|secret| SigningKey::from_bytes(&secret)).ok_or_else(missing),
        Err(error) if has_code(&error, "42501") => Err(missing()),
        Err(error) if has_code(&error, "42P01") => {
            Err(DbError::Setup("its tables are of an older version; run the migrations first".to_owned()))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<SigningKey, DbError> {
        SigningKey::parse(&SecretString::from(text.to_owned()))
    }

    #[test]
    fn proof_is_the_hmac_of_scope_tenant_and_number() {
        // By `printf tenant/acme/7 | openssl dgst -sha256 -mac HMAC -macopt hexkey:…`.
        let proof = key(&"0b".repeat(32)).unwrap().proof(Scope::Tenant, &"acme".parse().unwrap(), 7);
        assert_eq!(proof, "tenant 2c067236535ff41d61bc09680d0d0d383b657398ed1bf9607f7535887973ee59");
    }

    #[test]
    fn secret_that_is_none_is_refused_and_not_shown() {
        for bad in ["", "hunter2", &"0".repeat(63), &"0".repeat(65), &"+0".repeat(32), &"é".repeat(32)] {
            let error = key(bad).unwrap_err().to_string();
            assert!(error.contains("64 hexadecimal digits") && (bad.len() < 7 || !error.contains(bad)), "{error}");
        }
        assert!(!format!("{:?}", key(&"ab".repeat(32)).unwrap()).contains("ab"));
    }
}
