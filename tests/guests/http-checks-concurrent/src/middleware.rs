//! Middleware between a client and another handler. That handler is called by HTTP here; tools that
//! compose two components into one do so before a host sees them.

use wasip3::{
    clocks::monotonic_clock::wait_for,
    http::{
        client,
        types::{ErrorCode, Fields, Request, Response},
    },
    wit_bindgen::{StreamReader, StreamResult, spawn_local},
    wit_future, wit_stream,
};

use crate::{
    TrailersToCome,
    incoming::{address, pass_on, url},
    text,
};

/// A content coding that flips all bits.
const CODING: &str = "x-turned";

/// Waits a moment, so that it resumes in a callback of the host, and passes the request on.
pub(crate) async fn chain(request: Request, to: &str) -> Result<Response, ErrorCode> {
    wait_for(10_000_000).await;
    pass_on(request, to, "/echo").await
}

/// Passes the request on with its coding removed, and the response back with a coding if the client
/// accepts it. The result of each transfer is reported to its sender.
pub(crate) async fn between(request: Request) -> Result<Response, ErrorCode> {
    let (method, mut headers) = (request.get_method(), request.get_headers().copy_all());
    let Some(url) = url(&request.get_headers()) else {
        return Ok(text(400, "no url".to_owned()));
    };
    let coded = take_off(&mut headers, "content-encoding");
    let wanted = take_off(&mut headers, "accept-encoding");
    let (told, tell) = wit_future::new(|| Ok(()));
    let (body, trailers) = Request::consume_body(request, tell);
    let (body, trailers) = if coded { turned(body, trailers) } else { (body, trailers) };
    let headers = Fields::from_list(&headers).expect("those of a request");
    let (onward, sent) = Request::new(headers, Some(body), trailers, None);
    onward.set_method(&method).expect("a method");
    address(&onward, &url);
    spawn_local(async move {
        let _ = told.write(sent.await).await;
    });
    let response = client::send(onward).await?;
    Ok(back(response, wanted))
}

fn back(response: Response, wanted: bool) -> Response {
    let status = response.get_status_code();
    let mut headers = response.get_headers().copy_all();
    let (told, tell) = wit_future::new(|| Ok(()));
    let (mut body, mut trailers) = Response::consume_body(response, tell);
    if wanted {
        headers.retain(|(name, _)| name != "content-length");
        headers.push(("content-encoding".to_owned(), CODING.into()));
        (body, trailers) = turned(body, trailers);
    }
    let headers = Fields::from_list(&headers).expect("those of an answer");
    let (response, sent) = Response::new(headers, Some(body), trailers);
    response.set_status_code(status).expect("a status");
    spawn_local(async move {
        let _ = told.write(sent.await).await;
    });
    response
}

/// Removes the coding from these headers, and returns whether it was there.
fn take_off(headers: &mut Vec<(String, Vec<u8>)>, name: &str) -> bool {
    let before = headers.len();
    headers.retain(|(other, value)| other != name || value != CODING.as_bytes());
    headers.len() < before
}

/// The body with all bits flipped while it arrives, and its trailers.
fn turned(mut from: StreamReader<u8>, end: TrailersToCome) -> (StreamReader<u8>, TrailersToCome) {
    let (mut to, body) = wit_stream::new();
    let (later, trailers) = wit_future::new(|| unreachable!("it is told how it ended"));
    spawn_local(async move {
        loop {
            let (result, mut piece) = from.read(Vec::with_capacity(64 << 10)).await;
            piece.iter_mut().for_each(|byte| *byte = !*byte);
            assert!(to.write_all(piece).await.is_empty(), "somebody takes it all");
            if result == StreamResult::Dropped {
                break;
            }
        }
        drop(to);
        later.write(end.await).await.expect("somebody waits for it");
    });
    (body, trailers)
}
