//! Incoming requests, and what a handler may do with them.

use futures::future::join;
use wasip3::{
    http::{
        client,
        types::{ErrorCode, Fields, Method, Request, Response, Scheme},
    },
    wit_bindgen::{StreamResult, spawn_local},
    wit_future, wit_stream,
};

use crate::{Checked, consume, holds, text};

/// Checks what the host passes of a request, and that its headers are immutable.
pub(crate) fn asked(request: &Request) -> Checked {
    holds!(request.get_scheme(), Some(_));
    holds!(request.get_authority(), Some(_));
    holds!(request.get_path_with_query(), Some(_));
    holds!(request.get_method(), Method::Get);
    let headers = request.get_headers();
    let name = "custom-forbidden-header";
    holds!(headers.delete(name), Err(_));
    holds!(headers.append(name, b"no"), Err(_));
    holds!(headers.has(name), false);
    Ok(())
}

/// A response; the handler prints whether it was sent.
pub(crate) fn hello() -> Response {
    let (mut to, from) = wit_stream::new();
    let (trailers, later) = wit_future::new(|| unreachable!("there are always some"));
    let (response, sent) = Response::new(Fields::new(), Some(from), later);
    spawn_local(async move {
        let write = async {
            let left = to.write_all(b"hello, world!".to_vec()).await;
            drop(to);
            let told = trailers.write(Ok(None)).await;
            (left.len(), told.is_ok())
        };
        let (written, sent) = join(write, async { sent.await }).await;
        println!("hello: {written:?} {sent:?}");
    });
    response
}

/// Sends the request back as it arrives: headers, body and trailers. With the header
/// `x-host-to-host` the host connects the two streams, else this handler copies.
pub(crate) fn echo(request: Request) -> Response {
    let headers = request.get_headers();
    let by_host = headers.get("x-host-to-host").iter().any(|value| value == b"true");
    let (mut body, trailers) = consume(request);
    if by_host {
        return Response::new(headers, Some(body), trailers).0;
    }
    let (mut to, from) = wit_stream::new();
    let (later, to_come) = wit_future::new(|| unreachable!("it is told how it ended"));
    spawn_local(async move {
        let mut piece = Vec::with_capacity(1024);
        loop {
            let (result, read) = body.read(piece).await;
            piece = to.write_all(read).await;
            assert!(piece.is_empty(), "somebody takes it all");
            if result == StreamResult::Dropped {
                break;
            }
        }
        drop(to);
        later.write(trailers.await).await.expect("somebody waits for it");
    });
    Response::new(headers, Some(from), to_come).0
}

/// Passes the body on to another server, even after this handler has returned.
pub(crate) async fn proxy(request: Request) -> Result<Response, ErrorCode> {
    let method = request.get_method();
    let Some(url) = url(&request.get_headers()) else {
        return Ok(text(400, "no url".to_owned()));
    };
    let (body, trailers) = consume(request);
    let (onward, _sent) = Request::new(Fields::new(), Some(body), trailers, None);
    onward.set_method(&method).expect("a method");
    address(&onward, &url);
    client::send(onward).await
}

/// Sends the same request to another address.
pub(crate) async fn pass_on(request: Request, to: &str, path: &str) -> Result<Response, ErrorCode> {
    request.set_scheme(Some(&Scheme::Http)).expect("a scheme");
    request.set_authority(Some(to)).expect("an authority");
    request.set_path_with_query(Some(path)).expect("a path");
    client::send(request).await
}

/// The `url` in the headers.
pub(crate) fn url(headers: &Fields) -> Option<String> {
    String::from_utf8(headers.get("url").pop()?).ok()
}

/// Sets the address of a request to `url`.
pub(crate) fn address(request: &Request, url: &str) {
    let rest = url.strip_prefix("http://").expect("a URL of http");
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    request.set_scheme(Some(&Scheme::Http)).expect("a scheme");
    request.set_authority(Some(authority)).expect("an authority");
    request.set_path_with_query(Some(&format!("/{path}"))).expect("a path");
}
