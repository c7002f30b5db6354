//! # scores
//!
//! A table of points, in Redis: `POST /ada` with `+5` gives her points, and `GET /`
//! shows who has the most.
//!
//! Each write carries the fencing token, and Redis itself refuses one that is older
//! than the newest it has seen: so a leader that was replaced changes nothing any
//! more, even if its request was on its way already.

mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "imports", generate_all });
}

use std::{env, time::Duration};

use bindings::soloist::plugin::term;
use redis::{Client, Commands, Connection, RedisError, Script};
use serde_json::{Value, json};
use wstd::http::{Body, Error, Method, Request, Response, StatusCode};

/// How long Redis may take for a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many are shown.
const SHOWN: isize = 10;
/// The longest name, in bytes.
const NAME_MAX: usize = 64;

/// Who has how many points, and the newest fencing token that has written. The braces keep both in
/// one place where Redis is a cluster.
const POINTS: &str = "{scores}:points";
const TOKEN: &str = "{scores}:token";

/// Redis does one script at a time, so nothing comes between the look and the write.
const ADD: &str = r"
    local newest = tonumber(redis.call('GET', KEYS[1]) or '0')
    if tonumber(ARGV[1]) < newest then
        return redis.error_reply('STALE token ' .. newest .. ' has written')
    end
    redis.call('SET', KEYS[1], ARGV[1])
    return redis.call('ZINCRBY', KEYS[2], ARGV[2], ARGV[3])
";

type Answer = (StatusCode, Value);

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let (head, mut body) = request.into_parts();
    let name = head.uri.path().trim_start_matches('/');
    let answer = match head.method {
        Method::GET if name.is_empty() => top(),
        Method::POST if is_name(name) => match body.str_contents().await?.trim().parse() {
            Ok(points) => add(name, points),
            Err(_) => Ok(usage()),
        },
        _ => Ok(usage()),
    };
    let (status, answer) = answer.unwrap_or_else(|error| failed(&error));
    let response = Response::builder().status(status).header("content-type", "application/json");
    Ok(response.body(format!("{answer}\n").into())?)
}

fn top() -> Result<Answer, RedisError> {
    let best: Vec<(String, i64)> = connect()?.zrevrange_withscores(POINTS, 0, SHOWN - 1)?;
    let rows = best.into_iter().map(|(name, points)| json!({ "name": name, "points": points }));
    Ok((StatusCode::OK, rows.collect()))
}

fn add(name: &str, points: i32) -> Result<Answer, RedisError> {
    let (token, add) = (term::current().fencing_token, Script::new(ADD));
    let mut add = add.prepare_invoke();
    add.key(TOKEN).key(POINTS).arg(token).arg(points).arg(name);
    let points: i64 = add.invoke(&mut connect()?)?;
    Ok((StatusCode::OK, json!({ "name": name, "points": points, "fencing_token": token })))
}

fn connect() -> Result<Connection, RedisError> {
    let url = env::var("REDIS_URL").unwrap_or_default();
    Client::open(url)?.get_connection_with_timeout(PATIENCE)
}

fn usage() -> Answer {
    let text = "GET /, or POST a number of points to /NAME, such as +5 or -2";
    (StatusCode::BAD_REQUEST, json!({ "error": text }))
}

/// Nothing was done: a newer term has written, or Redis could not be asked.
fn failed(error: &RedisError) -> Answer {
    let (status, text) = match (error.code(), error.detail()) {
        (Some("STALE"), Some(newest)) => {
            let text = format!("refused: {newest}, which is newer than this one");
            (StatusCode::CONFLICT, text)
        }
        _ => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    };
    (status, json!({ "error": text }))
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(plain)
}
