//! Routes, in the order of their description.
//!
//! A route missing in the description, or a described route without a handler, would mislead builders on the
//! interface; so tests see the added routes. Not here: handlers (`about`, `push`, `read`), the description
//! (`openapi`).

use crate::state::Appliance;
use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodRouter, get, post};
use std::sync::Arc;

/// Routes being put together.
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

    /// Adds a route with a body.
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
