//! Which requests are valid, whatever the address that they come to.
//!
//! The rules of HTTP are applied in two places: what is wrong with the bytes themselves, hyper
//! refuses; everything else is decided here, before any action sees the request. So a request is
//! valid or not in the same way at an action's own address, at the address of a host that forwards
//! it, and at the control address.
//!
//! A valid request comes out in a normal form: its target is a path, its host is in a single header
//! `host`, and headers that concern its connection only are gone.

use ::http::{
    HeaderValue, Method, Request, Uri, Version, header,
    uri::{Authority, PathAndQuery},
};

use super::{
    connection_info::ConnectionInfo,
    early_response::EarlyResponse,
    headers::{list_contains, list_elements, strip_hop_by_hop},
    limits::{REQUEST_HEAD_SIZE, REQUEST_HEADERS, TARGET_MAX},
};
use soloist_guests::capability::TermHeaders;

/// Checks a request, and returns it in its normal form. `from_hosts`: other hosts send requests to
/// this address as well.
pub(super) fn validate<B>(
    mut request: Request<B>,
    info: ConnectionInfo,
    from_hosts: bool,
) -> Result<Request<B>, EarlyResponse> {
    // Forwarded requests were measured before headers were added to them, and the addresses that
    // accept them accept more.
    if !from_hosts || !request.headers().keys().any(TermHeaders::is_reserved) {
        check_size(&request)?;
    }
    let named = missing_host(&request, info)?;
    if *request.method() == Method::CONNECT {
        return Err(EarlyResponse::Connect);
    }
    let target = path_target(&request)?;
    check_coding(&request)?;
    check_expectation(&request)?;
    let upgrade = asks_for_upgrade(&request);
    if let Some(target) = target {
        *request.uri_mut() = target;
    }
    let headers = request.headers_mut();
    strip_hop_by_hop(headers, upgrade);
    // The `100 Continue` is sent when the body is read.
    headers.remove(header::EXPECT);
    if let Some(named) = named {
        headers.insert(header::HOST, named);
    }
    Ok(request)
}

/// Whether `text` is a host name, optionally with a port (RFC 9110, section 7.2); names are at most
/// as long as those of DNS (RFC 1035, section 2.3.4).
pub(crate) fn is_host(text: &str) -> bool {
    let Ok(authority) = text.parse::<Authority>() else { return false };
    let name = authority.host();
    let Some(port) = text.strip_prefix(name) else { return false };
    let is_port = |port: &str| port.is_empty() || port.parse::<u16>().is_ok();
    (1..=255).contains(&name.len())
        && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

fn check_size<B>(request: &Request<B>) -> Result<(), EarlyResponse> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > TARGET_MAX {
        return Err(EarlyResponse::TargetTooLong);
    }
    let headers = request.headers();
    if headers.len() > REQUEST_HEADERS {
        return Err(EarlyResponse::TooManyHeaders);
    }
    let size = headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    if size.sum::<usize>() > REQUEST_HEAD_SIZE {
        Err(EarlyResponse::HeadersTooLarge)
    } else {
        Ok(())
    }
}

/// The value for the header `host`, unless the request has it (RFC 9112, sections 3.2 and 3.3; RFC
/// 9113, section 8.3.1).
fn missing_host<B>(
    request: &Request<B>,
    info: ConnectionInfo,
) -> Result<Option<HeaderValue>, EarlyResponse> {
    let mut named = request.headers().get_all(header::HOST).iter();
    let (named, more) = (named.next(), named.next());
    if more.is_some() {
        return Err(EarlyResponse::InvalidHost);
    }
    let named =
        named.map(|named| named.to_str().map_err(|_| EarlyResponse::InvalidHost)).transpose()?;
    let in_target = request.uri().authority().map(Authority::as_str);
    if !named.into_iter().chain(in_target).all(is_host) {
        return Err(EarlyResponse::InvalidHost);
    }
    let by_http_2 = request.version() == Version::HTTP_2;
    match (in_target, named) {
        (None, Some(_)) => Ok(None),
        (Some(target), Some(named)) if by_http_2 && !target.eq_ignore_ascii_case(named) => {
            Err(EarlyResponse::InvalidHost)
        }
        (Some(_), None) if request.version() == Version::HTTP_11 => Err(EarlyResponse::InvalidHost),
        (Some(target), _) => {
            HeaderValue::from_str(target).map(Some).map_err(|_| EarlyResponse::InvalidHost)
        }
        // Clients of HTTP/1.0 need not name the host, such as load balancers with a health check.
        (None, None) if request.version() < Version::HTTP_11 => {
            HeaderValue::from_str(&info.local.to_string())
                .map(Some)
                .map_err(|_| EarlyResponse::InvalidHost)
        }
        (None, None) => Err(EarlyResponse::InvalidHost),
    }
}

