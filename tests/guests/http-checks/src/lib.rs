//! An HTTP handler that checks its host: what wasmtime's own test programs for `wasi:http` 0.2
//! check (`p2_http_*` and `p2_api_proxy*` there), each under the name of its program.
//!
//! | path | what it does |
//! |---|---|
//! | `/CASE?AUTHORITY` | one check of what it sends, by a server there (`outgoing`, `fields`) |
//! | `/api-proxy` | checks what it was asked |
//! | `/early-drop` | writes an answer, whoever is still there to take it |
//! | `/new-fields?N`, `/modify-fields?N` | adds N bytes to headers, its own or the request's |
//! | `/forward-request` | sends the request to the host that it names, and the answer back |
//! | `/hash-all` | gets each `url` in the headers, and answers with sums as they arrive |
//! | `/echo` | sends the body back while it arrives |
//! | `/double-echo` | the same, by way of the `url` in the headers |
//!
//! A check answers 200, or 500 and what was otherwise.

mod client;
mod fields;
mod incoming;
mod outgoing;
mod streaming;

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "http",
        generate_all,
    });
}

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::wasi::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

/// What a check came to: nothing, or what was otherwise.
type Checked = Result<(), String>;

/// Ends a check where a value is not as it should be.
macro_rules! holds {
    ($value:expr, $wanted:pat) => {
        match $value {
            $wanted => {}
            other => {
                let (value, wanted) = (stringify!($value), stringify!($wanted));
                return Err(format!("{value} is {other:?}, not {wanted}"));
            }
        }
    };
}
pub(crate) use holds;

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
