use std::path::PathBuf;

use bytes::Bytes;
use reqwest::{Client, Method, RequestBuilder};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;
use crate::api::{
    AccessControl, ProblemDetails, Status, StatusSource, serve,
    server::tests::{STATE_QUOTA, services},
    status::tests::example,
};

struct Fake;

impl StatusSource for Fake {
    fn status(&self) -> Status {
        example()
    }

    fn metrics(&self) -> String {
        String::new()
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }
}

/// A control API with a store of its own.
struct Server {
    url: String,
    file: PathBuf,
    _stop: DropGuard,
    _folder: TempDir,
}

impl Server {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("soloist.db");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let services = services(Arc::new(Fake), folder.path(), AccessControl::open());
        tokio::spawn(serve(listener, services, stop.clone()));
        Self { url, file, _stop: stop.drop_guard(), _folder: folder }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        Client::new().request(method, format!("{}/v1/state/{path}", self.url))
    }

    async fn get(&self, path: &str) -> (u16, String) {
        answer(self.request(Method::GET, path)).await
    }

    async fn put(&self, path: &str, value: impl Into<reqwest::Body>) -> (u16, String) {
        answer(self.request(Method::PUT, path).body(value)).await
    }

    async fn delete(&self, path: &str) -> (u16, String) {
        answer(self.request(Method::DELETE, path)).await
    }

    async fn keys(&self, path: &str) -> (Vec<String>, bool) {
        let (code, body) = self.get(path).await;
        assert_eq!(code, 200, "{body}");
        let page: StateKeys = serde_json::from_str(&body).unwrap();
        (page.keys, page.more)
    }
}

