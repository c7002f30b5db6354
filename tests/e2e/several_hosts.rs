//! Commands that are given several hosts: one after the other is tried until one answers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::http::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{
    exit::{DENIED, UNAVAILABLE},
    fake_host::{answering, listener, refusing},
    process::{Ended, run, soloist},
};

/// Nothing listens there.
const DEAD: &str = "http://127.0.0.1:9";

/// A host that carries out everything, and how often it was asked for a change.
async fn willing() -> (String, Arc<AtomicUsize>) {
    let changes = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&changes);
    let url = answering(move |method: Method| {
        let changes = Arc::clone(&count);
        async move {
            changes.fetch_add(usize::from(method == Method::POST), Ordering::Relaxed);
            r#"{"done": "b leads main now", "jobs": []}"#
        }
    });
    (url.await, changes)
}

/// A host that knows no token.
async fn strict() -> String {
    refusing(StatusCode::UNAUTHORIZED, "it does not know who asks").await
}

/// A host that takes connections and never answers.
async fn hanging() -> String {
    let (listener, url) = listener().await;
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    url
}

/// A host that answers questions, and dies as soon as it has read a change.
async fn dying() -> String {
    let (listener, url) = listener().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 64 << 10];
            let read = stream.read(&mut request).await.unwrap_or_default();
            if request[..read].starts_with(b"GET") {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n";
                stream.write_all(answer).await.expect("it reads");
            }
        }
    });
    url
}

async fn tell(urls: &[&str], args: &[&str]) -> Ended {
    run(soloist().args(args).env("SOLOIST_URL", urls.join(","))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_do_not_serve_are_passed_over() {
    let (good, changes) = willing().await;
    let (hanging, strict) = (hanging().await, strict().await);
    let urls = [DEAD, &hanging, &strict, &good];
    let Ended { status, output } = tell(&urls, &["switchover"]).await;
    assert!(status.success() && output == "b leads main now\n", "{output}");
    assert_eq!(changes.load(Ordering::Relaxed), 1);
    // By repeating the flag, which beats the variable.
    let flags = ["job", "--url", DEAD, "--url", &good];
    let Ended { status, output } = tell(&[DEAD], &flags).await;
    assert!(status.success(), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_host_is_listed_with_its_reason() {
    let (hanging, strict) = (hanging().await, strict().await);
    let Ended { status, output } = tell(&[DEAD, &hanging, &strict], &["status"]).await;
    assert_eq!(status.code(), Some(DENIED), "{output}");
    let lines: Vec<_> = output.lines().filter(|line| line.contains("because: ")).collect();
    for (line, (url, reason)) in lines.iter().zip([
        (DEAD, "Connection refused"),
        (&hanging, "no answer within 3s"),
        (&strict, "does not know who asks"),
    ]) {
        assert!(line.contains(url) && line.contains(reason), "no {reason:?} in {line}");
    }
    assert!(lines.len() == 3 && output.contains("none of 3 hosts"), "{output}");
    let Ended { status, output } = tell(&[DEAD, &hanging], &["status"]).await;
    assert_eq!(status.code(), Some(UNAVAILABLE), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_a_host_may_have_received_is_sent_to_no_other() {
    let (good, changes) = willing().await;
    let dying = dying().await;
    let Ended { status, output } = tell(&[&dying, &good], &["switchover"]).await;
    assert_eq!(status.code(), Some(UNAVAILABLE), "{output}");
    assert!(output.contains(&dying) && output.contains("may have been done"), "{output}");
    assert_eq!(changes.load(Ordering::Relaxed), 0);
}
