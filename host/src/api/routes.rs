//! The routes of the control API, each with the role that it requires and its description.
//!
//! Invariant: no route can be left unprotected. A route that a module adds states a role; anything else in
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
    route_doc::RouteDoc,
};

/// A set of routes that share the state `S`.
pub(super) struct ApiRoutes<S = ()> {
    router: Router<S>,
    table: RoleTable,
    docs: Vec<(&'static str, Method, RouteDoc)>,
}

impl<S: Clone + Send + Sync + 'static> ApiRoutes<S> {
    pub(super) fn new() -> Self {
        Self { router: Router::new(), table: RoleTable::default(), docs: Vec::new() }
    }

    /// Adds a `GET` route.
    pub(super) fn get<T: 'static>(
        self,
        path: &'static str,
        needs: RequiredRole,
        handler: impl Handler<T, S>,
        doc: RouteDoc,
    ) -> Self {
        self.add((Method::GET, MethodFilter::GET), path, needs, handler, doc)
    }

    pub(super) fn post<T: 'static>(
        self,
        path: &'static str,
        needs: RequiredRole,
        handler: impl Handler<T, S>,
        doc: RouteDoc,
    ) -> Self {
        self.add((Method::POST, MethodFilter::POST), path, needs, handler, doc)
    }

    pub(super) fn put<T: 'static>(
        self,
        path: &'static str,
        needs: RequiredRole,
        handler: impl Handler<T, S>,
        doc: RouteDoc,
    ) -> Self {
        self.add((Method::PUT, MethodFilter::PUT), path, needs, handler, doc)
    }

    pub(super) fn delete<T: 'static>(
        self,
        path: &'static str,
        needs: RequiredRole,
        handler: impl Handler<T, S>,
        doc: RouteDoc,
    ) -> Self {
        self.add((Method::DELETE, MethodFilter::DELETE), path, needs, handler, doc)
    }

    fn add<T: 'static>(
        mut self,
        (method, filter): (Method, MethodFilter),
        path: &'static str,
        needs: RequiredRole,
        handler: impl Handler<T, S>,
        doc: RouteDoc,
    ) -> Self {
        self.docs.push((path, method.clone(), doc));
        self.table.0.entry(path).or_default().insert(method, needs);
        Self { router: self.router.route(path, on(filter, handler)), ..self }
    }

    /// The routes with their state.
    pub(super) fn with(self, state: S) -> ApiRoutes {
        let Self { router, table, docs } = self;
        ApiRoutes { router: router.with_state(state), table, docs }
    }
}

impl ApiRoutes {
    /// Combines these routes with others.
    pub(super) fn and(mut self, other: Self) -> Self {
        for (path, methods) in other.table.0 {
            self.table.0.entry(path).or_default().extend(methods);
        }
        self.docs.extend(other.docs);
        Self { router: self.router.merge(other.router), ..self }
    }

    /// Puts all routes behind access control; `around` adds the handlers for unknown paths.
    pub(super) fn behind(
        self,
        access_control: &Arc<AccessControl>,
        around: impl FnOnce(Router) -> Router,
    ) -> Router {
        let guarded = (Arc::clone(access_control), Arc::new(self.table));
        around(self.router).layer(middleware::from_fn_with_state(guarded, access_control::admit))
    }

    /// All routes: path, method, role and description.
    pub(super) fn listed(
        &self,
    ) -> impl Iterator<Item = (&'static str, Method, RequiredRole, &RouteDoc)> {
        self.docs.iter().map(|(path, method, doc)| {
            (*path, method.clone(), self.table.required_role(method, Some(path)), doc)
        })
    }
}
