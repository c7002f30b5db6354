//! Refuses requests that another host has sent to a third one, and that came here because of a
//! wrong address.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::HeaderValue,
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::api_error::ApiError;
use crate::cluster::{MISDIRECTED, REACHED, meant_for_another};

/// Passes a request on unless it is meant for another host than `host`, this one.
pub(super) async fn check(State(host): State<Arc<str>>, request: Request, next: Next) -> Response {
    let Some(other) = meant_for_another(request.headers(), &host) else {
        return next.run(request).await;
    };
    let error = format!("this is the host {host}, and the request is meant for {other}");
    let help = format!("set `host.advertise` on {other}");
    let mut response = ApiError::new(MISDIRECTED, error, help).into_response();
    if let Ok(host) = HeaderValue::from_str(&host) {
        response.headers_mut().insert(REACHED, host);
    }
    response
}
