//! The headers of requests and answers that pass a host, as they concern everybody: what goes
//! no further than one connection, and where a request came from.

use std::net::IpAddr;

use ::http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header, uri::Authority};

use super::{trail, tunnel};
use crate::action::Caller;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What concerns one connection only (RFC 9110, section 7.6.1), beside what the header
/// `connection` names.
const HOP_BY_HOP: [HeaderName; 5] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Takes in a request: what concerned the connection that it came by goes, before anything is
/// added that its sender could name there.
pub(super) fn take_in<B>(request: &mut Request<B>) {
    let upgrade = tunnel::is_asked(request.method(), request.headers());
    take_off_hop_by_hop(request.headers_mut(), upgrade);
}

/// Whether a request says which host it is for, and only once (RFC 9112, section 3.2). One that
/// does not would get the name of the address that it is passed on to.
pub(super) fn names_host<B>(request: &Request<B>) -> bool {
    let mut named = request.headers().get_all(header::HOST).iter();
    match (named.next(), named.next()) {
        (_, Some(_)) => false,
        (None, None) => request.uri().authority().is_some(),
        (Some(host), None) => host.to_str().is_ok_and(|host| host.parse::<Authority>().is_ok()),
    }
}

/// Says for which host a request is that another host has passed on: the one that its client
/// has `asked` for, which that host says of every request. Nothing else that says so is left.
pub(super) fn restore_host<B>(request: &mut Request<B>, asked: HeaderValue) {
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
    request.headers_mut().insert(header::HOST, asked);
}

/// Takes off what concerns one connection only; `upgrade`: but for what asks for an upgrade.
pub(super) fn take_off_hop_by_hop(headers: &mut HeaderMap, upgrade: bool) {
    let to = headers.get(header::UPGRADE).cloned().filter(|_| upgrade);
    let named: Vec<HeaderName> = (headers.get_all(header::CONNECTION).iter())
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(',').filter_map(|name| name.trim().parse().ok()))
        .filter(may_be_named)
        .collect();
    // Without it no trailers come.
    let trailers = headers.get(header::TE).is_some_and(takes_trailers);
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

/// Whether `connection` may take a header off. It may not name what is for all who get a
/// message (RFC 9110, section 7.6.1): which host it is for, and what hosts say themselves.
fn may_be_named(name: &HeaderName) -> bool {
    *name != header::HOST && !trail::is_own(name)
}

fn takes_trailers(te: &HeaderValue) -> bool {
    te.to_str().is_ok_and(|te| te.split(',').any(|coding| coding.trim() == "trailers"))
}

/// Adds where a request came from, as proxies do: `forwarded` (RFC 7239) and what was there
/// before it. Which host and scheme the client asked for is said by the first proxy.
pub(super) fn add_forwarded(headers: &mut HeaderMap, uri: &Uri, caller: Caller) {
    let proto = if caller.secure { "https" } else { "http" };
    let host = uri
        .authority()
        .cloned()
        .or_else(|| headers.get(header::HOST)?.to_str().ok()?.parse::<Authority>().ok());
    let (peer, node) = match caller.peer.ip().to_canonical() {
        IpAddr::V4(ip) => (ip.to_string(), ip.to_string()),
        IpAddr::V6(ip) => (ip.to_string(), format!("\"[{ip}]\"")),
    };
    let mut element = format!("for={node};proto={proto}");
    if let Some(host) = &host {
        element += &format!(";host=\"{host}\"");
    }
    append(headers, FORWARDED_FOR, &peer);
    append(headers, header::FORWARDED, &element);
    if let Some(host) = host.and_then(|host| HeaderValue::from_str(host.as_str()).ok()) {
        headers.entry(FORWARDED_HOST).or_insert(host);
    }
    headers.entry(FORWARDED_PROTO).or_insert(HeaderValue::from_static(proto));
}

