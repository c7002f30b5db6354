//! What each route takes.

use std::collections::HashMap;

use axum::http::Method;

use super::needs::{Needs, OPERATE, READ};

/// What each route needs.
#[derive(Default)]
pub(super) struct Table(pub(super) HashMap<&'static str, HashMap<Method, Needs>>);

impl Table {
    /// What it takes to ask for what is at `path`; there may be nothing.
    pub(super) fn needs(&self, method: &Method, path: Option<&str>) -> Needs {
        let Some(path) = path else { return READ };
        let method = as_listed(method);
        self.0.get(path).and_then(|methods| methods.get(method)).copied().unwrap_or(OPERATE)
    }
}

/// Of what looks only, a route takes `HEAD` wherever it takes `GET`.
pub(super) fn as_listed(method: &Method) -> &Method {
    if *method == Method::HEAD { &Method::GET } else { method }
}