/// The target as a path, unless it is one already (RFC 9112, section 3.2).
fn path_target<B>(request: &Request<B>) -> Result<Option<Uri>, EarlyResponse> {
    let uri = request.uri();
    if uri.path() == "*" {
        let asks = *request.method() == Method::OPTIONS;
        return Err(if asks { EarlyResponse::Asterisk } else { EarlyResponse::InvalidTarget });
    }
    let known = uri.scheme_str().is_none_or(|scheme| matches!(scheme, "http" | "https"));
    if !known || !uri.path().starts_with('/') {
        return Err(EarlyResponse::InvalidTarget);
    }
    if uri.authority().is_none() {
        return Ok(None);
    }
    // A query alone belongs to the root path.
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let slash = if path.starts_with('/') { "" } else { "/" };
    let path = PathAndQuery::try_from(format!("{slash}{path}"));
    path.map(|path| Some(Uri::from(path))).map_err(|_| EarlyResponse::InvalidTarget)
}

/// `chunked` is decoded; other codings before it are refused, because an action would not know how
/// to read the body (RFC 9112, sections 6.1 and 7.1). Where `chunked` is not the last coding, hyper
/// has refused the request with 400, since nobody can tell where the body ends (section 6.3).
fn check_coding<B>(request: &Request<B>) -> Result<(), EarlyResponse> {
    let mut codings = list_elements(request.headers(), &header::TRANSFER_ENCODING);
    if codings.any(|coding| !coding.eq_ignore_ascii_case("chunked")) {
        return Err(EarlyResponse::UnknownCoding);
    }
    let many = list_elements(request.headers(), &header::TRANSFER_ENCODING).nth(1).is_some();
    if many { Err(EarlyResponse::DuplicateCoding) } else { Ok(()) }
}

/// Only `100-continue` may be expected (RFC 9110, section 10.1.1).
fn check_expectation<B>(request: &Request<B>) -> Result<(), EarlyResponse> {
    let mut expected = list_elements(request.headers(), &header::EXPECT);
    let known = expected.all(|it| it.eq_ignore_ascii_case("100-continue"));
    if known { Ok(()) } else { Err(EarlyResponse::Expectation) }
}

/// Whether the client asks for another protocol. A client that only offers one, offers HTTP/2, or
/// uses a version of HTTP without upgrades is answered as if it had not asked (RFC 9110, section
/// 7.8).
fn asks_for_upgrade<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    request.version() == Version::HTTP_11
        && list_contains(headers, &header::CONNECTION, "upgrade")
        && list_elements(headers, &header::UPGRADE).any(|to| !to.eq_ignore_ascii_case("h2c"))
}

#[cfg(test)]
mod tests {
    use super::super::headers::tests::{headers, info};
    use super::*;

    fn request(
        version: Version,
        method: &str,
        uri: &str,
        list: &[(&'static str, &'static str)],
    ) -> Request<()> {
        let mut request = Request::builder().method(method).uri(uri).body(()).unwrap();
        *request.version_mut() = version;
        *request.headers_mut() = headers(list);
        request
    }

    fn get(uri: &str, list: &[(&'static str, &'static str)]) -> Request<()> {
        request(Version::HTTP_11, "GET", uri, list)
    }

    fn admitted(request: Request<()>) -> Result<Request<()>, EarlyResponse> {
        validate(request, info("192.0.2.7"), false)
    }

    #[test]
    fn a_host_has_a_name_and_perhaps_a_port() {
        for good in
            ["a", "example.com:80", "example.com:", "[::1]:4000", "[2001:db8::1]", "1.2.3.4"]
        {
            assert!(is_host(good), "{good}");
        }
        for bad in
            ["", ":80", "u@b", "u:p@b", "a b", "a/b", "a:b", "a:99999", "a:1:2", "[::1", "a,b c"]
        {
            assert!(!is_host(bad), "{bad}");
        }
    }

    #[test]
    fn which_host_is_meant_is_said_once() {
        for (list, good) in [
            (&[("host", "example.com")][..], true),
            (&[("host", "[2001:db8::1]:80")], true),
            (&[], false),
            (&[("host", "")], false),
            (&[("host", "a b")], false),
            (&[("host", "u@b")], false),
            (&[("host", "a"), ("host", "a")], false),
        ] {
            let told = admitted(get("/x", list));
            assert_eq!(told.is_ok(), good, "{list:?}: {told:?}");
        }
    }

