//! Keeps web pages of other sites from changing anything here.
//!
//! For most such requests a browser asks for permission first (Fetch Standard: "CORS-preflight
//! fetch"), and this host grants none. The others are refused if the browser marks them as coming
//! from another site (W3C: "Fetch Metadata Request Headers") or sends another origin; without TLS
//! the origin is all that it sends. Programs send neither and are let through.

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};

use super::allowed_names::called_authority;
use crate::api::api_error::ApiError;

/// Refuses a request of another site's page that does more than read. Upgrades are refused too:
/// nothing is known of what such a connection will do.
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
    let what = "pages of other sites may not change anything here";
    Err(ApiError::new(StatusCode::FORBIDDEN, what, help))
}

/// Whether the page that sent the request, if it was a page, belongs to the address that it was
/// sent to.
fn is_own_origin(uri: &Uri, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let Some(Ok(called)) = called_authority(uri, headers) else { return false };
    origin.is_some_and(|(_, origin)| origin.eq_ignore_ascii_case(called.as_str()))
}
