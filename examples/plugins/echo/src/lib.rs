//! # echo
//!
//! Answers every request with what it was, as JSON.
//!
//! A plain `wasi:http` component, by [`wstd`] alone: it knows nothing of
//! soloist, and `wasmtime serve` runs the very same file.

use serde_json::{Map, Value, json};
use wstd::http::{Body, Error, Request, Response};

#[wstd::http_server]
async fn main(mut request: Request<Body>) -> Result<Response<Body>, Error> {
    let text = request.body_mut().str_contents().await?.to_owned();
    let echo = json!({
        "method": request.method().as_str(),
        "path": request.uri().path(),
        "query": request.uri().query(),
        "headers": headers(&request),
        "body": text,
    });
    let response = Response::builder().header("content-type", "application/json");
    Ok(response.body(format!("{echo:#}\n").into())?)
}

/// The headers by their names; of several with one name, the last.
fn headers(request: &Request<Body>) -> Map<String, Value> {
    let headers = request.headers().iter();
    headers
        .map(|(name, value)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned().into())
        })
        .collect()
}