async fn answer(request: RequestBuilder) -> (u16, String) {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn refused((code, body): (u16, String), expected: u16, words: &str) {
    let reason: ProblemDetails =
        serde_json::from_str(&body).unwrap_or_else(|_| panic!("{code}: {body}"));
    assert_eq!(code, expected, "{reason:?}");
    assert!(reason.detail.contains(words), "{reason:?}");
    assert!(!reason.help.is_empty());
}

#[tokio::test]
async fn a_value_is_put_got_and_deleted() {
    let server = Server::start().await;
    assert_eq!(server.put("a/k", "one").await, (204, String::new()));
    assert_eq!(server.put("a/k", "two").await.0, 204);
    assert_eq!(server.get("a/k").await, (200, "two".into()));
    assert_eq!(server.put("a/empty", "").await.0, 204);
    assert_eq!(server.get("a/empty").await, (200, String::new()));
    assert_eq!(server.delete("a/k").await.0, 204);
    refused(server.get("a/k").await, 404, "a keeps no key \"k\"");
    refused(server.delete("a/k").await, 404, "a keeps no key \"k\"");
    let binary: Vec<u8> = (0..=255).collect();
    server.put("a/k", binary.clone()).await;
    let value = server.request(Method::GET, "a/k").send().await.unwrap();
    assert_eq!(value.headers()["content-type"], "application/octet-stream");
    assert_eq!(value.headers()["x-content-type-options"], "nosniff");
    assert_eq!(value.bytes().await.unwrap(), binary);
}

#[tokio::test]
async fn any_key_can_be_named() {
    let server = Server::start().await;
    for (path, key) in [
        ("a/b/c", "b/c"),
        ("a/d%2Fe", "d/e"),
        ("a/%00", "\0"),
        ("a/f%20g", "f g"),
        ("a/h+i", "h+i"),
        ("a/%F0%9F%A6%80", "🦀"),
        ("a?key=..", ".."),
        ("a?key=j%26k%3Dl", "j&k=l"),
    ] {
        assert_eq!(server.put(path, key).await.0, 204, "{path}");
        assert_eq!(server.get(path).await, (200, key.into()), "{path}");
        assert!(server.keys("a").await.0.contains(&key.to_owned()), "{path}");
    }
    assert_eq!(server.get("a/d/e").await.1, "d/e");
    refused(server.put("a/%FF", "").await, 400, "UTF-8");
    refused(server.put("a", "").await, 400, "no key is named");
    refused(server.delete("a").await, 400, "no key is named");
}

#[tokio::test]
async fn keys_come_in_pages() {
    let server = Server::start().await;
    for key in ["b", "a", "c"] {
        server.put(&format!("web/{key}"), "").await;
    }
    assert_eq!(server.keys("web?limit=2").await, (vec!["a".into(), "b".into()], true));
    assert_eq!(server.keys("web?limit=1&after=b").await, (vec!["c".into()], false));
    assert_eq!(server.keys("web?after=c").await, (vec![], false));
    assert_eq!(server.keys("other").await, (vec![], false));
    refused(server.get("web?limit=x").await, 400, "limit");
    assert_eq!(server.delete("web?all=true").await, (200, r#"{"deleted":3}"#.into()));
    assert_eq!(server.keys("web").await, (vec![], false));
    assert_eq!(server.delete("web?all=true").await, (200, r#"{"deleted":0}"#.into()));
}

#[tokio::test]
async fn all_keys_are_deleted_however_many() {
    let server = Server::start().await;
    for i in 0..2 * BATCH_MAX + 1 {
        server.put(&format!("a/{i}"), "").await;
    }
    server.put("ab/k", "").await;
    assert_eq!(server.delete("a?all=true").await, (200, r#"{"deleted":129}"#.into()));
    assert_eq!(server.keys("ab").await.0, ["k"]);
}

#[tokio::test]
async fn an_action_keeps_no_more_than_its_quota() {
    let server = Server::start().await;
    let kept = async |action: &str| {
        let (_, body) = server.get(action).await;
        let page: StateKeys = serde_json::from_str(&body).unwrap();
        (page.bytes, page.max_bytes)
    };
    assert_eq!(kept("a").await, (0, STATE_QUOTA));
    for key in ["1", "2", "3"] {
        assert_eq!(server.put(&format!("a/{key}"), vec![0; VALUE_MAX]).await.0, 204);
    }
    refused(server.put("a/4", vec![0; VALUE_MAX]).await, 413, "raise `max_state_size`");
    assert_eq!(kept("a").await, (3 * (VALUE_MAX as u64 + 1), STATE_QUOTA));
    assert_eq!(server.put("b/4", vec![0; VALUE_MAX]).await.0, 204, "another action has its own");
    assert_eq!(server.delete("a/1").await.0, 204);
    assert_eq!(server.put("a/4", vec![0; VALUE_MAX]).await.0, 204);
}

#[tokio::test]
async fn limits_are_told() {
    let server = Server::start().await;
    assert_eq!(server.put("a/k", vec![0; VALUE_MAX]).await.0, 204);
    refused(server.put("a/k", vec![0; VALUE_MAX + 1]).await, 413, "longer than 262144 bytes");
    // A body without a known length.
    let parts = [vec![0; VALUE_MAX], vec![0; 1]].map(Ok::<_, std::io::Error>);
    let body = http_body_util::StreamBody::new(futures::stream::iter(
        parts.map(|part| part.map(|part| http_body::Frame::data(Bytes::from(part)))),
    ));
    refused(server.put("a/k", reqwest::Body::wrap(body)).await, 413, "longer than 262144 bytes");
    refused(server.put(&format!("a/{}", "k".repeat(513)), "").await, 413, "a key of 513 bytes");
    refused(server.get("a%2Fb/k").await, 400, "`a/b` is not a name");
}

#[tokio::test]
async fn a_store_that_fails_is_told_with_its_reason() {
    let server = Server::start().await;
    server.put("a/k", "1").await;
    let holder = Connection::open(&server.file).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    refused(server.put("a/k", "2").await, 503, "another process holds it: database is locked");
    let told = server.delete("a?all=true").await;
    refused(told, 503, "; 0 keys of a were deleted before that");
    assert_eq!(server.get("a/k").await, (200, "1".into()));
    holder.execute_batch("ROLLBACK").unwrap();
    assert_eq!(server.put("a/k", "2").await.0, 204);
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing() {
    let server = Server::start().await;
    server.put("a/k", "kept").await;
    for site in ["cross-site", "same-site", "anything"] {
        let from = |request: RequestBuilder| request.header("sec-fetch-site", site);
        let put = from(server.request(Method::PUT, "a/k").body("changed"));
        refused(answer(put).await, 403, "other sites");
        for path in ["a/k", "a?all=true"] {
            let delete = from(server.request(Method::DELETE, path));
            refused(answer(delete).await, 403, "other sites");
        }
        assert_eq!(answer(from(server.request(Method::GET, "a/k"))).await.0, 200);
    }
    // The permission that a browser asks for before it sends a PUT for a page.
    let asks = server
        .request(Method::OPTIONS, "a/k")
        .header("origin", "http://elsewhere.example")
        .header("access-control-request-method", "PUT");
    let told = asks.send().await.unwrap();
    assert!(!told.status().is_success());
    assert!(told.headers().keys().all(|name| !name.as_str().starts_with("access-control")));
    assert_eq!(server.get("a/k").await, (200, "kept".into()));
    for site in ["none", "same-origin"] {
        let put = server.request(Method::PUT, "a/k").header("sec-fetch-site", site).body(site);
        assert_eq!(answer(put).await.0, 204);
    }
}
