//! An HTTP handler that checks its host. It checks what wasmtime's own test programs for
//! `wasi:http` 0.2 check (`p2_http_*` and `p2_api_proxy*`), each under the name of its program.
//!
//! | path | what it does |
//! |---|---|
//! | `/CASE?AUTHORITY` | one check of outgoing requests, with a server at AUTHORITY (`outgoing`, `fields`) |
//! | `/api-proxy` | checks the incoming request |
//! | `/early-drop` | writes a response, even if the client is gone |
//! | `/new-fields?N`, `/modify-fields?N` | adds N bytes to new headers, or to those of the request |
//! | `/forward-request` | sends the request to the host that it names, and the response back |
//! | `/hash-all` | fetches each `url` in the headers, and answers with checksums as they arrive |
//! | `/echo` | sends the body back while it arrives |
//! | `/double-echo` | the same, by way of the `url` in the headers |
//!
//! A check answers 200, or 500 and the difference.

mod checked;
mod client;
mod fields;
mod incoming;
mod outgoing;
mod streaming;

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "http-plugin",
        generate_all,
    });
}

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::wasi::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use checked::{Checked, holds};

struct Checks;

impl Guest for Checks {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let checked = match path {
            "/api-proxy" => incoming::asked(&request),
            "/new-fields" => incoming::grow(&Fields::new(), query),
            "/modify-fields" => incoming::grow(&request.headers().clone(), query),
            "/early-drop" => return incoming::hurry(out),
            "/forward-request" => return incoming::forward(&request, out),
            "/hash-all" => return streaming::hash_all(&request, out),
            "/echo" => return streaming::echo(&request, out),
            "/double-echo" => return streaming::double_echo(&request, out),
            _ => outgoing::check(path, query),
        };
        match checked {
            Ok(()) => answer(out, 200, "ok"),
            Err(otherwise) => answer(out, 500, &otherwise),
        }
    }
}

fn answer(out: ResponseOutparam, status: u16, text: &str) {
    let response = OutgoingResponse::new(Fields::new());
    response.set_status_code(status).expect("a status");
    let body = response.body().expect("once");
    ResponseOutparam::set(out, Ok(response));
    let to = body.write().expect("once");
    to.blocking_write_and_flush(text.as_bytes()).expect("to write");
    drop(to);
    OutgoingBody::finish(body, None).expect("whole");
}

bindings::export!(Checks with_types_in bindings);
