//! Keeps web pages of other sites from changing anything here.
//!
//! A browser asks before it sends such a request on a page's behalf (Fetch
//! Standard: "CORS-preflight fetch"), and nobody answers that here. This refuses
//! besides what a browser itself calls another site's (W3C: "Fetch Metadata
//! Request Headers"). Programs say nothing of the kind and are let through.

use axum::{
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::refusal::Refusal;

/// Lets through what only reads, and what no other site's page sends.
pub(super) async fn only(request: Request, next: Next) -> Response {
    match check(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// Says no to what another site's page sends and does more than read. An upgrade makes a
/// connection of which nothing is known.
pub(super) fn check(method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let reads = reads && !headers.contains_key(header::UPGRADE);
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    if reads || matches!(site, None | Some(b"none" | b"same-origin")) {
        return Ok(());
    }
    let help = "use `soloist`, curl, or the address of this host itself";
    let what = "a page of another site may change nothing here";
    Err(Refusal::new(StatusCode::FORBIDDEN, what, help))
}