    #[test]
    fn who_speaks_an_old_http_means_the_address_that_it_has_called() {
        let told = admitted(request(Version::HTTP_10, "OPTIONS", "/", &[])).unwrap();
        assert_eq!(told.headers()["host"], "10.0.0.1:80");
        let two = request(Version::HTTP_10, "GET", "/", &[("host", "a"), ("host", "b")]);
        assert_eq!(admitted(two).unwrap_err(), EarlyResponse::InvalidHost);
    }

    #[test]
    fn a_whole_url_says_which_host_is_meant() {
        let told = admitted(get("http://b:8080/x?y", &[("host", "a")])).unwrap();
        assert_eq!(
            (told.uri().to_string().as_str(), &told.headers()["host"]),
            ("/x?y", &HeaderValue::from_static("b:8080"))
        );
        assert_eq!(admitted(get("http://b?y", &[("host", "a")])).unwrap().uri(), "/?y");
        assert_eq!(admitted(get("http://b/", &[])).unwrap_err(), EarlyResponse::InvalidHost);
        assert_eq!(
            admitted(get("ftp://b/", &[("host", "b")])).unwrap_err(),
            EarlyResponse::InvalidTarget
        );
        let by_http_2 = |list| request(Version::HTTP_2, "GET", "https://b/", list);
        assert_eq!(admitted(by_http_2(&[])).unwrap().headers()["host"], "b");
        assert!(admitted(by_http_2(&[("host", "B")])).is_ok());
        assert_eq!(admitted(by_http_2(&[("host", "c")])).unwrap_err(), EarlyResponse::InvalidHost);
    }

    #[test]
    fn what_is_no_path_is_no_target() {
        let asks = |method, uri| {
            admitted(request(Version::HTTP_11, method, uri, &[("host", "a")])).unwrap_err()
        };
        assert_eq!(asks("OPTIONS", "*"), EarlyResponse::Asterisk);
        assert_eq!(asks("GET", "*"), EarlyResponse::InvalidTarget);
        assert_eq!(asks("GET", "example.com:80"), EarlyResponse::InvalidTarget);
        assert_eq!(asks("CONNECT", "example.com:80"), EarlyResponse::Connect);
        let longest = format!("/{}", "x".repeat(TARGET_MAX - 1));
        assert!(admitted(get(&longest, &[("host", "a")])).is_ok());
        assert_eq!(asks("GET", &format!("{longest}x")), EarlyResponse::TargetTooLong);
    }

    #[test]
    fn what_is_only_offered_is_not_asked_for() {
        let upgraded = |list: &[(&'static str, &'static str)]| {
            let told = admitted(get("/", &[&[("host", "a")][..], list].concat())).unwrap();
            told.headers().contains_key("upgrade")
        };
        assert!(upgraded(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]));
        assert!(!upgraded(&[("upgrade", "websocket")]));
        assert!(!upgraded(&[("connection", "upgrade"), ("upgrade", "h2c")]));
    }

    #[test]
    fn codings_and_expectations_are_known_or_refused() {
        let asks = |name, value| admitted(get("/", &[("host", "a"), (name, value)]));
        assert!(asks("transfer-encoding", "Chunked").is_ok());
        assert_eq!(
            asks("transfer-encoding", "gzip, chunked").unwrap_err(),
            EarlyResponse::UnknownCoding
        );
        assert_eq!(
            asks("transfer-encoding", "chunked, chunked").unwrap_err(),
            EarlyResponse::DuplicateCoding
        );
        let told = asks("expect", "100-Continue").unwrap();
        assert!(!told.headers().contains_key("expect"));
        assert_eq!(asks("expect", "a-miracle").unwrap_err(), EarlyResponse::Expectation);
    }

    #[test]
    fn heads_have_an_end() {
        let with = |list: Vec<(&'static str, &'static str)>| {
            admitted(get("/", &[&[("host", "a")][..], &list].concat()))
        };
        assert!(with(vec![("x", "1"); REQUEST_HEADERS - 1]).is_ok());
        assert_eq!(
            with(vec![("x", "1"); REQUEST_HEADERS]).unwrap_err(),
            EarlyResponse::TooManyHeaders
        );
        let long: &'static str = "x".repeat(REQUEST_HEAD_SIZE / 2).leak();
        assert_eq!(with(vec![("x", long); 2]).unwrap_err(), EarlyResponse::HeadersTooLarge);
    }
}
