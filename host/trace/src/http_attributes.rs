//! The attributes of spans of HTTP requests (OpenTelemetry Semantic Conventions, "HTTP Spans").

use ::http::{HeaderMap, Method, Uri, header, uri::Authority};
use opentelemetry::KeyValue;

/// The name and the attributes of a span.
pub type SpanDescription = (String, Vec<KeyValue>);

/// Describes a request that is served under `route`, over TLS if it is `secure`.
pub fn served_request(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    route: &str,
    secure: bool,
) -> SpanDescription {
    let scheme = if secure { "https" } else { "http" };
    let (name, mut about) = of_method(method);
    about.push(KeyValue::new("url.scheme", scheme));
    // The route was taken off the path, so that the plugin need not know of it.
    let path = format!("{}{}", route.trim_end_matches('/'), uri.path());
    about.push(KeyValue::new("url.path", path));
    about.push(KeyValue::new("http.route", route.to_owned()));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse().ok());
    about.extend(host.iter().flat_map(|host| server(host, scheme)));
    (format!("{name} {route}"), about)
}

/// Describes a request that is sent to `uri`. Of the URL only the server is recorded: the paths and
/// queries of some APIs contain tokens.
pub fn sent_request(method: &Method, uri: &Uri) -> SpanDescription {
    let (name, mut about) = of_method(method);
    if let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) {
        let server = server(authority, scheme);
        let host = authority.as_str().rsplit('@').next().unwrap_or_default();
        about.push(KeyValue::new("url.full", format!("{scheme}://{host}/")));
        about.extend(server);
    }
    (name, about)
}

/// The part of a span's name that stands for the method, and the attributes of the method. Methods
/// that nobody knows would make any number of names.
fn of_method(method: &Method) -> SpanDescription {
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::CONNECT,
        Method::OPTIONS,
        Method::TRACE,
        Method::PATCH,
    ];
    let key = "http.request.method";
    if known.contains(method) {
        return (method.to_string(), vec![KeyValue::new(key, method.to_string())]);
    }
    let original = KeyValue::new("http.request.method_original", method.to_string());
    ("HTTP".to_owned(), vec![KeyValue::new(key, "_OTHER"), original])
}

fn server(authority: &Authority, scheme: &str) -> [KeyValue; 2] {
    let port = authority.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    [
        KeyValue::new("server.address", host.to_owned()),
        KeyValue::new("server.port", i64::from(port)),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ::http::HeaderValue;

    use super::*;

    fn told((name, about): SpanDescription) -> (String, BTreeMap<String, String>) {
        let pair = |pair: KeyValue| (pair.key.to_string(), pair.value.to_string());
        (name, about.into_iter().map(pair).collect())
    }

    fn map<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn a_served_request_is_named_by_its_route() {
        let headers = [(header::HOST, HeaderValue::from_static("shop.example:8443"))];
        let headers = headers.into_iter().collect();
        let uri = "/cart?token=secret".parse().unwrap();
        let (name, about) = told(served_request(&Method::GET, &uri, &headers, "/shop", true));
        assert_eq!(name, "GET /shop");
        let expected = map([
            ("http.request.method", "GET"),
            ("url.scheme", "https"),
            ("url.path", "/shop/cart"),
            ("http.route", "/shop"),
            ("server.address", "shop.example"),
            ("server.port", "8443"),
        ]);
        assert_eq!(about, expected);
    }

    #[test]
    fn a_sent_request_tells_no_secret_of_its_url() {
        let uri = "https://ada:pw@[::1]/bot123:token/send?key=1".parse().unwrap();
        let (name, about) = told(sent_request(&Method::POST, &uri));
        let expected = map([
            ("http.request.method", "POST"),
            ("url.full", "https://[::1]/"),
            ("server.address", "::1"),
            ("server.port", "443"),
        ]);
        assert_eq!((&*name, about), ("POST", expected));
    }

    #[test]
    fn a_method_of_ones_own_makes_no_name() {
        let (name, about) = told(sent_request(&"BREW".parse().unwrap(), &"/".parse().unwrap()));
        let expected =
            map([("http.request.method", "_OTHER"), ("http.request.method_original", "BREW")]);
        assert_eq!((&*name, about), ("HTTP", expected));
    }
}
