//! Answers that come before a request has: whoever is told something comes to read it.

use std::time::Duration;

use tokio::{io::AsyncWriteExt, time::timeout};

use super::{Way, Ways, all_is_well, case::Talk};
use crate::harness::PATIENCE;

/// How much is sent, whatever is said meanwhile.
const MUCH: usize = 4 << 20;
/// How often each is tried: it is a matter of moments.
const TIMES: usize = 12;

/// Sends all of a request before anything of the answer is read, as many programs do.
async fn sends_all(way: Way, path: &str, status: u16) -> Result<(), String> {
    let mut talk = Talk::with(way).await?;
    let head = format!(
        "POST {}/{path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {MUCH}\r\n\r\n",
        way.prefix
    );
    talk.send(head.as_bytes()).await?;
    let piece = vec![b'x'; 64 << 10];
    for _ in 0..MUCH / piece.len() {
        talk.send(&piece).await?;
    }
    said(talk, status).await
}

/// The same in chunks, so that nobody knows how much there is.
async fn sends_chunks(way: Way, path: &str, status: u16) -> Result<(), String> {
    let mut talk = Talk::with(way).await?;
    let head = format!(
        "POST {}/{path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n",
        way.prefix
    );
    talk.send(head.as_bytes()).await?;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(64 << 10));
    for _ in 0..MUCH >> 16 {
        talk.send(chunk.as_bytes()).await?;
    }
    talk.send(b"0\r\n\r\n").await?;
    said(talk, status).await
}

async fn said(mut talk: Talk, status: u16) -> Result<(), String> {
    let answer = timeout(PATIENCE, talk.answer("POST")).await.map_err(|_| "no answer")??;
    if answer.status == status { Ok(()) } else { Err(format!("{} {}", answer.status, answer.body)) }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_all_before_reading_is_told() {
    let ways = Ways::to("reach.wasm", "body = \"1MiB\"\n").await;
    let mut wrong = Vec::new();
    for _ in 0..TIMES {
        // Of the first nothing is read; the second would be, and is too large.
        wrong.extend(
            ways.hold("too much, as it says", async |way| sends_all(way, "at-once", 413).await)
                .await,
        );
        wrong.extend(ways.hold("too much", async |way| sends_chunks(way, "all", 413).await).await);
    }
    all_is_well(&wrong, TIMES * 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_answered_before_the_body_was_read_is_told() {
    let ways = Ways::to("reach.wasm", "body = \"1GiB\"\n").await;
    let mut wrong = Vec::new();
    for _ in 0..TIMES {
        wrong.extend(ways.hold("at once", async |way| sends_all(way, "at-once", 200).await).await);
        wrong.extend(
            ways.hold("at once, in chunks", async |way| sends_chunks(way, "at-once", 200).await)
                .await,
        );
    }
    all_is_well(&wrong, TIMES * 10);
}

/// Nobody waits for ever for the rest of what nobody reads.
#[tokio::test(flavor = "multi_thread")]
async fn who_goes_on_sending_is_hung_up_on() {
    let ways = Ways::to("reach.wasm", "body = \"1GiB\"\n").await;
    let goes_on = async |way: Way| {
        let mut talk = Talk::with(way).await?;
        let head = format!(
            "POST {}/at-once HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
            way.prefix,
            1 << 30
        );
        talk.send(head.as_bytes()).await?;
        talk.send(b"x").await?;
        let answer = talk.answer("POST").await?;
        if answer.status != 200 {
            return Err(format!("{} {}", answer.status, answer.body));
        }
        // Each byte is asked for by nobody; what ends it is the host.
        let sent = timeout(PATIENCE, async {
            while talk.stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        sent.await.map_err(|_| "it is held for ever".to_owned())
    };
    all_is_well(&ways.hold("it goes on", goes_on).await, 5);
}
