//! An app of axum: a board of notes, which outlives every leader.

mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "imports", generate_all });
}

use axum::{
    Json, Router,
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use bindings::{
    soloist::plugin::term,
    wasi::keyvalue::store::{Bucket, Error, open},
};
use serde::Serialize;

/// Each request has an instance of its own, so this is called for each: what is to stay belongs
/// into the state.
#[wstd_axum::http_server]
fn main() -> Router {
    Router::new().route("/", get(home)).route("/notes/{name}", get(read).put(write).delete(remove))
}

/// Who answers.
#[derive(Serialize)]
struct Home {
    name: &'static str,
    host: String,
    fencing_token: u64,
}

async fn home() -> Json<Home> {
    let term = term::current();
    Json(Home { name: "{{name}}", host: term.host, fencing_token: term.fencing_token })
}

async fn read(Path(name): Path<String>) -> Result<Response, Unavailable> {
    Ok(match board()?.get(&key(&name))? {
        Some(note) => note.into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    })
}

async fn write(Path(name): Path<String>, note: String) -> Result<StatusCode, Unavailable> {
    board()?.set(&key(&name), note.as_bytes())?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove(Path(name): Path<String>) -> Result<StatusCode, Unavailable> {
    board()?.delete(&key(&name))?;
    Ok(StatusCode::NO_CONTENT)
}

fn board() -> Result<Bucket, Error> {
    open("default")
}

fn key(name: &str) -> String {
    format!("note/{name}")
}

/// The store did not do it: it cannot be reached, this host leads no longer, or the settings lack
/// `state = true`.
struct Unavailable(Error);

impl From<Error> for Unavailable {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        (StatusCode::SERVICE_UNAVAILABLE, format!("{:?}\n", self.0)).into_response()
    }
}
