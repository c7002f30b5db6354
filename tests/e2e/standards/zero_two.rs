//! Requests to plugins of `wasi:http` 0.2, in addition to those for both worlds.

use std::net::SocketAddr;

use bytes::Bytes;
use hyper::Request;
use serde_json::Value;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::{
    Stage,
    client::{self, ask, get, nothing, pieces},
    table::{Table, World},
};

pub(super) async fn check(stage: &Stage, table: &mut Table) {
    let mut note = |program, case, told| table.note(World::ZeroTwo, program, case, told);
    note("api_proxy", "a client that goes early", early_drop(stage).await);
    // A field counts as 82 bytes here, and their sum is limited to 64 KiB.
    for (case, target, more, ends) in [
        ("new fields below the limit", "/new-fields?7700", 0, false),
        ("new fields beyond the limit", "/new-fields?9000", 0, true),
        ("fields of a request below it", "/modify-fields?6500", 800, false),
        ("fields of a request beyond it", "/modify-fields?7700", 800, true),
    ] {
        note("api_proxy", case, fields(stage, target, more, ends).await);
    }
    let forward = "api_proxy_forward_request";
    note(forward, "with a port", with_port(stage).await);
    note(forward, "without a port", without_port(stage).await);
    let streaming = "api_proxy_streaming";
    note(streaming, "hash-all", hash_all(stage).await);
    note(streaming, "hash-all, one of which is denied", hash_all_but_one(stage).await);
    note(streaming, "echo", echo(stage, "/echo", None).await);
    let url = format!("http://{}/echo", stage.server.address);
    note(streaming, "double-echo", echo(stage, "/double-echo", Some(url)).await);
}

/// A client that disconnects ends the handler, which is not an error of the plugin.
async fn early_drop(stage: &Stage) -> Result<(), String> {
    let log = &stage.cluster.host("a").log;
    let seen = log.len();
    let mut stream = TcpStream::connect(stage.zero_two).await.map_err(|e| e.to_string())?;
    let request = b"GET /early-drop HTTP/1.1\r\nhost: a\r\n\r\n";
    stream.write_all(request).await.map_err(|error| error.to_string())?;
    drop(stream);
    let over = |line: &Value| line["event"] == "request" && line["path"] == "/early-drop";
    log.find(seen, "the end of the request", over).await;
    get(stage.zero_two, "/api-proxy").await?.told("ok")?;
    let trap = log.lines().into_iter().find(|line| line["request"] == "GET /early-drop");
    trap.map_or(Ok(()), |line| Err(line.to_string()))
}

/// Makes the plugin add to the headers of a request that has `more` bytes of them; `ends` says
/// whether that ends the plugin.
async fn fields(stage: &Stage, target: &str, more: usize, ends: bool) -> Result<(), String> {
    let mut request = Request::get(format!("http://{}{target}", stage.zero_two));
    for number in 0..more / 10 {
        request = request.header(format!("k{number:04}"), format!("v{number:04}"));
    }
    let reply = ask(stage.zero_two, request.body(nothing()).expect("a request")).await?;
    if !ends {
        return reply.told("ok");
    }
    let body = String::from_utf8_lossy(&reply.body);
    if reply.status != 500 || !body.contains("the plugin failed") {
        return Err(format!("{} {body}", reply.status));
    }
    // A repeated error is not logged again.
    let why = |line: &Value| line["error"] == "total size of fields exceeds limit";
    stage.cluster.host("a").log.find(0, "word of too many fields", why).await;
    Ok(())
}

async fn forward(stage: &Stage, authority: &str) -> Result<client::Reply, String> {
    let request = Request::get(format!("http://{authority}/forward-request"));
    ask(stage.zero_two, request.body(nothing()).expect("a request")).await
}

async fn with_port(stage: &Stage) -> Result<(), String> {
    let reply = forward(stage, &stage.server.address.to_string()).await?;
    reply.told("")?;
    let path = reply.headers.get("x-seen-path");
    if path.is_some_and(|path| path == "/forward-request") {
        Ok(())
    } else {
        Err(format!("{reply:?}"))
    }
}

/// This means port 80, where a server may or may not listen.
async fn without_port(stage: &Stage) -> Result<(), String> {
    let reply = forward(stage, &stage.server.address.ip().to_string()).await?;
    let body = String::from_utf8_lossy(&reply.body);
    if reply.status != 502 || body.contains("ErrorCode::ConnectionRefused") {
        return Ok(());
    }
    Err(format!("{} {body}", reply.status))
}

async fn hashed(to: SocketAddr, urls: &[String]) -> Result<Vec<String>, String> {
    let mut request = Request::get(format!("http://{to}/hash-all"));
    for url in urls {
        request = request.header("url", url);
    }
    let reply = ask(to, request.body(nothing()).expect("a request")).await?;
    let mut lines: Vec<_> =
        String::from_utf8_lossy(&reply.body).lines().map(ToOwned::to_owned).collect();
    lines.sort();
    if reply.status == 200 { Ok(lines) } else { Err(format!("{} {lines:?}", reply.status)) }
}

async fn hash_all(stage: &Stage) -> Result<(), String> {
    let url = |word| format!("http://{}/say/{word}", stage.server.address);
    let words = ["all", "brillig", "gimble", "wabe"];
    let told = hashed(stage.zero_two, &words.map(url)).await?;
    let wanted = words.map(|word| format!("{}: {}", url(word), sum(word)));
    if told == wanted { Ok(()) } else { Err(format!("{told:?}")) }
}

async fn hash_all_but_one(stage: &Stage) -> Result<(), String> {
    let good = format!("http://{}/say/wabe", stage.server.address);
    let denied = "http://forbidden.example/".to_owned();
    let told = hashed(stage.zero_two, &[denied.clone(), good.clone()]).await?;
    let wanted =
        [format!("{good}: {}", sum("wabe")), format!("{denied}: ErrorCode::HttpRequestDenied")];
    if told == wanted { Ok(()) } else { Err(format!("{told:?}")) }
}

/// The checksum that the plugin computes of a body: FNV-1a.
fn sum(body: &str) -> String {
    let step = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", body.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

/// A mebibyte comes back unchanged, with its type.
async fn echo(stage: &Stage, path: &str, url: Option<String>) -> Result<(), String> {
    let body: Vec<u8> = (0..1 << 20).map(|place: u32| (place % 251) as u8).collect();
    let mut request = Request::post(format!("http://{}{path}", stage.zero_two))
        .header("content-type", "application/octet-stream");
    if let Some(url) = url {
        request = request.header("url", url);
    }
    let sent = body.chunks(16 << 10).map(Bytes::copy_from_slice).collect();
    let request = request.body(pieces(sent, None)).expect("a request");
    let reply = ask(stage.zero_two, request).await?;
    let kind = reply.headers.get("content-type");
    if reply.status != 200 || kind.is_none_or(|kind| kind != "application/octet-stream") {
        return Err(format!("{} {kind:?}", reply.status));
    }
    if reply.body == body { Ok(()) } else { Err(format!("{} bytes, or others", reply.body.len())) }
}
