//! The host names under which the control API may be called.
//!
//! This prevents DNS rebinding: another site could let one of its own names resolve to this
//! host's address, and its page would then count as this host's own. Browsers send the name with
//! the request, so such names are refused. Addresses cannot be abused in this way.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, StatusCode, Uri, header, uri::Authority};

use crate::api::api_error::ApiError;
use soloist_config::HostConfig;

/// The allowed host names; all addresses and `localhost` are allowed as well.
#[derive(Clone, Debug, Default)]
pub(super) struct AllowedNames(Vec<String>);

impl AllowedNames {
    /// The names of a host whose control API is bound to `bound`.
    pub(super) fn of(host: &HostConfig, bound: SocketAddr) -> Self {
        let url = host.url(bound).parse::<Uri>().ok();
        let own = url.and_then(|url| Some(url.host()?.to_ascii_lowercase()));
        Self(host.names.iter().cloned().chain(own).collect())
    }

    /// Refuses a request that was addressed to another name. Requests that say no name are let
    /// through.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        let Some(called) = called_authority(uri, headers) else { return Ok(()) };
        let Ok(called) = called else { return Err(refusal("what `host` says")) };
        let name = called.host().trim_end_matches('.').to_ascii_lowercase();
        let ip = name.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(&name);
        if name == "localhost" || ip.parse::<IpAddr>().is_ok() || self.0.contains(&name) {
            return Ok(());
        }
        Err(refusal(&name))
    }
}

/// The host name or address that a request was sent to, if it says so; browsers always do.
pub(super) fn called_authority(
    uri: &Uri,
    headers: &HeaderMap,
) -> Option<Result<Authority, StatusCode>> {
    if let Some(authority) = uri.authority() {
        return Some(Ok(authority.clone()));
    }
    let host = headers.get(header::HOST)?;
    let host = host.to_str().ok().and_then(|host| host.parse().ok());
    Some(host.ok_or(StatusCode::BAD_REQUEST))
}

fn refusal(name: &str) -> ApiError {
    let what = format!("this host is not known by the name {name:?}");
    let help = "call it by an address, or write the name into `names` in [host]";
    ApiError::new(StatusCode::MISDIRECTED_REQUEST, what, help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_its_own_names_are_known() {
        let names = AllowedNames(vec!["soloist.example.com".into(), "a".into()]);
        let check = |host: &str| {
            let headers = [(header::HOST, host.parse().unwrap())].into_iter().collect();
            names.check(&Uri::from_static("/v1/status"), &headers).is_ok()
        };
        for known in [
            "127.0.0.1:4000",
            "10.0.0.1",
            "[::1]:4000",
            "localhost:4000",
            "A:4000",
            "soloist.example.com",
            "soloist.example.com.:443",
        ] {
            assert!(check(known), "{known}");
        }
        for strange in [
            "evil.example:4000",
            "example.com",
            "127.0.0.1.evil.example",
            "localhost.evil",
            "b",
            "",
        ] {
            assert!(!check(strange), "{strange}");
        }
        let by_uri = Uri::from_static("http://evil.example/v1/status");
        assert!(names.check(&by_uri, &HeaderMap::new()).is_err());
        assert!(names.check(&Uri::from_static("/"), &HeaderMap::new()).is_ok());
    }
}
