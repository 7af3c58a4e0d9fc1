//! Errors as `application/problem+json` (RFC 9457). Only here are status codes chosen.

use std::any::Any;

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use serde_json::json;

use crate::domain::{Failure, FailureKind, Scope, Scopes};

/// The most characters of a detail.
const MAX_DETAIL: usize = 1_000;

/// An answer that says what is wrong and what to do.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    title: &'static str,
    detail: String,
    retry_after: Option<u64>,
    missing_scope: Option<Scope>,
}

impl Problem {
    fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if let Some((end, _)) = detail.char_indices().nth(MAX_DETAIL) {
            // What is wrong may be quoted, and may be megabytes.
            detail.truncate(end);
            detail.push('…');
        }
        Self { status, title, detail, retry_after: None, missing_scope: None }
    }

    /// The key is missing or wrong.
    pub fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "No valid API key", detail)
    }

    /// The key is valid, and may not do this.
    pub fn forbidden(scope: Scope, has: &Scopes) -> Self {
        let detail =
            format!("this needs an API key with the scope `{scope}`; this one has {has}: `odoo-agent key create --scopes …` makes another");
        Self { missing_scope: Some(scope), ..Self::new(StatusCode::FORBIDDEN, "The API key may not do this", detail) }
    }

    /// The route was built without saying what its callers need.
    pub fn without_scope() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error", "the route does not say which scope it needs, so it serves nobody")
    }

    /// The thing is not in the state that the request takes it to be in.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "Not possible as things are", detail)
    }

    /// The request is wrong.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "The request is not valid", detail)
    }

    /// The body is not what the route takes.
    pub fn unsupported(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "The content cannot be read", detail)
    }

    /// The body is too large.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "The content is too large", detail)
    }

    /// The body came too slowly.
    pub fn too_slow(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "The request took too long", detail)
    }

    /// A limit on requests, bytes or connections is reached.
    pub fn too_many(detail: impl Into<String>, retry_after: u64) -> Self {
        Self { retry_after: Some(retry_after.max(1)), ..Self::new(StatusCode::TOO_MANY_REQUESTS, "A limit is reached", detail) }
    }

    /// There is no room for the request at this moment.
    pub fn busy(detail: impl Into<String>) -> Self {
        Self { retry_after: Some(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "Not available now", detail) }
    }

    /// The idempotency key was used for something else.
    pub fn reused_key() -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Idempotency-Key was used before",
            "this Idempotency-Key came with another payload before; use a new one for a new request",
        )
    }

    /// There is no such thing for this tenant. Another tenant's is no different from none.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not found", format!("there is no such {what}"))
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure.kind {
            FailureKind::BadInput => Self::bad_request(failure.to_string()),
            FailureKind::Budget => Self::new(StatusCode::TOO_MANY_REQUESTS, "A limit is reached", failure.to_string()),
            FailureKind::Unavailable { retry_after } => {
                tracing::warn!(%failure, "a request could not be served");
                let wait = retry_after.map_or(5, |wait| wait.as_secs().max(1));
                Self {
                    retry_after: Some(wait),
                    ..Self::new(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "Not available now",
                        "a part behind the API does not answer; send the request again",
                    )
                }
            }
            FailureKind::Deadline | FailureKind::Fenced | FailureKind::Draining | FailureKind::Bug => {
                tracing::error!(%failure, "a request failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error", "the log of the server says more, under this request id")
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let mut body = json!({ "type": "about:blank", "title": self.title, "status": self.status.as_u16(), "detail": self.detail });
        if let Some(scope) = self.missing_scope {
            body["missing_scope"] = json!(scope);
        }
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
        }
        if self.status == StatusCode::REQUEST_TIMEOUT {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let challenge = self.missing_scope.map(|scope| format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\""));
        if let Some(Ok(challenge)) = challenge.map(HeaderValue::try_from) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// No route has this path.
pub async fn no_route() -> Problem {
    Problem::not_found("route; docs/api.md lists them")
}

/// The route does not know the method.
pub async fn no_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", "the route does not take this method; docs/api.md lists them")
}

/// A handler panicked; the connection gets an answer all the same.
pub fn panicked(_panic: Box<dyn Any + Send + 'static>) -> Response<Body> {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error", "the log of the server says more, under this request id")
        .into_response()
}
