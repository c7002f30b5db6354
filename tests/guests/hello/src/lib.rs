//! The smallest HTTP handler of WASI 0.2: it answers every request with `hello`. It uses nothing of
//! soloist, so that any host of `wasi:http` can run it, and what it takes is mostly the cost of the
//! host.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package tests:hello;
            world hello { export wasi:http/incoming-handler@0.2.12; }
        ",
        world: "tests:hello/hello",
        generate_all,
    });
}

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::wasi::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

struct Hello;

impl Guest for Hello {
    fn handle(_: IncomingRequest, out: ResponseOutparam) {
        let headers = Fields::new();
        // This fails only for names and values that HTTP forbids.
        let _ = headers.append("content-type", b"text/plain; charset=utf-8");
        let response = OutgoingResponse::new(headers);
        let Ok(body) = response.body() else { return };
        ResponseOutparam::set(out, Ok(response));
        if let Ok(stream) = body.write() {
            // The client may be gone.
            let _ = stream.blocking_write_and_flush(b"hello\n");
        }
        let _ = OutgoingBody::finish(body, None);
    }
}

bindings::export!(Hello with_types_in bindings);
