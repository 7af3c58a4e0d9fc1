//! Authentication of a caller, and the check of the scope that a route needs.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use uuid::Uuid;

use super::error::Problem;
use super::exchange::admit;
use super::routes::Needs;
use crate::app::{App, Authenticated};
use crate::domain::{Scopes, TenantId};

/// The header for a key, besides `Authorization: Bearer`.
pub const KEY_HEADER: &str = "x-api-key";

/// The tenant whose key came with the request, which key it is, and what it may do: what the route needs is among it.
pub struct Caller(pub TenantId, pub Uuid, pub Scopes);

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let bearer = header(AUTHORIZATION.as_str()).and_then(bearer);
        let key = header(KEY_HEADER).or(bearer).ok_or_else(|| {
            Problem::unauthorized("send an API key as `Authorization: Bearer KEY` or `X-API-Key: KEY`; `odoo-agent key create` makes one")
        })?;
        let caller = match app.authenticate(key).await? {
            Authenticated::Valid { tenant, key, scopes } => Self(tenant, key.0, scopes),
            Authenticated::Expired => {
                return Err(Problem::unauthorized("the API key has expired; `odoo-agent key create` makes a new one"));
            }
            Authenticated::Revoked => {
                return Err(Problem::unauthorized("the API key was revoked; `odoo-agent key create` makes a new one"));
            }
            Authenticated::Unknown => return Err(Problem::unauthorized("the API key is not valid: it is unknown or cut")),
        };
        admit(parts, app, &caller.0, caller.1).await?;
        // A route that does not say what it needs serves nobody.
        let Some(Needs(scope)) = parts.extensions.get() else { return Err(Problem::without_scope()) };
        if caller.2.has(*scope) { Ok(caller) } else { Err(Problem::forbidden(*scope, &caller.2)) }
    }
}

/// The key behind the scheme `Bearer`, whose case does not count.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_has_no_case() {
        for good in ["Bearer k", "bearer k", "BEARER  k "] {
            assert_eq!(bearer(good), Some("k"), "{good}");
        }
        assert!(["k", "Basic k", "Bearerk"].iter().all(|bad| bearer(bad).is_none()));
    }
}
