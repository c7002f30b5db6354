//! An HTTP handler with hooks: `on-leader` counts its calls in the state, and every request is
//! answered with the count.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package tests:hooked;
            world hooked {
                include soloist:plugin/hooks-plugin@0.1.0;
                export wasi:http/incoming-handler@0.2.12;
            }
        ",
        world: "tests:hooked/hooked",
        generate_all,
    });
}

use bindings::exports::soloist::plugin::hooks::{Guest as Hooks, Leader, TermInfo};
use bindings::exports::wasi::http::incoming_handler::Guest as Handler;
use bindings::wasi::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use bindings::wasi::keyvalue::{atomics, store};

struct Hooked;

impl Hooks for Hooked {
    fn on_leader(_: TermInfo) -> Result<(), String> {
        count(1).map(drop)
    }

    fn on_standby(_: String, _: Option<Leader>) {}
}

impl Handler for Hooked {
    fn handle(_: IncomingRequest, out: ResponseOutparam) {
        let text = count(0).map_or_else(|error| error, |count| format!("called {count}\n"));
        let response = OutgoingResponse::new(Fields::new());
        let Ok(body) = response.body() else { return };
        ResponseOutparam::set(out, Ok(response));
        if let Ok(stream) = body.write() {
            // The client may be gone.
            let _ = stream.blocking_write_and_flush(text.as_bytes());
        }
        let _ = OutgoingBody::finish(body, None);
    }
}

fn count(delta: u64) -> Result<u64, String> {
    let bucket = store::open("default").map_err(|error| format!("{error:?}"))?;
    atomics::increment(&bucket, "calls", delta).map_err(|error| format!("{error:?}"))
}

bindings::export!(Hooked with_types_in bindings);
