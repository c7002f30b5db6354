//! Answers requests: makes checks, and shows what came of them.

use kit::{
    client::Url,
    state::{State, is_name},
    web::{Refusal, Reply, Request},
};

use crate::{
    checks::{self, CHECKS_MAX, Check, EVERY, EVERY_MAX, Names},
    overview::Overview,
};

/// The longest URL, in bytes.
const URL_MAX: usize = 2048;

pub(crate) fn answer(request: &Request, state: &State) -> Result<Reply, Refusal> {
    let (method, steps) = request.route();
    match (method, &steps[..]) {
        ("GET", []) => Ok(Reply::html(Overview::read(state)?.page(request.prefix()))),
        ("GET", ["api"]) => Ok(Reply::json(200, &Overview::read(state)?)),
        (_, [] | ["api"]) => Err(Refusal::method("GET")),
        (_, ["checks", name]) if !is_name(name) => {
            let text = format!("`{name}` is no name: write letters, digits, `-`, `_` and `.`");
            Err(Refusal::new(400, text))
        }
        ("PUT", ["checks", name]) => put(request, state, name),
        ("DELETE", ["checks", name]) => delete(state, name),
        (_, ["checks", _]) => Err(Refusal::method("PUT, DELETE")),
        _ => Err(Refusal::new(404, "there is nothing here: GET / shows the checks")),
    }
}

fn put(request: &Request, state: &State, name: &str) -> Result<Reply, Refusal> {
    let every = request.number("every", 1, EVERY_MAX)?.unwrap_or(EVERY);
    let url = request.text(URL_MAX)?;
    Url::parse(&url).map_err(|problem| Refusal::new(400, problem))?;
    let names = Names::read(state)?;
    if names.checks.len() >= CHECKS_MAX && !names.checks.contains(name) {
        let text = format!("there are {CHECKS_MAX} checks already: delete one first");
        return Err(Refusal::new(409, text));
    }
    state.write(&checks::key(name), &Check { url, every })?;
    Ok(Reply::empty(204))
}

fn delete(state: &State, name: &str) -> Result<Reply, Refusal> {
    let key = checks::key(name);
    if !state.has(&key)? {
        return Err(Refusal::new(404, format!("there is no check {name}")));
    }
    state.delete(&[key, checks::history(name)])?;
    Ok(Reply::empty(204))
}
