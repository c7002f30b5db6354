//! Tasks: called on one host, executed on all of them.

mod call_queue;
mod calls;
mod fan_out;
mod losses;
mod moving;

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, stream};
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::harness::{PATIENCE, cluster::Cluster, guests};

/// The settings of the task `work`, which does what its payload says, and `more` settings.
fn work(more: &str) -> String {
    let plugin = guests().join("work.wasm");
    format!("[action.work]\nplugin = \"{}\"\n{more}\n", plugin.display())
}

/// Starts hosts with these settings. A host's label `name` is its name.
async fn start(cluster: &mut Cluster, hosts: &[&'static str], settings: &str) {
    for name in hosts {
        let labels = format!("[host]\nlabels = {{ name = \"{name}\" }}\n");
        cluster.start_with(name, &format!("{settings}{labels}"));
    }
    for name in hosts {
        cluster.stands(name).await;
    }
}

/// Starts `a`, `b` and `c`, and waits until each knows that all of them take calls of `work`.
async fn three(cluster: &mut Cluster, settings: &str) {
    start(cluster, &["a", "b", "c"], settings).await;
    for name in ["a", "b", "c"] {
        take_calls(cluster, name, &["a", "b", "c"]).await;
    }
}

/// Waits until `host` knows that exactly these hosts take calls of `work`.
async fn take_calls(cluster: &Cluster, host: &str, hosts: &[&str]) {
    let url = format!("{}/v1/tasks", control(cluster, host).await);
    let client = Client::new();
    let known = timeout(PATIENCE, async {
        loop {
            let tasks: Value = client.get(&url).send().await.unwrap().json().await.unwrap();
            let mut known: Vec<_> = tasks[0]["hosts"].as_array().unwrap().clone();
            known.sort_by_key(ToString::to_string);
            if known == hosts {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    known.await.unwrap_or_else(|_| panic!("{host} does not know {hosts:?}"));
}

/// Waits until `host` executes at least `count` calls of `work`.
async fn under_way(cluster: &Cluster, host: &str, count: usize) {
    let url = format!("{}/metrics", control(cluster, host).await);
    let in_flight = |metrics: &str| {
        let name = "soloist_task_calls_in_flight{task=\"work\"} ";
        metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<usize>().ok())
    };
    let seen = timeout(PATIENCE, async {
        while in_flight(&reqwest::get(&url).await.unwrap().text().await.unwrap()) < Some(count) {
            sleep(Duration::from_millis(20)).await;
        }
    });
    seen.await.unwrap_or_else(|_| panic!("there are not {count} calls under way on {host}"));
}

/// The URL of a host's control API.
async fn control(cluster: &Cluster, host: &str) -> String {
    format!("http://{}", cluster.host(host).api().await)
}

/// The outcome of a call.
#[derive(Debug)]
struct Outcome {
    code: u16,
    /// The host that executed it.
    host: String,
    attempt: String,
    retry_after: Option<String>,
    body: String,
}

/// A client that keeps its connections; `at` is the URL of a host.
#[derive(Clone)]
struct Caller {
    client: Client,
    at: String,
}

impl Caller {
    async fn of(cluster: &Cluster, host: &str) -> Self {
        Self { client: Client::new(), at: control(cluster, host).await }
    }

    async fn call(&self, payload: &str) -> Outcome {
        self.call_with("", payload).await
    }

    /// Calls `work`, with options such as `?timeout=1s`.
    async fn call_with(&self, options: &str, payload: &str) -> Outcome {
        outcome(self.request(options, payload)).await
    }

    fn request(&self, options: &str, payload: &str) -> RequestBuilder {
        let url = format!("{}/v1/tasks/work{options}", self.at);
        self.client.post(url).body(payload.to_owned())
    }

    /// Makes `count` calls, some of them in parallel, and passes every outcome to `each`.
    async fn calls(
        &self,
        count: usize,
        at_once: usize,
        payload: &str,
        mut each: impl FnMut(usize, &Outcome),
    ) -> Vec<Outcome> {
        let call = |_| async move { self.call(payload).await };
        let mut calls = stream::iter(0..count).map(call).buffer_unordered(at_once);
        let mut outcomes = Vec::new();
        while let Some(outcome) = calls.next().await {
            each(outcomes.len(), &outcome);
            outcomes.push(outcome);
        }
        outcomes
    }
}

async fn outcome(request: RequestBuilder) -> Outcome {
    let answer = request.send().await.expect("an answer");
    let header = |name| Some(answer.headers().get(name)?.to_str().unwrap().to_owned());
    let (host, attempt) = (header("soloist-host"), header("soloist-attempt"));
    let (code, retry_after) = (answer.status().as_u16(), header("retry-after"));
    let body = answer.text().await.expect("a body");
    let (host, attempt) = (host.unwrap_or_default(), attempt.unwrap_or_default());
    Outcome { code, host, attempt, retry_after, body }
}

/// How many calls each host executed.
fn counts(outcomes: &[Outcome]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for outcome in outcomes {
        *counts.entry(outcome.host.as_str()).or_default() += 1;
    }
    counts
}
