//! A client of the leader's web action that remembers the answers.

use std::{net::SocketAddr, time::Duration};

use reqwest::{Client, StatusCode};
use tokio::time::{sleep, timeout};

use super::PATIENCE;

/// An answer of the web action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) host: String,
    pub(crate) fencing_token: i64,
    pub(crate) body: String,
}

/// A client with a new connection for each request.
#[derive(Clone)]
pub(crate) struct Web {
    client: Client,
    url: String,
}

impl Web {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let client = Client::builder()
            .pool_max_idle_per_host(0)
            .timeout(Duration::from_secs(1))
            .build()
            .expect("a client");
        Self { client, url: format!("http://{address}") }
    }

    /// Sends one request; `None` if there is no answer.
    pub(crate) async fn get(&self, path: &str) -> Option<Answer> {
        let answer = self.client.get(format!("{}{path}", self.url)).send().await.ok()?;
        let header = |name| answer.headers()[name].to_str().expect("text").to_owned();
        let (host, fencing_token) = (header("soloist-host"), header("soloist-fencing-token"));
        let fencing_token = fencing_token.parse().expect("a fencing token");
        let status = answer.status();
        Some(Answer { status, host, fencing_token, body: answer.text().await.ok()? })
    }

    /// The first answer with status 200 that `wanted` accepts. A client gets no event for that, so
    /// it repeats its request.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        self.until_at("/", what, wanted).await
    }

    /// The same at `path`.
    pub(crate) async fn until_at(
        &self,
        path: &str,
        what: &str,
        wanted: impl Fn(&Answer) -> bool,
    ) -> Answer {
        let good = |answer: &Answer| answer.status == StatusCode::OK && wanted(answer);
        self.until_any_at(path, what, good).await
    }

    /// The first answer at `path` that `wanted` accepts, with any status.
    pub(crate) async fn until_any_at(
        &self,
        path: &str,
        what: &str,
        wanted: impl Fn(&Answer) -> bool,
    ) -> Answer {
        let found = timeout(PATIENCE, async {
            loop {
                match self.get(path).await {
                    Some(answer) if wanted(&answer) => return answer,
                    _ => sleep(Duration::from_millis(5)).await,
                }
            }
        });
        found.await.unwrap_or_else(|_| panic!("{what}: no such answer"))
    }
}
