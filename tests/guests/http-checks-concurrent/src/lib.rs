//! An HTTP handler that checks its host. It checks what wasmtime's own test programs for
//! `wasi:http` 0.3 check (`p3_http_*` and `p3_api_proxy`), each under the name of its program.
//!
//! | path | what it does |
//! |---|---|
//! | `/CASE?AUTHORITY` | one check of outgoing requests, with a server at AUTHORITY (`outgoing`, `fields`) |
//! | `/api-proxy` | checks the incoming request, and prints whether its response was sent |
//! | `/echo` | sends headers, body and trailers back while they arrive |
//! | `/proxy` | passes the body on to the `url` in the headers, and the response back |
//! | `/forbidden-headers?AUTHORITY` | passes the unchanged request on to `/seen` there |
//! | `/middleware` | passes the request on to the `url`, and changes the content coding on the way |
//! | `/middleware-with-chain?AUTHORITY` | waits, and passes the request on to `/echo` there |
//!
//! A check answers 200, or 500 and the difference.

#[path = "../../http-checks/src/checked.rs"]
mod checked;
mod client;
mod content_length;
mod fields;
mod incoming;
mod middleware;
mod outgoing;

use checked::{Checked, holds};
use wasip3::{
    exports::http::handler::Guest,
    http::types::{ErrorCode, Fields, Request, Response, Trailers},
    wit_bindgen::{FutureReader, StreamReader, spawn_local},
    wit_future, wit_stream,
};

wasip3::http::service::export!(Checks);

type TrailersToCome = FutureReader<Result<Option<Trailers>, ErrorCode>>;

struct Checks;

impl Guest for Checks {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = request.get_path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let checked = match path {
            "/api-proxy" => match incoming::asked(&request) {
                Ok(()) => return Ok(incoming::hello()),
                otherwise => otherwise,
            },
            "/echo" => return Ok(incoming::echo(request)),
            "/proxy" => return incoming::proxy(request).await,
            "/forbidden-headers" => return incoming::pass_on(request, query, "/seen").await,
            "/middleware" => return middleware::between(request).await,
            "/middleware-with-chain" => return middleware::chain(request, query).await,
            _ => outgoing::check(path, query).await,
        };
        Ok(match checked {
            Ok(()) => text(200, "ok".to_owned()),
            Err(otherwise) => text(500, otherwise),
        })
    }
}

fn text(status: u16, text: String) -> Response {
    let (mut to, from) = wit_stream::new();
    spawn_local(async move {
        // The client may be gone.
        to.write_all(text.into_bytes()).await;
    });
    let response = Response::new(Fields::new(), Some(from), no_trailers()).0;
    response.set_status_code(status).expect("a status");
    response
}

fn consume(request: Request) -> (StreamReader<u8>, TrailersToCome) {
    Request::consume_body(request, wit_future::new(|| Ok(())).1)
}

fn no_trailers() -> TrailersToCome {
    wit_future::new(|| Ok(None)).1
}
