//! Answers every request with the term that it runs under.

mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "http-plugin", generate_all });
}

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::soloist::plugin::term;
use bindings::wasi::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

struct Plugin;

impl Guest for Plugin {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let term = term::current();
        let text = format!("{{name}} at {path}: host {}, fencing token {}\n", term.host, term.fencing_token);
        respond(out, 200, text.as_bytes());
    }
}

/// Answers with plain text. A client that has gone needs no answer, so what
/// fails here is let go.
fn respond(out: ResponseOutparam, status: u16, text: &[u8]) {
    let headers = Fields::new();
    let _ = headers.append("content-type", b"text/plain; charset=utf-8");
    let response = OutgoingResponse::new(headers);
    let _ = response.set_status_code(status);
    let Ok(body) = response.body() else { return };
    ResponseOutparam::set(out, Ok(response));
    if let Ok(stream) = body.write() {
        // One write takes 4096 bytes.
        for piece in text.chunks(4096) {
            let _ = stream.blocking_write_and_flush(piece);
        }
    }
    let _ = OutgoingBody::finish(body, None);
}

bindings::export!(Plugin with_types_in bindings);
