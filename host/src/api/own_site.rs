//! Keeps web pages of other sites from changing anything here.
//!
//! A browser asks before it sends such a request on a page's behalf (Fetch
//! Standard: "CORS-preflight fetch"), and nobody answers that here. This refuses
//! besides what a browser itself calls another site's (W3C: "Fetch Metadata
//! Request Headers"). Programs say nothing of the kind and are let through.

use axum::{
    extract::Request,
    http::{Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::refusal::Refusal;

/// Lets through what only reads, and what no other site's page sends.
pub(super) async fn only(request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let site = request.headers().get("sec-fetch-site").map(|site| site.as_bytes());
    if reads || matches!(site, None | Some(b"none" | b"same-origin")) {
        return next.run(request).await;
    }
    let help = "use `soloist`, curl, or the address of this host itself";
    Refusal::new(StatusCode::FORBIDDEN, "a page of another site may change nothing here", help)
        .into_response()
}
