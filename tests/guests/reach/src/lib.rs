//! An HTTP handler with outgoing requests and file access.
//!
//! | path | what it does |
//! |---|---|
//! | `/fetch?URL` | fetches it, and answers with status and body |
//! | `/forge?URL` | the same, with a forged `soloist-fencing-token` |
//! | `/hasty?URL` | the same, with timeouts of 100 ms |
//! | `/send?URL` | sends the body of the request there while it arrives |
//! | `/break?URL` | sends the beginning of a body there, and traps |
//! | `/read?FILE` | answers with its content |
//! | `/reread?FILE` | prints `reading`, and reads it over and over |
//! | `/write?FILE` | writes `written` into it |
//! | `/`, `/all…` | reads the whole request and answers with its parts, one per line |
//! | `/at-once` | answers at once, without reading the body |
//! | `/seen` | the requested host and each header, one per line |
//! | `/say?STATUS&NAME:VALUE&…` | answers with this status and these headers |
//!
//! If something fails, it answers 502 with the error.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "http-plugin",
        generate_all,
    });
}

use std::{fs, io::Read};

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::wasi::http::outgoing_handler;
use bindings::wasi::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, Method, OutgoingBody, OutgoingRequest,
    OutgoingResponse, RequestOptions, ResponseOutparam, Scheme,
};
use bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};

struct Reach;

impl Guest for Reach {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let done = match path {
            "/fetch" => fetch(query, &[], None),
            "/forge" => {
                fetch(query, &[("soloist-fencing-token", "999"), ("Soloist-Host", "me")], None)
            }
            "/hasty" => fetch(query, &[], Some(100)),
            "/send" => send(query, &request),
            "/break" => breaks(query),
            "/read" => fs::read_to_string(query).map_err(|error| error.to_string()),
            "/reread" => reread(query).map_err(|error| error.to_string()),
            "/seen" => Ok(seen(&request)),
            "/at-once" => Ok("at once".to_owned()),
            _ if path == "/" || path.trim_start_matches('/').starts_with("all") => all(&request),
            "/say" => return say(out, query),
            "/write" => fs::write(query, "written")
                .map_or_else(|error| Err(error.to_string()), |()| Ok(String::new())),
            _ => Err("no such path".to_owned()),
        };
        match done {
            Ok(text) => answer(out, 200, &text),
            Err(error) => answer(out, 502, &error),
        }
    }
}

fn fetch(url: &str, headers: &[(&str, &str)], ms: Option<u64>) -> Result<String, String> {
    let request = request(url, headers);
    exchange(request, ms).map_err(|error| format!("{error:?}"))
}

fn request(url: &str, headers: &[(&str, &str)]) -> OutgoingRequest {
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let fields = Fields::new();
    for (name, value) in headers {
        fields.append(name, value.as_bytes()).expect("a header");
    }
    let request = OutgoingRequest::new(fields);
    let scheme = if scheme == "http" { Scheme::Http } else { Scheme::Https };
    request.set_scheme(Some(&scheme)).expect("a scheme");
    request.set_authority(Some(authority)).expect("an authority");
    request.set_path_with_query(Some(&format!("/{path}"))).expect("a path");
    request
}

fn exchange(request: OutgoingRequest, ms: Option<u64>) -> Result<String, ErrorCode> {
    let options = ms.map(|ms| {
        let options = RequestOptions::new();
        let ns = Some(ms * 1_000_000);
        options.set_connect_timeout(ns).expect("a time-out");
        options.set_first_byte_timeout(ns).expect("a time-out");
        options.set_between_bytes_timeout(ns).expect("a time-out");
        options
    });
    read(&outgoing_handler::handle(request, options)?)
}

fn read(response: &outgoing_handler::FutureIncomingResponse) -> Result<String, ErrorCode> {
    response.subscribe().block();
    let response = response.get().expect("ready").expect("once")?;
    let status = response.status();
    let body = response.consume().expect("once");
    let stream = body.stream().expect("once");
    let mut text = format!("{status} ").into_bytes();
    loop {
        match stream.blocking_read(4096) {
            Ok(bytes) => text.extend(bytes),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(ErrorCode::InternalError(Some(error.to_debug_string())));
            }
        }
    }
    drop(stream);
    drop(IncomingBody::finish(body));
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn send(url: &str, from: &IncomingRequest) -> Result<String, String> {
    let request = request(url, &[]);
    request.set_method(&Method::Post).expect("a method");
    let body = request.body().expect("once");
    let response = outgoing_handler::handle(request, None).map_err(|error| format!("{error:?}"))?;
    let incoming = from.consume().expect("once");
    copy(&incoming.stream().expect("once"), &body.write().expect("once"))
        .map_err(|error| format!("{error:?}"))?;
    OutgoingBody::finish(body, None).map_err(|error| format!("{error:?}"))?;
    read(&response).map_err(|error| format!("{error:?}"))
}

