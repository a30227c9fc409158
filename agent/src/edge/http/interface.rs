//! Routes, in the order in which they are described.
//!
//! A route that the description does not know, or one that is described and not there, would be found by whoever builds on the
//! interface; so tests see what was added here. Not here: handlers (`about`, `push`, `read`), the description (`openapi`).

use crate::state::Appliance;
use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodRouter, get, post};
use std::sync::Arc;

/// Routes that are being put together.
#[derive(Default)]
pub(super) struct Interface {
    router: Router<Arc<Appliance>>,
    #[cfg(test)]
    pub(super) listed: Vec<(&'static str, String)>,
}

impl Interface {
    /// Adds a question.
    pub(super) fn get<H, T>(self, path: &str, handler: H) -> Self
    where
        H: Handler<T, Arc<Appliance>>,
        T: 'static,
    {
        self.list("get", path).route(path, get(handler))
    }

    /// Adds something that is brought.
    pub(super) fn post<H, T>(self, path: &str, handler: H) -> Self
    where
        H: Handler<T, Arc<Appliance>>,
        T: 'static,
    {
        self.list("post", path).route(path, post(handler))
    }

    fn route(mut self, path: &str, method: MethodRouter<Arc<Appliance>>) -> Self {
        self.router = self.router.route(path, method);
        self
    }

    #[cfg(test)]
    fn list(mut self, method: &'static str, path: &str) -> Self {
        self.listed.push((method, path.to_owned()));
        self
    }

    #[cfg(not(test))]
    fn list(self, _: &'static str, _: &str) -> Self {
        self
    }

    /// The routes.
    pub(super) fn into_router(self) -> Router<Arc<Appliance>> {
        self.router
    }
}
