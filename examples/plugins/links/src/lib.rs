//! # links
//!
//! A link shortener: `POST /` with an address gives a short path, and `GET` of
//! that path leads to the address.
//!
//! The links are state, so they outlive every leader. Short paths are numbers
//! from a counter that the store itself increments: two requests at once never
//! get the same one.

mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "http-plugin", generate_all });
}

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::wasi::http::types::{
    Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use bindings::wasi::keyvalue::atomics::increment;
use bindings::wasi::keyvalue::store::{Bucket, Error, open};

/// The longest address, in bytes.
const ADDRESS_MAX: usize = 2000;

const USAGE: &str = "POST an address here to get a short link to it.\n";

/// An answer: its status, where it leads, and its text.
struct Answer(u16, Option<String>, String);

struct Links;

impl Guest for Links {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let answer = match (request.method(), path(&request).as_str()) {
            (Method::Get | Method::Head, "") => Answer(200, None, USAGE.to_owned()),
            (Method::Get | Method::Head, code) => follow(code),
            (Method::Post, "") => shorten(&request),
            _ => Answer(405, None, USAGE.to_owned()),
        };
        respond(out, answer);
    }
}

fn follow(code: &str) -> Answer {
    let link = links().and_then(|links| links.get(&key(code)));
    match link.map(|found| found.and_then(|bytes| String::from_utf8(bytes).ok())) {
        Ok(Some(address)) => {
            let text = format!("{address}\n");
            Answer(302, Some(address), text)
        }
        Ok(None) => Answer(404, None, format!("there is no link {code}\n")),
        Err(error) => unavailable(&error),
    }
}

fn shorten(request: &IncomingRequest) -> Answer {
    let address = match body(request) {
        Some(text) => text.trim().to_owned(),
        None => return refuse(),
    };
    let web = address.starts_with("http://") || address.starts_with("https://");
    if !web || address.len() > ADDRESS_MAX || address.contains(|c: char| !c.is_ascii_graphic()) {
        return refuse();
    }
    match keep(&address) {
        Ok(code) => {
            // Where the action is not at the root of its address, the host says so.
            let link = format!("{}/{code}", header(request, "x-forwarded-prefix"));
            let text = format!("{link}\n");
            Answer(201, Some(link), text)
        }
        Err(error) => unavailable(&error),
    }
}

fn refuse() -> Answer {
    Answer(400, None, format!("that is no http address of at most {ADDRESS_MAX} characters\n"))
}

/// The store did not do it: it cannot be reached, this host leads no longer, or
/// the settings lack `state = true`.
fn unavailable(error: &Error) -> Answer {
    Answer(503, None, format!("{error:?}\n"))
}

fn keep(address: &str) -> Result<String, Error> {
    let links = links()?;
    let code = base36(increment(&links, "count", 1)?);
    links.set(&key(&code), address.as_bytes())?;
    Ok(code)
}

fn links() -> Result<Bucket, Error> {
    open("default")
}

fn key(code: &str) -> String {
    format!("link/{code}")
}

fn base36(mut number: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut digits = Vec::new();
    loop {
        digits.push(char::from(DIGITS[(number % 36) as usize]));
        number /= 36;
        if number == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

/// The path without its slash and without a query.
fn path(request: &IncomingRequest) -> String {
    let path = request.path_with_query().unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    path.trim_start_matches('/').to_owned()
}

fn header(request: &IncomingRequest, name: &str) -> String {
    let value = request.headers().get(name).into_iter().next().unwrap_or_default();
    String::from_utf8(value).unwrap_or_default()
}

/// The body, unless it is longer than any address or no text.
fn body(request: &IncomingRequest) -> Option<String> {
    let body = request.consume().ok()?;
    let stream = body.stream().ok()?;
    let mut bytes = Vec::new();
    // The stream ends with an error that says so.
    while let Ok(piece) = stream.blocking_read(ADDRESS_MAX as u64) {
        bytes.extend(piece);
        if bytes.len() > 2 * ADDRESS_MAX {
            return None;
        }
    }
    String::from_utf8(bytes).ok()
}

fn respond(out: ResponseOutparam, Answer(status, leads_to, text): Answer) {
    let headers = Fields::new();
    // Fails for values that HTTP forbids only, and these are none.
    let _ = headers.append("content-type", b"text/plain; charset=utf-8");
    if let Some(address) = leads_to {
        let _ = headers.append("location", address.as_bytes());
    }
    let response = OutgoingResponse::new(headers);
    let _ = response.set_status_code(status);
    let Ok(body) = response.body() else { return };
    ResponseOutparam::set(out, Ok(response));
    if let Ok(stream) = body.write() {
        // A client that has gone needs no answer.
        let _ = stream.blocking_write_and_flush(text.as_bytes());
    }
    let _ = OutgoingBody::finish(body, None);
}

bindings::export!(Links with_types_in bindings);
