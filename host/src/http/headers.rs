//! Headers that a host handles the same way for everybody: those that concern one connection only,
//! and those that say where a request came from.

use std::net::IpAddr;

use ::http::{HeaderMap, HeaderName, HeaderValue, header};

use super::connection_info::ConnectionInfo;
use soloist_config::IpNetwork;
use soloist_guests::capability::TermHeaders;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Headers that concern one connection only (RFC 9110, section 7.6.1), in addition to those that
/// the header `connection` names.
const HOP_BY_HOP: [HeaderName; 5] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Headers that are read before the content, or are useless after it (RFC 9110, section 6.5.1).
const NO_TRAILERS: [HeaderName; 12] = [
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::HOST,
    header::MAX_FORWARDS,
    header::SET_COOKIE,
    header::TE,
    header::TRAILER,
];

/// Removes the headers that concern one connection only. With `upgrade`, those that ask for an
/// upgrade stay.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap, upgrade: bool) {
    let to = headers.get(header::UPGRADE).cloned().filter(|_| upgrade);
    let named: Vec<HeaderName> = list_elements(headers, &header::CONNECTION)
        .filter_map(|name| name.parse().ok())
        .filter(connection_may_name)
        .collect();
    // Without `te: trailers` the other side sends no trailers.
    let trailers = accepts_trailers(headers);
    for name in named.iter().chain(&HOP_BY_HOP).chain([&header::TE]) {
        headers.remove(name);
    }
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    if let Some(to) = to {
        headers.insert(header::UPGRADE, to);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

/// Removes trailers that are not allowed as such: those that say how a message is read, whom it is
/// for or who may have it (RFC 9110, section 6.5.1), and those that only hosts may set.
pub(crate) fn sanitize_trailers(trailers: &mut HeaderMap) {
    strip_hop_by_hop(trailers, false);
    TermHeaders::strip_reserved(trailers);
    for name in NO_TRAILERS {
        trailers.remove(name);
    }
}

/// Whether `connection` may remove a header. It may not name headers for all recipients of a
/// message (RFC 9110, section 7.6.1), such as `host`, nor those that only hosts may set.
fn connection_may_name(name: &HeaderName) -> bool {
    *name != header::HOST && !TermHeaders::is_reserved(name)
}

/// Whether the sender accepts trailers (RFC 9110, section 10.1.4).
pub(crate) fn accepts_trailers(headers: &HeaderMap) -> bool {
    list_contains(headers, &header::TE, "trailers")
}

/// Whether the list in header `name` contains `element`, ignoring case.
pub(super) fn list_contains(headers: &HeaderMap, name: &HeaderName, element: &str) -> bool {
    list_elements(headers, name).any(|it| it.eq_ignore_ascii_case(element))
}

/// The elements of a list (RFC 9110, section 5.6.1), from all lines of the header.
pub(super) fn list_elements<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a str> + use<'a> {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|element| !element.is_empty())
}

/// Headers by which proxies say where a request came from; clients could set them as well.
const OF_PROXIES: [HeaderName; 9] = [
    header::FORWARDED,
    FORWARDED_FOR,
    FORWARDED_HOST,
    FORWARDED_PROTO,
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-server"),
    HeaderName::from_static("x-forwarded-ssl"),
    HeaderName::from_static("x-real-ip"),
];

/// Sets where a client's request came from. What the request says of that itself is kept only if it
/// comes from a `trusted` proxy; then this host adds its own part.
pub(crate) fn set_forwarded(headers: &mut HeaderMap, info: ConnectionInfo, trusted: &[IpNetwork]) {
    if !trusted.iter().any(|network| network.contains(info.peer.ip())) {
        for name in &OF_PROXIES {
            headers.remove(name);
        }
    }
    add_forwarded(headers, info);
}

/// Adds where a request came from, as proxies do: to `forwarded` (RFC 7239) and to the older
/// `x-forwarded-*`. The host and scheme that the client asked for are set by the first proxy only.
pub(crate) fn add_forwarded(headers: &mut HeaderMap, info: ConnectionInfo) {
    let proto = if info.secure { "https" } else { "http" };
    let host = headers.get(header::HOST).cloned();
    let (peer, node) = match info.peer.ip().to_canonical() {
        IpAddr::V4(ip) => (ip.to_string(), ip.to_string()),
        IpAddr::V6(ip) => (ip.to_string(), format!("\"[{ip}]\"")),
    };
    let mut element = format!("for={node};proto={proto}");
    if let Some(host) = host.as_ref().and_then(|host| host.to_str().ok()) {
        element += &format!(";host=\"{host}\"");
    }
    append_to_list(headers, FORWARDED_FOR, &peer);
    append_to_list(headers, header::FORWARDED, &element);
    if let Some(host) = host {
        headers.entry(FORWARDED_HOST).or_insert(host);
    }
    headers.entry(FORWARDED_PROTO).or_insert(HeaderValue::from_static(proto));
}

