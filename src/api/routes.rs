//! Routes, each with the scope that its callers need. A route cannot be added without one.

use axum::Router;
use axum::extract::Extension;
use axum::handler::Handler;
use axum::routing::{MethodRouter, any, delete, get, post};

use crate::app::App;
use crate::domain::Scope;

/// The scope that the key of a request needs; on the request of every route that asks for a key.
#[derive(Clone, Copy)]
pub(super) struct Needs(pub Scope);

/// One route, as the documentation lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// `GET`, `POST`, `DELETE`, or `ANY`.
    pub method: &'static str,
    /// The path, with parameters in braces.
    pub path: &'static str,
    /// The scope that the caller's key needs; `None`: no key is asked for.
    pub scope: Option<Scope>,
}

/// Routes that are being put together.
#[derive(Default)]
pub(super) struct Routes {
    router: Router<App>,
    table: Vec<Route>,
}

impl Routes {
    pub(super) fn get<H: Handler<T, App>, T: 'static>(self, path: &'static str, scope: Scope, handler: H) -> Self {
        self.add("GET", path, Some(scope), get(handler))
    }

    pub(super) fn post<H: Handler<T, App>, T: 'static>(self, path: &'static str, scope: Scope, handler: H) -> Self {
        self.add("POST", path, Some(scope), post(handler))
    }

    pub(super) fn delete<H: Handler<T, App>, T: 'static>(self, path: &'static str, scope: Scope, handler: H) -> Self {
        self.add("DELETE", path, Some(scope), delete(handler))
    }

    /// Every method.
    pub(super) fn any<H: Handler<T, App>, T: 'static>(self, path: &'static str, scope: Scope, handler: H) -> Self {
        self.add("ANY", path, Some(scope), any(handler))
    }

    /// A route that asks for no key; its handler must not take a `Caller`.
    pub(super) fn open<H: Handler<T, App>, T: 'static>(self, path: &'static str, handler: H) -> Self {
        self.add("GET", path, None, get(handler))
    }

    fn add(mut self, method: &'static str, path: &'static str, scope: Option<Scope>, handler: MethodRouter<App>) -> Self {
        let handler = match scope {
            Some(scope) => handler.layer(Extension(Needs(scope))),
            None => handler,
        };
        self.router = self.router.route(path, handler);
        self.table.push(Route { method, path, scope });
        self
    }

    pub(super) fn into_router(self) -> Router<App> {
        self.router
    }

    pub(super) fn into_table(self) -> Vec<Route> {
        self.table
    }
}