/// Adds an element to a list, which stays one header.
fn append(headers: &mut HeaderMap, name: HeaderName, element: &str) {
    let before = headers.get_all(&name).iter().filter_map(|value| value.to_str().ok());
    let list: Vec<_> = before.chain([element]).collect();
    if let Ok(value) = HeaderValue::from_str(&list.join(", ")) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair =
            |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let mut headers = HeaderMap::new();
        for (name, value) in list.iter().map(pair) {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn what_concerns_one_connection_goes_no_further() {
        let all = [
            ("connection", "close, x-mine"),
            ("x-mine", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "gzip, trailers"),
            ("upgrade", "websocket"),
            ("transfer-encoding", "chunked"),
            ("x-theirs", "2"),
        ];
        let mut plain = headers(&all);
        take_off_hop_by_hop(&mut plain, false);
        assert_eq!(plain, headers(&[("x-theirs", "2"), ("te", "trailers")]));
        let mut upgrade = headers(&all);
        take_off_hop_by_hop(&mut upgrade, true);
        assert_eq!(upgrade["upgrade"], "websocket");
        assert_eq!(upgrade["connection"], "upgrade");
    }

    /// A request as a client sends it.
    fn sent(list: &[(&'static str, &'static str)]) -> Request<()> {
        let mut request = Request::new(());
        *request.headers_mut() = headers(list);
        request
    }

    #[test]
    fn a_client_takes_off_nothing_that_is_added() {
        let caller = Caller { peer: ([192, 0, 2, 7], 1).into(), secure: true, certified: false };
        let added = ["x-forwarded-for", "forwarded", "x-forwarded-host", "x-forwarded-proto"];
        for named in [
            &["x-forwarded-for, forwarded, x-forwarded-host, x-forwarded-proto, host"][..],
            &["X-Forwarded-For,FORWARDED", "close", "X-Forwarded-Host , x-forwarded-PROTO,Host"],
            &["keep-alive, , x-forwarded-for;, forwarded", "x-forwarded-host\t,host"],
            &["upgrade, x-forwarded-for, forwarded, host"],
        ] {
            let all = named.iter().map(|named| ("connection", *named));
            let rest = [("host", "example.com"), ("x-forwarded-for", "198.51.100.1")];
            let mut request = sent(&all.chain(rest).collect::<Vec<_>>());
            take_in(&mut request);
            let uri = request.uri().clone();
            add_forwarded(request.headers_mut(), &uri, caller);
            // What passes it on to the next host may not undo it either.
            take_off_hop_by_hop(request.headers_mut(), false);
            let headers = request.headers();
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
        for named in ["soloist-token", "Soloist-Host, soloist-via", "SOLOIST-UNSERVED"] {
            let mut answer = headers(&[
                ("connection", named),
                ("soloist-token", "7"),
                ("soloist-host", "a"),
                ("soloist-via", "a"),
                ("soloist-unserved", "lost"),
            ]);
            take_off_hop_by_hop(&mut answer, false);
            assert_eq!(answer.len(), 4, "{named}: {answer:?}");
        }
    }

    #[test]
    fn which_host_is_meant_is_said_once_or_not_at_all() {
        for (list, says) in [
            (&[("host", "example.com")][..], true),
            (&[("host", "[2001:db8::1]:80")], true),
            (&[], false),
            (&[("host", "")], false),
            (&[("host", "a b")], false),
            (&[("host", "a"), ("host", "b")], false),
        ] {
            assert_eq!(names_host(&sent(list)), says, "{list:?}");
        }
        let mut absolute = sent(&[("host", "10.0.0.1:4000")]);
        *absolute.uri_mut() = Uri::from_static("http://10.0.0.1:4000/x?y");
        restore_host(&mut absolute, HeaderValue::from_static("example.com"));
        assert_eq!(absolute.uri(), "/x?y");
        assert_eq!(absolute.headers()["host"], "example.com");
    }

    #[test]
    fn where_it_came_from_is_added_to_what_was_said_before() {
        let caller = Caller { peer: ([192, 0, 2, 7], 1).into(), secure: true, certified: false };
        let mut new = headers(&[("host", "example.com:80")]);
        add_forwarded(&mut new, &Uri::from_static("/"), caller);
        assert_eq!(new["x-forwarded-for"], "192.0.2.7");
        assert_eq!(new["x-forwarded-host"], "example.com:80");
        assert_eq!(new["x-forwarded-proto"], "https");
        assert_eq!(new["forwarded"], "for=192.0.2.7;proto=https;host=\"example.com:80\"");

        let mut old =
            headers(&[("x-forwarded-for", "198.51.100.1"), ("x-forwarded-proto", "http")]);
        let six =
            Caller { peer: "[2001:db8::1]:1".parse().unwrap(), secure: true, certified: false };
        add_forwarded(&mut old, &Uri::from_static("/"), six);
        assert_eq!(old["x-forwarded-for"], "198.51.100.1, 2001:db8::1");
        assert_eq!(old["x-forwarded-proto"], "http");
        assert_eq!(old["forwarded"], "for=\"[2001:db8::1]\";proto=https");
    }
}