/// Adds an element to a list, and keeps the list in one header line.
fn append_to_list(headers: &mut HeaderMap, name: HeaderName, element: &str) {
    let before = headers.get_all(&name).iter().filter_map(|value| value.to_str().ok());
    let list: Vec<_> = before.chain([element]).collect();
    if let Ok(value) = HeaderValue::from_str(&list.join(", ")) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::http) fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair =
            |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let mut headers = HeaderMap::new();
        for (name, value) in list.iter().map(pair) {
            headers.append(name, value);
        }
        headers
    }

    pub(in crate::http) fn info(ip: &str) -> ConnectionInfo {
        let (peer, local) = ((ip.parse::<IpAddr>().unwrap(), 1).into(), ([10, 0, 0, 1], 80).into());
        ConnectionInfo { peer, local, secure: true, has_certificate: false }
    }

    #[test]
    fn what_concerns_one_connection_goes_no_further() {
        let all = [
            ("connection", "close, x-mine"),
            ("x-mine", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "gzip, Trailers"),
            ("upgrade", "websocket"),
            ("transfer-encoding", "chunked"),
            ("x-theirs", "2"),
        ];
        let mut plain = headers(&all);
        strip_hop_by_hop(&mut plain, false);
        assert_eq!(plain, headers(&[("x-theirs", "2"), ("te", "trailers")]));
        let mut upgrade = headers(&all);
        strip_hop_by_hop(&mut upgrade, true);
        assert_eq!(upgrade["upgrade"], "websocket");
        assert_eq!(upgrade["connection"], "upgrade");
    }

    #[test]
    fn trailers_say_nothing_of_the_message() {
        let mut trailers = headers(&[
            ("grpc-status", "0"),
            ("content-length", "9"),
            ("transfer-encoding", "chunked"),
            ("soloist-fencing-token", "9"),
            ("set-cookie", "a=b"),
        ]);
        sanitize_trailers(&mut trailers);
        assert_eq!(trailers, headers(&[("grpc-status", "0")]));
    }

    #[test]
    fn a_client_takes_off_nothing_that_is_added() {
        let added = ["x-forwarded-for", "forwarded", "x-forwarded-host", "x-forwarded-proto"];
        for named in [
            &["x-forwarded-for, forwarded, x-forwarded-host, x-forwarded-proto, host"][..],
            &["X-Forwarded-For,FORWARDED", "close", "X-Forwarded-Host , x-forwarded-PROTO,Host"],
            &["keep-alive, , x-forwarded-for;, forwarded", "x-forwarded-host\t,host"],
            &["upgrade, x-forwarded-for, forwarded, host"],
        ] {
            let all = named.iter().map(|named| ("connection", *named));
            let rest = [("host", "example.com"), ("x-forwarded-for", "198.51.100.1")];
            let mut headers = headers(&all.chain(rest).collect::<Vec<_>>());
            strip_hop_by_hop(&mut headers, false);
            add_forwarded(&mut headers, info("192.0.2.7"));
            // A host that passes the request on must not undo it either.
            strip_hop_by_hop(&mut headers, false);
            for name in added {
                assert!(headers.contains_key(name), "{named:?} took {name} off");
            }
            let last = headers["x-forwarded-for"].to_str().unwrap().rsplit(", ").next();
            assert_eq!(last, Some("192.0.2.7"), "{named:?}");
            assert_eq!(headers["host"], "example.com", "{named:?}");
            assert!(!headers.contains_key("connection"), "{named:?}");
        }
    }

    #[test]
    fn what_hosts_say_is_taken_off_by_nobody() {
        for named in ["soloist-fencing-token", "Soloist-Host, soloist-via", "SOLOIST-UNSERVED"] {
            let mut answer = headers(&[
                ("connection", named),
                ("soloist-fencing-token", "7"),
                ("soloist-host", "a"),
                ("soloist-via", "a"),
                ("soloist-unserved", "lost"),
            ]);
            strip_hop_by_hop(&mut answer, false);
            assert_eq!(answer.len(), 4, "{named}: {answer:?}");
        }
    }

    #[test]
    fn clients_say_nothing_of_where_they_are_but_proxies_do() {
        let told = [("x-forwarded-for", "198.51.100.1"), ("x-real-ip", "198.51.100.1")];
        let trusted = ["192.0.2.0/24".parse().unwrap()];
        let mut of_proxy = headers(&told);
        set_forwarded(&mut of_proxy, info("192.0.2.7"), &trusted);
        assert_eq!(of_proxy["x-forwarded-for"], "198.51.100.1, 192.0.2.7");
        assert_eq!(of_proxy["x-real-ip"], "198.51.100.1");
        let mut of_client = headers(&told);
        set_forwarded(&mut of_client, info("203.0.113.1"), &trusted);
        assert_eq!(of_client["x-forwarded-for"], "203.0.113.1");
        assert!(!of_client.contains_key("x-real-ip"));
    }

    #[test]
    fn where_it_came_from_is_added_to_what_was_said_before() {
        let mut new = headers(&[("host", "example.com:80")]);
        add_forwarded(&mut new, info("192.0.2.7"));
        assert_eq!(new["x-forwarded-for"], "192.0.2.7");
        assert_eq!(new["x-forwarded-host"], "example.com:80");
        assert_eq!(new["x-forwarded-proto"], "https");
        assert_eq!(new["forwarded"], "for=192.0.2.7;proto=https;host=\"example.com:80\"");

        let mut old =
            headers(&[("x-forwarded-for", "198.51.100.1"), ("x-forwarded-proto", "http")]);
        add_forwarded(&mut old, info("2001:db8::1"));
        assert_eq!(old["x-forwarded-for"], "198.51.100.1, 2001:db8::1");
        assert_eq!(old["x-forwarded-proto"], "http");
        assert_eq!(old["forwarded"], "for=\"[2001:db8::1]\";proto=https");
    }
}
