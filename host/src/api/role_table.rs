//! What each route takes.

use std::collections::HashMap;

use axum::http::Method;

use super::required_role::{OPERATE, READ, RequiredRole};

/// What each route needs.
#[derive(Default)]
pub(super) struct RoleTable(pub(super) HashMap<&'static str, HashMap<Method, RequiredRole>>);

impl RoleTable {
    /// What it takes to ask for what is at `path`; there may be nothing.
    pub(super) fn required_role(&self, method: &Method, path: Option<&str>) -> RequiredRole {
        let Some(path) = path else { return READ };
        let method = listed_method(method);
        self.0.get(path).and_then(|methods| methods.get(method)).copied().unwrap_or(OPERATE)
    }
}

/// Of what looks only, a route takes `HEAD` wherever it takes `GET`.
pub(super) fn listed_method(method: &Method) -> &Method {
    if *method == Method::HEAD { &Method::GET } else { method }
}