fn copy(from: &InputStream, to: &OutputStream) -> Result<(), StreamError> {
    loop {
        match from.blocking_read(4096) {
            Ok(bytes) => to.blocking_write_and_flush(&bytes)?,
            Err(StreamError::Closed) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn breaks(url: &str) -> Result<String, String> {
    let request = request(url, &[]);
    request.set_method(&Method::Post).expect("a method");
    let body = request.body().expect("once");
    let _response = outgoing_handler::handle(request, None).expect("to send");
    let stream = body.write().expect("once");
    // The host buffers a little: after this many pieces, some have been sent.
    for piece in [b"h", b"a", b"l", b"f"] {
        stream.blocking_write_and_flush(piece).expect("to write");
    }
    panic!("asked to trap");
}

fn reread(file: &str) -> std::io::Result<String> {
    println!("reading");
    let mut buffer = vec![0; 1 << 20];
    loop {
        let mut file = fs::File::open(file)?;
        while file.read(&mut buffer)? > 0 {}
    }
}

/// What the host passes of a request.
fn seen(request: &IncomingRequest) -> String {
    let headers = request.headers().entries();
    let line =
        |(name, value): &(String, Vec<u8>)| format!("{name}: {}\n", String::from_utf8_lossy(value));
    let host = request.authority().unwrap_or_default();
    format!("{host}\n") + &headers.iter().map(line).collect::<String>()
}

/// The request, after all of it has arrived.
fn all(request: &IncomingRequest) -> Result<String, String> {
    let body = request.consume().map_err(|()| "no body")?;
    let stream = body.stream().map_err(|()| "no stream")?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(piece) => bytes.extend(piece),
            Err(StreamError::Closed) => break,
            Err(error) => return Err(format!("{error:?}")),
        }
    }
    drop(stream);
    let trailers = IncomingBody::finish(body);
    trailers.subscribe().block();
    let trailers = match trailers.get() {
        Some(Ok(Ok(trailers))) => trailers.map(|it| it.entries()).unwrap_or_default(),
        other => return Err(format!("{other:?}")),
    };
    let target = request.path_with_query().unwrap_or_default();
    let told = format!("{} {target}\nhost {}", method(&request.method()), seen(request));
    let line = |(name, value): &(String, Vec<u8>)| {
        format!("trailer {name}: {}\n", String::from_utf8_lossy(value))
    };
    let trailers: String = trailers.iter().map(line).collect();
    // A long body is summarised.
    let body = if bytes.len() > 100 {
        format!("of {}", bytes.len())
    } else {
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Ok(format!("{told}body {body}\n{trailers}"))
}

fn method(method: &Method) -> &str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(other) => other,
    }
}

fn say(out: ResponseOutparam, wanted: &str) {
    let (status, headers) = wanted.split_once('&').unwrap_or((wanted, ""));
    let fields = Fields::new();
    for (name, value) in headers.split('&').filter_map(|header| header.split_once(':')) {
        fields.append(name, value.as_bytes()).expect("a header");
    }
    answer_with(out, status.parse().expect("a status"), fields, "<script>top.hurt = 1</script>");
}

fn answer(out: ResponseOutparam, status: u16, text: &str) {
    let fields = Fields::new();
    let _ = fields.append("content-length", text.len().to_string().as_bytes());
    answer_with(out, status, fields, text);
}

fn answer_with(out: ResponseOutparam, status: u16, headers: Fields, text: &str) {
    let response = OutgoingResponse::new(headers);
    let _ = response.set_status_code(status);
    let Ok(body) = response.body() else { return };
    ResponseOutparam::set(out, Ok(response));
    let Ok(to) = body.write() else { return };
    for piece in text.as_bytes().chunks(4096) {
        if to.blocking_write_and_flush(piece).is_err() {
            return;
        }
    }
    drop(to);
    let _ = OutgoingBody::finish(body, None);
}

bindings::export!(Reach with_types_in bindings);
