//! The routes of the control API, each with the role that it requires.
//!
//! Invariant: no route can be left unprotected. Routes added here state a role; anything else in
//! the router requires `operate`.

use std::sync::Arc;

use axum::{
    Router,
    handler::Handler,
    http::Method,
    middleware,
    routing::{MethodFilter, on},
};

use super::{
    access_control::{self, AccessControl},
    required_role::RequiredRole,
    role_table::RoleTable,
};

/// A set of routes that share the state `S`.
pub(super) struct ApiRoutes<S = ()> {
    router: Router<S>,
    table: RoleTable,
}

impl<S: Clone + Send + Sync + 'static> ApiRoutes<S> {
    pub(super) fn new() -> Self {
        Self { router: Router::new(), table: RoleTable::default() }
    }

    /// Adds a `GET` route.
    pub(super) fn get<T: 'static>(
        self,
        path: &'static str,
        needs: RequiredRole,
        handler: impl Handler<T, S>,
    ) -> Self {
        self.add((Method::GET, MethodFilter::GET), path, needs, handler)
    }

    pub(super) fn post<T: 'static>(
        self,
        path: &'static str,
        needs: RequiredRole,
        handler: impl Handler<T, S>,
    ) -> Self {
        self.add((Method::POST, MethodFilter::POST), path, needs, handler)
    }

    pub(super) fn put<T: 'static>(
        self,
        path: &'static str,
        needs: RequiredRole,
        handler: impl Handler<T, S>,
    ) -> Self {
        self.add((Method::PUT, MethodFilter::PUT), path, needs, handler)
    }

    pub(super) fn delete<T: 'static>(
        self,
        path: &'static str,
        needs: RequiredRole,
        handler: impl Handler<T, S>,
    ) -> Self {
        self.add((Method::DELETE, MethodFilter::DELETE), path, needs, handler)
    }

    fn add<T: 'static>(
        mut self,
        (method, filter): (Method, MethodFilter),
        path: &'static str,
        needs: RequiredRole,
        handler: impl Handler<T, S>,
    ) -> Self {
        self.table.0.entry(path).or_default().insert(method, needs);
        Self { router: self.router.route(path, on(filter, handler)), table: self.table }
    }

    /// The routes with their state.
    pub(super) fn with(self, state: S) -> ApiRoutes {
        ApiRoutes { router: self.router.with_state(state), table: self.table }
    }
}

impl ApiRoutes {
    /// Combines these routes with others.
    pub(super) fn and(mut self, other: Self) -> Self {
        for (path, methods) in other.table.0 {
            self.table.0.entry(path).or_default().extend(methods);
        }
        Self { router: self.router.merge(other.router), table: self.table }
    }

    /// Puts all routes behind access control; `around` adds the handlers for unknown paths.
    pub(super) fn behind(
        self,
        entrance: &Arc<AccessControl>,
        around: impl FnOnce(Router) -> Router,
    ) -> Router {
        let doors = (Arc::clone(entrance), Arc::new(self.table));
        around(self.router).layer(middleware::from_fn_with_state(doors, access_control::admit))
    }

    /// All routes, for the test that requests each of them.
    #[cfg(test)]
    pub(super) fn listed(&self) -> Vec<(&'static str, Method, RequiredRole)> {
        let rows = self.table.0.iter().flat_map(|(path, methods)| {
            methods.iter().map(|(method, needs)| (*path, method.clone(), *needs))
        });
        rows.collect()
    }
}
