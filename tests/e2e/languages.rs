//! Plugins in other languages: the examples, and the output of `soloist plugin new`.
//!
//! `cargo xtask test` installs the compilers of languages that build quickly. The tests of the
//! other languages are ignored there; `cargo xtask ci` runs all.

mod databases;
mod examples;
pub(crate) mod projects;
mod spelling;
mod templates;
mod tutorial_page;
mod tutorials;

use std::{net::SocketAddr, time::Duration};

use reqwest::{Client, Method, StatusCode, redirect::Policy};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::harness::{
    PATIENCE,
    cluster::{Cluster, Kind},
};

/// How long a compiler may take: that of a language, and the host's own, which compiles 18 MB for
/// Python. The tests do not measure speed by it.
const COMPILING: Duration = Duration::from_secs(600);

/// The answer to a request.
struct Reply {
    status: StatusCode,
    /// The header `location`.
    location: String,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("JSON: {}", self.body))
    }
}

/// A client with all methods of HTTP, which follows no redirects.
struct Caller {
    client: Client,
    web_at: SocketAddr,
}

impl Caller {
    fn of(cluster: &Cluster) -> Self {
        let client = Client::builder().redirect(Policy::none()).timeout(PATIENCE);
        let client = client.pool_max_idle_per_host(0).build().expect("a client");
        Self { client, web_at: cluster.web_at }
    }

    async fn call(&self, method: Method, path: &str, body: &str) -> Reply {
        let request = self.client.request(method, format!("http://{}{path}", self.web_at));
        let answer = request.body(body.to_owned()).send().await.expect("an answer");
        let location = answer.headers().get("location");
        let location = location.map_or("", |value| value.to_str().expect("text")).to_owned();
        let status = answer.status();
        Reply { status, location, body: answer.text().await.expect("a body") }
    }

    async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, "").await
    }
}

/// Waits until this host has compiled its plugins and stands.
async fn stands(cluster: &Cluster, host: &str) {
    let standby = |line: &Value| line["event"] == "standby";
    cluster.host(host).log.find_within(COMPILING, 0, "event \"standby\"", standby).await;
    cluster.stands(host).await;
}

/// Waits until this host answers at all.
async fn answers(cluster: &Cluster, host: &str) {
    stands(cluster, host).await;
    let answered = timeout(PATIENCE, async {
        while cluster.web.get("/").await.is_none_or(|answer| answer.host != host) {
            sleep(Duration::from_millis(5)).await;
        }
    });
    let log = || format!("{host} does not answer:\n{}", cluster.host(host).log);
    answered.await.unwrap_or_else(|_| panic!("{}", log()));
}
