//! Keeps web pages of other sites from changing anything here.
//!
//! A browser asks before it sends such a request on a page's behalf (Fetch
//! Standard: "CORS-preflight fetch"), and nobody answers that here. This refuses
//! besides what a browser itself calls another site's (W3C: "Fetch Metadata
//! Request Headers"), or sends from another origin: to addresses without TLS they say that
//! alone. Programs say nothing of the kind and are let through.

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};

use super::{access_control::called_authority, api_error::ApiError};

/// Says no to what another site's page sends and does more than read. An upgrade makes a
/// connection of which nothing is known.
pub(super) fn check(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let reads = reads && !headers.contains_key(header::UPGRADE);
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    let own = match site {
        Some(site) => matches!(site, b"none" | b"same-origin"),
        None => is_own_origin(uri, headers),
    };
    if reads || own {
        return Ok(());
    }
    let help = "use `soloist`, curl, or the address of this host itself";
    let what = "a page of another site may change nothing here";
    Err(ApiError::new(StatusCode::FORBIDDEN, what, help))
}

/// Whether the page that sends it, if it is one, is at the address that it sends it to.
fn is_own_origin(uri: &Uri, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let Some(Ok(called)) = called_authority(uri, headers) else { return false };
    origin.is_some_and(|(_, origin)| origin.eq_ignore_ascii_case(called.as_str()))
}
