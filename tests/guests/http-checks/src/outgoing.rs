//! Outgoing requests, and how those fail that cannot be sent.

use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{ErrorCode, Fields, Method, OutgoingRequest, Scheme};
use crate::client::{Answer, Call, Failure};
use crate::{Checked, fields, holds};

/// The check with this name, with the server at `to`.
pub(crate) fn check(name: &str, to: &str) -> Checked {
    match name {
        "/get" => get(to),
        "/post" => post(to),
        "/large-post" => large_post(to),
        "/put" => put(to),
        "/invalid-version" => invalid_version(to, Method::Connect),
        "/invalid-version-get" => invalid_version(to, Method::Get),
        "/invalid-header" => fields::invalid_header(),
        "/custom-header" => fields::custom_header(),
        "/unknown-method" => unknown_method(to),
        "/unsupported-scheme" => unsupported_scheme(to),
        "/invalid-port" => invalid_port(to),
        "/invalid-dnsname" => invalid_dnsname(to),
        "/response-build" => fields::response_build(),
        "/content-length-enough" => fields::enough(),
        "/content-length-too-little" => fields::too_little(),
        "/content-length-too-much" => fields::too_much(),
        "/missing-path-and-query" => missing_path_and_query(to),
        "/timeout" => timeout(to),
        _ => Err("there is no such check".to_owned()),
    }
}

fn get(to: &str) -> Checked {
    let path = "/get?some=arg&goes=here";
    arrived(&sent(&Call::new(Method::Get, to, path))?, "GET", path, b"")
}

fn post(to: &str) -> Checked {
    let body = b"{\"foo\": \"bar\"}";
    let call = Call { body, ..Call::new(Method::Post, to, "/post") };
    arrived(&sent(&call)?, "POST", "/post", body)
}

/// More than 1 MiB.
fn large_post(to: &str) -> Checked {
    let body = vec![1; 1025 * 1024];
    let call = Call { body: &body, ..Call::new(Method::Post, to, "/post") };
    arrived(&sent(&call)?, "POST", "/post", &body)
}

fn put(to: &str) -> Checked {
    arrived(&sent(&Call::new(Method::Put, to, "/put"))?, "PUT", "/put", b"")
}

fn sent(call: &Call) -> Result<Answer, String> {
    call.send().map_err(|failure| format!("the request failed: {failure:?}"))
}

/// Whether the server has received this request, according to its response.
fn arrived(answer: &Answer, method: &str, path: &str, body: &[u8]) -> Checked {
    holds!(answer.status, 200);
    let (seen, asked) = (answer.header("x-seen-method"), answer.header("x-seen-path"));
    if (seen, asked) != (Some(method), Some(path)) {
        return Err(format!("{method} {path} arrived as {seen:?} {asked:?}"));
    }
    if answer.body != body {
        return Err(format!("of {} bytes, {} came back, or others", body.len(), answer.body.len()));
    }
    Ok(())
}

/// The server there speaks HTTP/2 only.
fn invalid_version(to: &str, method: Method) -> Checked {
    let call = Call { patience_ms: Some(1000), ..Call::new(method, to, "/") };
    use ErrorCode::{ConnectionReadTimeout, HttpProtocolError};
    holds!(call.send(), Err(Failure::Code(HttpProtocolError | ConnectionReadTimeout)));
    Ok(())
}

fn unknown_method(to: &str) -> Checked {
    let call = Call::new(Method::Other("bad\nmethod".to_owned()), to, "/");
    holds!(call.send(), Err(Failure::Part("method")));
    Ok(())
}

fn unsupported_scheme(to: &str) -> Checked {
    let scheme = Scheme::Other("WS".to_owned());
    let call = Call { scheme, ..Call::new(Method::Get, to, "/") };
    holds!(call.send(), Err(Failure::Code(ErrorCode::HttpProtocolError)));
    Ok(())
}

fn invalid_port(to: &str) -> Checked {
    holds!(Call::new(Method::Get, to, "/").send(), Err(_));
    Ok(())
}

fn invalid_dnsname(to: &str) -> Checked {
    use ErrorCode::{ConnectionRefused, DnsError};
    let told = Call::new(Method::Get, to, "/").send();
    holds!(told, Err(Failure::Code(DnsError(_) | ConnectionRefused)));
    Ok(())
}

fn missing_path_and_query(to: &str) -> Checked {
    let request = OutgoingRequest::new(Fields::new());
    request.set_method(&Method::Get).expect("a method");
    request.set_scheme(Some(&Scheme::Http)).expect("a scheme");
    request.set_authority(Some(to)).expect("an authority");
    // The target is granted, so the failure has another reason.
    match outgoing_handler::handle(request, None).map(drop) {
        Err(ErrorCode::HttpRequestDenied) => Err("the host denies the request".to_owned()),
        Err(_) => Ok(()),
        Ok(()) => Err("a request without a path is sent".to_owned()),
    }
}

/// The server there accepts no connection.
fn timeout(to: &str) -> Checked {
    let call = Call { patience_ms: Some(200), ..Call::new(Method::Get, to, "/get") };
    use ErrorCode::{ConnectionRefused, ConnectionTimeout};
    holds!(call.send(), Err(Failure::Code(ConnectionTimeout | ConnectionRefused)));
    Ok(())
}
