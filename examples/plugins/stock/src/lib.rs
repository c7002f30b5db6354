//! # stock
//!
//! What is in a store room, in PostgreSQL: `POST /bolts` with `+20` or `-3` puts
//! pieces in or takes them out, and `GET /bolts` tells how many there are.
//!
//! Each write carries the fencing token, and the database itself refuses one that
//! is older than the newest it has seen: so a leader that was replaced changes
//! nothing any more, even if its request was on its way already.

mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "imports", generate_all });
}
mod database;

use bindings::soloist::plugin::term;
use serde_json::json;
use wstd::http::{Body, Error, Method, Request, Response, StatusCode};

use database::{Failure, Outcome};

/// The longest name, in bytes.
const NAME_MAX: usize = 64;

const USAGE: &str = "GET /NAME, or POST a number of pieces to it, such as +20 or -3";

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let (head, mut body) = request.into_parts();
    let name = head.uri.path().trim_start_matches('/');
    let outcome = match head.method {
        _ if !is_name(name) => Err(Failure::Usage),
        // An instance answers one request, so it may as well wait for the database.
        Method::GET => database::run(database::read(name)),
        Method::POST => match body.str_contents().await?.trim().parse() {
            Ok(pieces) => {
                database::run(database::change(name, pieces, term::current().fencing_token))
            }
            Err(_) => Err(Failure::Usage),
        },
        _ => Err(Failure::Usage),
    };
    let (status, answer) = answer(name, outcome);
    let response = Response::builder().status(status).header("content-type", "application/json");
    Ok(response.body(format!("{answer}\n").into())?)
}

fn answer(name: &str, outcome: Outcome) -> (StatusCode, serde_json::Value) {
    let (status, error) = match outcome {
        Ok(Some(pieces)) => {
            let token = term::current().fencing_token;
            let answer = json!({ "name": name, "pieces": pieces, "fencing_token": token });
            return (StatusCode::OK, answer);
        }
        Ok(None) => (StatusCode::NOT_FOUND, format!("there are no {name}")),
        Err(Failure::Usage) => (StatusCode::BAD_REQUEST, USAGE.to_owned()),
        Err(Failure::TooFew) => (StatusCode::CONFLICT, format!("there are not so many {name}")),
        Err(Failure::Stale(newest)) => {
            let text = format!(
                "refused: fencing token {newest} has written, which is newer than this one"
            );
            (StatusCode::CONFLICT, text)
        }
        Err(Failure::Unavailable(text)) => (StatusCode::SERVICE_UNAVAILABLE, text),
    };
    (status, json!({ "error": error }))
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(plain)
}
