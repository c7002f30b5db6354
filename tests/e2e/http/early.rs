//! Answers that are sent before the request is complete: the client must be able to read them.

use std::time::Duration;

use tokio::{io::AsyncWriteExt, time::timeout};

use super::{Way, Ways, all_is_well, case::Talk};
use crate::harness::PATIENCE;

/// The number of bytes that a client sends, whatever it could read in the meantime.
const MUCH: usize = 4 << 20;
/// How often each case is tried, since it depends on timing.
const TIMES: usize = 12;

/// Sends a complete request before it reads anything of the answer, as many programs do.
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

/// The same with a chunked body, whose length is not announced.
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
    let ways = Ways::to("reach.wasm", "max_body_size = \"1MiB\"\n").await;
    let mut wrong = Vec::new();
    for _ in 0..TIMES {
        // The first path reads none of its body; the second one would, but it is too large.
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
    let ways = Ways::to("reach.wasm", "max_body_size = \"1GiB\"\n").await;
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

/// The host does not wait forever for the rest of a body that it ignores.
#[tokio::test(flavor = "multi_thread")]
async fn who_goes_on_sending_is_hung_up_on() {
    let ways = Ways::to("reach.wasm", "max_body_size = \"1GiB\"\n").await;
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
        // The host ends the connection although the client keeps sending.
        let sent = timeout(PATIENCE, async {
            while talk.stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        sent.await.map_err(|_| "it is held for ever".to_owned())
    };
    all_is_well(&ways.hold("it goes on", goes_on).await, 5);
}
