//! Answers requests: takes webhooks in, and the settings of topics.

use kit::{
    client::Url,
    clock::random,
    state::{State, is_name},
    web::{Refusal, Reply, Request},
};
use serde_json::json;

use crate::{
    delivery::Delivery,
    keys,
    overview::Overview,
    topic::{ATTEMPTS, ATTEMPTS_MAX, Topic},
};

/// The longest URL, in bytes.
const TARGET_MAX: usize = 2048;

pub(crate) fn answer(request: &Request, state: &State) -> Result<Reply, Refusal> {
    let (method, steps) = request.route();
    if let Some(odd) = steps.iter().find(|step| !is_name(step)) {
        let text = format!("`{odd}` is no name: write letters, digits, `-`, `_` and `.`");
        return Err(Refusal::new(400, text));
    }
    match (method, &steps[..]) {
        ("GET", []) => show(request, state),
        (_, []) => Err(Refusal::method("GET")),
        ("POST", [topic]) => accept(request, state, topic),
        (_, [_]) => Err(Refusal::method("POST")),
        ("PUT", [topic, "target"]) => set_target(request, state, topic),
        ("DELETE", [topic, "target"]) => remove_target(state, topic),
        (_, [_, "target"]) => Err(Refusal::method("PUT, DELETE")),
        ("POST", [topic, "dead", id]) => retry(state, topic, id),
        ("DELETE", [topic, "dead", id]) => delete(state, topic, id),
        (_, [_, "dead", _]) => Err(Refusal::method("POST, DELETE")),
        _ => Err(Refusal::new(404, "there is nothing here: GET / shows what there is")),
    }
}

fn show(request: &Request, state: &State) -> Result<Reply, Refusal> {
    let overview = Overview::read(state)?;
    if request.is_of_a_browser() {
        return Ok(Reply::html(overview.page(request.prefix())));
    }
    Ok(Reply::json(200, &overview))
}

/// The number is given first, and the webhook is there before it is confirmed: so
/// one that is sent after another was confirmed comes after it in the queue.
fn accept(request: &Request, state: &State, topic: &str) -> Result<Reply, Refusal> {
    let known: Option<Topic> = state.read(&keys::topic(topic))?;
    if known.is_none_or(|topic| topic.target.is_none()) {
        let text = format!("nobody takes {topic}: PUT the URL of its target to /{topic}/target");
        return Err(Refusal::new(404, text));
    }
    if state.has(keys::FULL)? {
        let text = "the queue is full: send it again later, or delete dead letters";
        return Err(Refusal::new(503, text));
    }
    let delivery = Delivery::take(request)?;
    let id = keys::id(state.count(&keys::last(topic))?, random());
    state.set(&keys::waiting(topic, &id), &delivery.to_bytes())?;
    Ok(Reply::json(202, &json!({ "id": id })))
}

fn set_target(request: &Request, state: &State, topic: &str) -> Result<Reply, Refusal> {
    let attempts = request.number("attempts", 1, ATTEMPTS_MAX.into())?;
    let attempts = attempts.and_then(|it| it.try_into().ok()).unwrap_or(ATTEMPTS);
    let target = request.text(TARGET_MAX)?;
    Url::parse(&target).map_err(|problem| Refusal::new(400, problem))?;
    state.write(&keys::topic(topic), &Topic { target: Some(target), attempts })?;
    Ok(Reply::empty(204))
}

fn remove_target(state: &State, topic: &str) -> Result<Reply, Refusal> {
    let key = keys::topic(topic);
    let Some(known) = state.read::<Topic>(&key)? else {
        return Err(Refusal::new(404, format!("there is no topic {topic}")));
    };
    state.write(&key, &Topic { target: None, ..known })?;
    Ok(Reply::empty(204))
}

/// Under its old id, and so in its old place. It may be in the queue and among the
/// dead for a while; never in neither.
fn retry(state: &State, topic: &str, id: &str) -> Result<Reply, Refusal> {
    let dead = keys::dead(topic, id);
    let Some(delivery) = state.get(&dead)? else { return Err(no_such_letter()) };
    state.set(&keys::waiting(topic, id), &delivery)?;
    state.delete(&[dead, keys::why(topic, id)])?;
    Ok(Reply::json(202, &json!({ "id": id })))
}

fn delete(state: &State, topic: &str, id: &str) -> Result<Reply, Refusal> {
    let dead = keys::dead(topic, id);
    if !state.has(&dead)? {
        return Err(no_such_letter());
    }
    state.delete(&[dead, keys::why(topic, id)])?;
    Ok(Reply::empty(204))
}

fn no_such_letter() -> Refusal {
    Refusal::new(404, "there is no such dead letter: GET / shows those that there are")
}
