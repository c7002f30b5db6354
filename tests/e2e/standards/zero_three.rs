//! Requests to plugins of `wasi:http` 0.3, in addition to those for both worlds.

use bytes::Bytes;
use futures::stream;
use hyper::{HeaderMap, Request, body::Frame, header::HeaderValue};
use tokio::{sync::oneshot, time::timeout};

use super::{
    Stage,
    client::{self, Reply, all, ask, begin, begin_by_1, nothing, pieces},
    table::{Table, World, not_forbidden},
};
use crate::harness::PATIENCE;

const BODY: &[u8] = b"And the mome raths outgrabe";

pub(super) async fn check(stage: &Stage, table: &mut Table) {
    let mut note = |program, case, told| table.note(World::ZeroThree, program, case, told);
    let whole = || vec![Bytes::from_static(BODY)];
    let empty = Bytes::new;
    note("http_echo", "by the plugin", echo(stage, &[], whole()).await);
    note("http_echo", "by the host", echo(stage, &[("x-host-to-host", "true")], whole()).await);
    let between = vec![empty(), BODY[..5].into(), empty(), empty(), BODY[5..].into()];
    note("http_echo", "empty pieces between others", echo(stage, &[], between).await);
    let last = vec![BODY.into(), empty()];
    note("http_echo", "an empty piece at the end", echo(stage, &[], last).await);
    note("http_echo", "no trailers", echo_alone(stage).await);
    note("http_proxy", "a body that comes afterwards", proxy(stage).await);
    for (case, coded) in [("bodies as they are", false), ("coded bodies", true)] {
        note("http_middleware", case, middleware(stage, coded).await);
    }
    let chain = "http_middleware_with_chain";
    note(chain, "by the plugin", chained(stage, &[]).await);
    note(chain, "by the host", chained(stage, &[("x-host-to-host", "true")]).await);

    let (forbidden, custom) = ("http_forbidden_headers", "custom-forbidden-header");
    let headers = passed_on(stage).await;
    note(forbidden, "those of the connection", connection_headers(&headers));
    let told = headers.and_then(|headers| absent(&headers, custom));
    let otherwise = not_forbidden(custom);
    table.note_otherwise(World::ZeroThree, forbidden, custom, told, otherwise);
}

fn trailers() -> HeaderMap {
    [("fizz".parse().expect("a name"), HeaderValue::from_static("buzz"))].into_iter().collect()
}

fn post(
    to: impl std::fmt::Display,
    headers: &[(&str, &str)],
    body: client::Body,
) -> Request<client::Body> {
    let mut request = Request::post(format!("http://{to}")).header("foo", "bar");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).expect("a request")
}

/// Whether the headers and the body have come back.
fn came_back(reply: &Reply, body: &[u8]) -> Result<(), String> {
    let header = reply.headers.get("foo").is_some_and(|value| value == "bar");
    if reply.status == 200 && header && reply.body == body {
        return Ok(());
    }
    Err(format!("{reply:?}"))
}

async fn echo(stage: &Stage, headers: &[(&str, &str)], body: Vec<Bytes>) -> Result<(), String> {
    let to = stage.zero_three;
    let request = post(format!("{to}/echo"), headers, pieces(body, Some(trailers())));
    let reply = ask(to, request).await?;
    came_back(&reply, BODY)?;
    if reply.trailers == trailers() { Ok(()) } else { Err(format!("{reply:?}")) }
}

/// The answer ends with the last piece of its body: there are no trailers.
async fn echo_alone(stage: &Stage) -> Result<(), String> {
    let to = stage.zero_three;
    let request = post(format!("{to}/echo"), &[], pieces(vec![BODY.into()], None));
    let reply = ask(to, request).await?;
    came_back(&reply, BODY)?;
    if reply.trailers.is_empty() { Ok(()) } else { Err(format!("{reply:?}")) }
}

/// The body is sent after the answer has begun, so the handler has already returned.
async fn proxy(stage: &Stage) -> Result<(), String> {
    let to = stage.zero_three;
    let (send, to_come) = oneshot::channel::<Bytes>();
    let frames = stream::once(async { Frame::data(to_come.await.expect("a body")) });
    let url = format!("http://{}/echo", stage.server.address);
    let request = post(format!("{to}/proxy"), &[("url", &url)], client::of(Box::pin(frames)));
    let response = begin(to, request).await?;
    send.send(BODY.into()).expect("it is waited for");
    let reply = timeout(PATIENCE, all(response)).await.map_err(|_| "the answer does not end")??;
    let method = reply.headers.get("x-seen-method").is_some_and(|method| method == "POST");
    if method && reply.body == BODY { Ok(()) } else { Err(format!("{reply:?}")) }
}

/// The plugin calls itself, with and without a content coding.
async fn middleware(stage: &Stage, coded: bool) -> Result<(), String> {
    let to = stage.zero_three;
    let turned = BODY.iter().map(|byte| if coded { !byte } else { *byte }).collect::<Vec<_>>();
    let url = format!("http://{to}/echo");
    let mut headers = vec![("url", &*url), ("trailer", "fizz"), ("te", "trailers")];
    if coded {
        headers.extend([("content-encoding", "x-turned"), ("accept-encoding", "x-turned")]);
    }
    let body = pieces(vec![Bytes::from(turned.clone())], Some(trailers()));
    let reply = ask(to, post(format!("{to}/middleware"), &headers, body)).await?;
    came_back(&reply, &turned)?;
    let coding = reply.headers.get("content-encoding").is_some_and(|coding| coding == "x-turned");
    if coding != coded || reply.trailers != trailers() {
        return Err(format!("{reply:?}"));
    }
    Ok(())
}

async fn chained(stage: &Stage, headers: &[(&str, &str)]) -> Result<(), String> {
    let to = stage.zero_three;
    let headers = [headers, &[("trailer", "fizz"), ("te", "trailers")]].concat();
    let body = pieces(vec![BODY.into()], Some(trailers()));
    let request = post(format!("{to}/middleware-with-chain?{to}"), &headers, body);
    let reply = ask(to, request).await?;
    came_back(&reply, BODY)?;
    if reply.trailers == trailers() { Ok(()) } else { Err(format!("{reply:?}")) }
}

/// The headers that a server receives with a request that was passed on unchanged.
async fn passed_on(stage: &Stage) -> Result<String, String> {
    let target = format!("/forbidden-headers?{}", stage.server.address);
    let request = Request::get(target)
        .header("host", "victim.internal")
        .header("connection", "close")
        .header("custom-forbidden-header", "yes")
        .header("foo", "bar");
    let request = request.body(nothing()).expect("a request");
    let reply = all(begin_by_1(stage.zero_three, request).await?).await?;
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    if reply.status == 200 { Ok(text) } else { Err(format!("{} {text}", reply.status)) }
}

fn connection_headers(headers: &Result<String, String>) -> Result<(), String> {
    let headers = headers.as_ref().map_err(Clone::clone)?;
    // The original host is in `x-forwarded-host`, as with any proxy.
    absent(headers, "host: victim.internal")?;
    absent(headers, "connection")?;
    if headers.lines().any(|line| line == "foo: bar") { Ok(()) } else { Err(headers.clone()) }
}

/// Checks that no line of `headers` begins with `what`.
fn absent(headers: &str, what: &str) -> Result<(), String> {
    let there = headers.lines().any(|line| line.starts_with(what));
    if there { Err(format!("{what} arrives: {headers}")) } else { Ok(()) }
}
