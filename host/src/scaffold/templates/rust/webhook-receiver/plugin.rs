//! Takes webhooks that are signed as GitHub signs them, each of them once.
//!
//! `x-hub-signature-256` proves who has sent the body; `x-github-delivery`, which is kept in the
//! state, that it was not taken before, whichever host led then. The id itself is not signed: it
//! keeps deliveries that are sent again apart, and TLS keeps others from recording one.

mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "imports", generate_all });
}

use bindings::wasi::keyvalue::{
    atomics::increment,
    store::{Bucket, Error as StateError, open},
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use wstd::http::{Body, Error, Method, Request, Response, StatusCode};

/// How many ids are kept: a delivery that is sent again after so many others is taken for new.
const KEPT: u64 = 10_000;
/// The longest id, in bytes.
const ID_MAX: usize = 64;

/// What a delivery is answered with.
type Answer = (StatusCode, String);

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let (status, text) = receive(request).await.unwrap_or_else(|refusal| refusal);
    let response = Response::builder().status(status);
    Ok(response.header("content-type", "text/plain; charset=utf-8").body(text.into())?)
}

async fn receive(request: Request<Body>) -> Result<Answer, Answer> {
    let (head, mut body) = request.into_parts();
    if head.method != Method::POST {
        return Err(answer(StatusCode::METHOD_NOT_ALLOWED, "POST webhooks here"));
    }
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let body = body.contents().await;
    let body = body.map_err(|_| answer(StatusCode::BAD_REQUEST, "the body broke off"))?;
    let secret = std::env::var("WEBHOOK_SECRET").map_err(unavailable)?;
    if !is_signed(&secret, body, header("x-hub-signature-256").unwrap_or_default()) {
        return Err(answer(StatusCode::UNAUTHORIZED, "x-hub-signature-256 does not fit the body"));
    }
    let id = header("x-github-delivery").filter(|id| is_id(id));
    let id = id.ok_or_else(|| answer(StatusCode::BAD_REQUEST, "x-github-delivery is no id"))?;
    let state = open("default").map_err(unavailable)?;
    if !is_first(&state, id).map_err(unavailable)? {
        return Err(answer(StatusCode::CONFLICT, "this delivery was taken before"));
    }
    if let Err(error) = take(header("x-github-event").unwrap_or_default(), body) {
        // As if it had never come, so that it can be sent again.
        state.delete(&seen(id)).map_err(unavailable)?;
        return Err(answer(StatusCode::INTERNAL_SERVER_ERROR, &error));
    }
    Ok(answer(StatusCode::ACCEPTED, "taken"))
}

/// Does what is to be done with a delivery: put yours here.
fn take(event: &str, body: &[u8]) -> Result<(), String> {
    println!("{event}: {} bytes", body.len());
    Ok(())
}

/// Whether the signature is that of the body. How long this takes tells nobody how much of a
/// forged one was right.
fn is_signed(secret: &str, body: &[u8], signature: &str) -> bool {
    let Some(Ok(signature)) = signature.strip_prefix("sha256=").map(hex::decode) else {
        return false;
    };
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes());
    // Anybody can sign with an empty secret.
    !secret.is_empty()
        && mac.is_ok_and(|mac| mac.chain_update(body).verify_slice(&signature).is_ok())
}

fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !id.is_empty() && id.len() <= ID_MAX && id.bytes().all(plain)
}

/// Whether this id comes for the first time. It counts in one step in the store: of two deliveries
/// that come at once, one is the first.
fn is_first(state: &Bucket, id: &str) -> Result<bool, StateError> {
    if increment(state, &seen(id), 1)? > 1 {
        return Ok(false);
    }
    // The places go around, and whoever comes to one forgets who was there.
    let place = format!("place/{}", increment(state, "count", 1)? % KEPT);
    if let Some(old) = state.get(&place)?.and_then(|old| String::from_utf8(old).ok()) {
        state.delete(&seen(&old))?;
    }
    state.set(&place, id.as_bytes())?;
    Ok(true)
}

fn seen(id: &str) -> String {
    format!("seen/{id}")
}

/// The settings lack something, or the store did not do it: it cannot be reached, or this host
/// leads no longer.
fn unavailable(error: impl std::fmt::Debug) -> Answer {
    eprintln!("{error:?}");
    answer(StatusCode::SERVICE_UNAVAILABLE, "not now: try again")
}

fn answer(status: StatusCode, text: &str) -> Answer {
    (status, format!("{text}\n"))
}
