//! The roles that all routes require.

use std::collections::HashMap;

use axum::http::Method;

use super::required_role::{OPERATE, READ, RequiredRole};

/// The role that each route requires, by path and method.
#[derive(Default)]
pub(super) struct RoleTable(pub(super) HashMap<&'static str, HashMap<Method, RequiredRole>>);

impl RoleTable {
    /// The role for a request; a path that does not exist requires `read`, and a method that was
    /// not listed requires `operate`.
    pub(super) fn required_role(&self, method: &Method, path: Option<&str>) -> RequiredRole {
        let Some(path) = path else { return READ };
        let method = listed_method(method);
        self.0.get(path).and_then(|methods| methods.get(method)).copied().unwrap_or(OPERATE)
    }
}

/// Routes accept `HEAD` wherever they accept `GET`.
pub(super) fn listed_method(method: &Method) -> &Method {
    if *method == Method::HEAD { &Method::GET } else { method }
}
