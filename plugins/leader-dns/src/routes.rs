//! Answers requests: what is to be sent, and whether it was.

use kit::{
    state::State,
    web::{Refusal, Reply, Request},
};
use serde_json::{Value, json};

use crate::{
    record::{Call, Record},
    registrar::{RECORD, REGISTRATION, Registration},
};

/// The longest settings, in bytes.
const RECORD_MAX: usize = 64 << 10;

pub(crate) fn answer(request: &Request, state: &State) -> Result<Reply, Refusal> {
    let (method, steps) = request.route();
    match (method, &steps[..]) {
        ("GET", []) => show(state),
        (_, []) => Err(Refusal::method("GET")),
        ("PUT", ["record"]) => {
            let record = Record::parse(&request.body(RECORD_MAX)?);
            let record = record.map_err(|problem| Refusal::new(400, problem))?;
            state.write(RECORD, &record)?;
            Ok(Reply::empty(204))
        }
        ("DELETE", ["record"]) => {
            state.delete(&[RECORD.to_owned()])?;
            Ok(Reply::empty(204))
        }
        (_, ["record"]) => Err(Refusal::method("PUT, DELETE")),
        _ => Err(Refusal::new(404, "there is nothing here: GET / shows how it stands")),
    }
}

fn show(state: &State) -> Result<Reply, Refusal> {
    let record: Option<Record> = state.read(RECORD)?;
    let registration: Option<Registration> = state.read(REGISTRATION)?;
    let record = record.map(|record| {
        json!({
            "register": without_secrets(&record.register),
            "remove": record.remove.as_ref().map(without_secrets),
            "addresses": record.addresses,
            "refresh": record.refresh,
        })
    });
    Ok(Reply::json(200, &json!({ "record": record, "registration": registration })))
}

/// What a header says may be a secret; so may a body.
fn without_secrets(call: &Call) -> Value {
    let headers: Vec<_> = call.headers.keys().collect();
    json!({ "method": call.method, "url": call.url, "headers": headers })
}
