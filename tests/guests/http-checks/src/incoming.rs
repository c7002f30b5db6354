//! Incoming requests, and what a handler may do with them.

use crate::bindings::wasi::http::types::{
    Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use crate::client::{self, Call};
use crate::{Checked, answer, holds};

/// Checks what the host passes of a request, and that its headers are immutable.
pub(crate) fn asked(request: &IncomingRequest) -> Checked {
    holds!(request.scheme(), Some(_));
    holds!(request.authority(), Some(_));
    holds!(request.path_with_query(), Some(_));
    holds!(request.method(), Method::Get);
    holds!(std::fs::File::open("."), Err(_));
    let headers = request.headers();
    let name = "custom-forbidden-header";
    holds!(headers.delete(name), Err(_));
    holds!(headers.append(name, b"no"), Err(_));
    holds!(headers.has("host"), false);
    holds!(headers.has(name), false);
    Ok(())
}

/// Adds this many bytes to `fields`; the host has a limit.
pub(crate) fn grow(fields: &Fields, bytes: &str) -> Checked {
    let bytes: usize = bytes.parse().map_err(|_| "how many bytes?")?;
    // Ten bytes each.
    for number in 0..bytes / 10 {
        let (name, value) = (format!("g{number:04}"), format!("h{number:04}"));
        fields.append(&name, value.as_bytes()).map_err(|error| format!("{error:?}"))?;
    }
    Ok(())
}

/// Answers a client that may be gone.
pub(crate) fn hurry(out: ResponseOutparam) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().expect("once");
    ResponseOutparam::set(out, Ok(response));
    if let Ok(to) = body.write() {
        let _ = to.blocking_write_and_flush(b"hello, world!");
    }
    let _ = OutgoingBody::finish(body, None);
}

/// Sends the request to the host that it names, and the response back.
pub(crate) fn forward(request: &IncomingRequest, out: ResponseOutparam) {
    let authority = request.authority().expect("a host");
    let path = request.path_with_query().expect("a path");
    let scheme = request.scheme().expect("a scheme");
    let call = Call { scheme, ..Call::new(request.method(), &authority, &path) };
    match call.send() {
        Ok(answer) => give(out, &answer),
        Err(failure) => answer(out, 502, &format!("{failure:?}")),
    }
}

fn give(out: ResponseOutparam, answer: &client::Answer) {
    let headers = Fields::from_list(&answer.headers).expect("those of an answer");
    let response = OutgoingResponse::new(headers);
    response.set_status_code(answer.status).expect("a status");
    let body = response.body().expect("once");
    ResponseOutparam::set(out, Ok(response));
    let to = body.write().expect("once");
    for piece in answer.body.chunks(4096) {
        to.blocking_write_and_flush(piece).expect("to write");
    }
    drop(to);
    OutgoingBody::finish(body, None).expect("whole");
}
