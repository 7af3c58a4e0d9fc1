//! Who is calling.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use uuid::Uuid;

use super::error::Problem;
use super::exchange::admit;
use crate::app::App;
use crate::domain::TenantId;

/// The header for a key, besides `Authorization: Bearer`.
pub const KEY_HEADER: &str = "x-api-key";

/// The tenant whose key came with the request, and which key it is.
pub struct Caller(pub TenantId, pub Uuid);

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let bearer = header(AUTHORIZATION.as_str()).and_then(bearer);
        let key = header(KEY_HEADER).or(bearer).ok_or_else(|| {
            Problem::unauthorized("send an API key as `Authorization: Bearer KEY` or `X-API-Key: KEY`; `odoo-agent key create` makes one")
        })?;
        match app.authenticate(key).await? {
            Some((tenant, key)) => {
                admit(parts, app, &tenant, key.0).await?;
                Ok(Self(tenant, key.0))
            }
            None => Err(Problem::unauthorized("the API key is not valid: it is unknown, revoked or cut")),
        }
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
