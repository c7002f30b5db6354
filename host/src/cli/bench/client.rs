//! Many requests to one host, over one connection of HTTP/2.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use indicatif::ProgressBar;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::Instant,
};

use crate::words::with_causes;

/// What is asked, again and again.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) payload: Bytes,
}

/// What came of many requests.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// How long all of them took, together.
    pub(super) took: Duration,
    /// How long each took that went well, the shortest first.
    pub(super) latencies: Vec<Duration>,
    /// How often each host worked.
    pub(super) hosts: BTreeMap<String, usize>,
    /// What went wrong, and how often.
    pub(super) failures: BTreeMap<String, usize>,
}

/// One answer.
struct Told {
    latency: Duration,
    outcome: Result<Option<String>, String>,
}

impl Figures {
    /// How many a second went well.
    pub(super) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The latency that so many of a thousand do not exceed.
    pub(super) fn permille(&self, permille: usize) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get(last * permille / 1000).copied().unwrap_or_default()
    }

    fn take(&mut self, told: Told) {
        match told.outcome {
            Ok(host) => {
                self.latencies.push(told.latency);
                if let Some(host) = host {
                    *self.hosts.entry(host).or_default() += 1;
                }
            }
            Err(error) => *self.failures.entry(error).or_default() += 1,
        }
    }
}

/// Asks `question` so many times, some of them at once.
pub(super) async fn ask(
    question: &Question,
    count: usize,
    at_once: usize,
    bar: &ProgressBar,
) -> Figures {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .timer(TokioTimer::new())
        .http2_initial_connection_window_size(8 << 20)
        .build(connector);
    // The connection is no part of what is measured.
    drop(once(&client, question).await);
    let left = Arc::new(Semaphore::new(count));
    let (tell, mut told) = mpsc::channel(1024);
    let mut askers = JoinSet::new();
    let began = Instant::now();
    for _ in 0..at_once.min(count) {
        let (client, question) = (client.clone(), question.clone());
        let (left, tell) = (Arc::clone(&left), tell.clone());
        askers.spawn(async move {
            while let Ok(one) = left.try_acquire() {
                one.forget();
                if tell.send(once(&client, &question).await).await.is_err() {
                    return;
                }
            }
        });
    }
    drop(tell);
    let mut figures = Figures::default();
    while let Some(told) = told.recv().await {
        figures.take(told);
        bar.inc(1);
    }
    figures.took = began.elapsed();
    askers.join_all().await;
    figures.latencies.sort_unstable();
    figures
}

async fn once(client: &Client<HttpConnector, Full<Bytes>>, question: &Question) -> Told {
    let began = Instant::now();
    let mut request = Request::new(Full::new(question.payload.clone()));
    *request.method_mut() = question.method.clone();
    *request.uri_mut() = question.uri.clone();
    let outcome = async {
        let answer = client.request(request).await.map_err(|error| with_causes(&error))?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| with_causes(&error))?;
        if !head.status.is_success() {
            let text = String::from_utf8_lossy(&body.to_bytes()).trim().to_owned();
            return Err(format!("{}: {text}", head.status.as_u16()));
        }
        let host = head.headers.get("soloist-host").and_then(|host| host.to_str().ok());
        Ok(host.map(ToOwned::to_owned))
    };
    let outcome = outcome.await;
    Told { latency: began.elapsed(), outcome }
}
