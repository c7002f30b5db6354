//! A server built with `wstd` as its authors do: a program that exports an HTTP handler, and whose
//! `main` is a stub that traps. It answers every request with its path.

use wstd::http::{Body, Error, Request, Response};

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let text = format!("stub at {}\n", request.uri().path());
    Ok(Response::new(text.into()))
}
