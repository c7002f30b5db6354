//! Something that answers as a host does, without being one: for what commands make of answers.

use axum::{Router, handler::Handler, http::StatusCode};
use serde_json::json;
use tokio::net::TcpListener;

/// A listener on a free port, and its URL.
pub(crate) async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, url)
}

/// The URL of something that answers each request by `handler`.
pub(crate) async fn answering<T: 'static>(handler: impl Handler<T, ()>) -> String {
    let (listener, url) = listener().await;
    let router = Router::new().fallback(handler);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// The URL of something that refuses each request with this problem.
pub(crate) async fn refusing(status: StatusCode, detail: &str) -> String {
    let code = status.as_u16();
    let problem = json!({ "title": "", "status": code, "detail": detail, "help": "wait" });
    let problem = problem.to_string();
    answering(move || {
        let problem = problem.clone();
        async move { (status, problem) }
    })
    .await
}
