//! An HTTP handler that is a register: each request increments it.
//!
//! It answers with the fencing token of the term, a space, and the new value; or with 500 and the
//! error. The fault bench (`cargo xtask faults`) looks for writes that are lost, doubled or stale.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "http-plugin",
        generate_all,
    });
}

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::soloist::plugin::term;
use bindings::wasi::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use bindings::wasi::keyvalue::atomics;
use bindings::wasi::keyvalue::store::{self, Error};

struct Register;

impl Guest for Register {
    fn handle(_request: IncomingRequest, out: ResponseOutparam) {
        let fencing_token = term::current().fencing_token;
        match store::open("").and_then(|bucket| atomics::increment(&bucket, "n", 1)) {
            Ok(value) => answer(out, 200, &format!("{fencing_token} {value}\n")),
            Err(Error::NoSuchStore) => answer(out, 500, "no such store\n"),
            Err(Error::AccessDenied) => answer(out, 500, "access denied\n"),
            Err(Error::Other(text)) => answer(out, 500, &format!("{text}\n")),
        }
    }
}

fn answer(out: ResponseOutparam, status: u16, text: &str) {
    let headers = Fields::new();
    let _ = headers.append("content-length", text.len().to_string().as_bytes());
    let response = OutgoingResponse::new(headers);
    let _ = response.set_status_code(status);
    let Ok(body) = response.body() else { return };
    ResponseOutparam::set(out, Ok(response));
    if let Ok(to) = body.write() {
        let _ = to.blocking_write_and_flush(text.as_bytes());
    }
    let _ = OutgoingBody::finish(body, None);
}

bindings::export!(Register with_types_in bindings);
