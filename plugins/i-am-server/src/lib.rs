//! # i-am-server
//!
//! Answers every HTTP request with the name of the host that leads:
//! `I am server a`. Ask again after that host has gone, and another answers.
//!
//! A standard `wasi:http` component that asks soloist for one thing more, the
//! term. To use it, drop the built file into the plugins folder and open the
//! action's address in a browser.

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "http-plugin",
        generate_all,
    });
}

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::soloist::plugin::term;
use bindings::wasi::http::types::{
    Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

struct Server;

impl Guest for Server {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        match request.method() {
            Method::Get | Method::Head => greet(out),
            _ => refuse(out),
        }
    }
}

/// One write of one line. A HEAD request gets the same: the host leaves out the
/// body, as HTTP asks for.
fn greet(out: ResponseOutparam) {
    let name = term::current().host;
    let mut text = String::with_capacity("I am server \n".len() + name.len());
    text.push_str("I am server ");
    text.push_str(&name);
    text.push('\n');

    let length = text.len().to_string();
    let response = OutgoingResponse::new(headers(&[
        ("content-type", b"text/plain; charset=utf-8"),
        ("content-length", length.as_bytes()),
    ]));
    let Ok(body) = response.body() else { return };
    // The response goes out first, so that the host can start sending.
    ResponseOutparam::set(out, Ok(response));
    if let Ok(stream) = body.write() {
        // A client that has gone needs no answer.
        let _ = stream.blocking_write_and_flush(text.as_bytes());
    }
    let _ = OutgoingBody::finish(body, None);
}

fn refuse(out: ResponseOutparam) {
    let response = OutgoingResponse::new(headers(&[("allow", b"GET, HEAD")]));
    let _ = response.set_status_code(405);
    ResponseOutparam::set(out, Ok(response));
}

fn headers(list: &[(&str, &[u8])]) -> Fields {
    let fields = Fields::new();
    for (name, value) in list {
        // Fails for names and values that HTTP forbids only.
        let _ = fields.append(name, value);
    }
    fields
}

bindings::export!(Server with_types_in bindings);
