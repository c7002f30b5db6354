//! Generates load: many requests over one HTTP/2 connection to each host.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use indicatif::ProgressBar;
use tokio::{sync::mpsc, task::JoinSet, time::Instant};

use crate::cli::api_client::ApiClient as Host;
use soloist_text::with_causes;
use soloist_tls::{HttpProtocol, MaybeTlsConnector};

/// A request to be measured.
#[derive(Clone, Debug)]
pub(super) struct BenchRequest {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) payload: Bytes,
    pub(super) headers: HeaderMap,
}

/// The results of many requests.
#[derive(Debug, Default)]
pub(super) struct BenchFigures {
    /// The total time.
    pub(super) took: Duration,
    /// The latencies of successful requests, in ascending order.
    pub(super) latencies: Vec<Duration>,
    /// How many requests each host handled.
    pub(super) hosts: BTreeMap<String, usize>,
    /// The errors, and how often each occurred.
    pub(super) failures: BTreeMap<String, usize>,
}

/// The result of one request.
struct BenchSample {
    latency: Duration,
    outcome: Result<Option<String>, String>,
}

impl BenchFigures {
    /// Successful requests per second.
    pub(super) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The latency that `permille` of a thousand requests do not exceed.
    pub(super) fn permille(&self, permille: usize) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get(last * permille / 1000).copied().unwrap_or_default()
    }

    fn take(&mut self, told: BenchSample) {
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

/// Works through `sequences` in turn, `count` in total and `at_once` of them concurrently. Each one
/// is a sequence of requests.
pub(super) async fn ask(
    host: &Host,
    sequences: &[Vec<BenchRequest>],
    count: usize,
    at_once: usize,
    bar: &ProgressBar,
) -> BenchFigures {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .timer(TokioTimer::new())
        .http2_initial_connection_window_size(8 << 20)
        .build(host.peers().connector(connector, HttpProtocol::Http2));
    // Connecting is not part of the measurement.
    for sequence in sequences {
        drop(once(&client, sequence).await);
    }
    let (sequences, next): (Arc<[_]>, _) = (sequences.into(), Arc::new(AtomicUsize::new(0)));
    let (tell, mut told) = mpsc::channel(1024);
    let mut askers = JoinSet::new();
    let began = Instant::now();
    for _ in 0..at_once.min(count) {
        let (client, sequences) = (client.clone(), Arc::clone(&sequences));
        let (next, tell) = (Arc::clone(&next), tell.clone());
        askers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let sequence: &Vec<BenchRequest> = &sequences[number % sequences.len()];
                if number >= count || tell.send(once(&client, sequence).await).await.is_err() {
                    return;
                }
            }
        });
    }
    drop(tell);
    let mut figures = BenchFigures::default();
    while let Some(told) = told.recv().await {
        figures.take(told);
        bar.inc(1);
    }
    figures.took = began.elapsed();
    askers.join_all().await;
    figures.latencies.sort_unstable();
    figures
}

async fn once(
    client: &Client<MaybeTlsConnector, Full<Bytes>>,
    sequence: &[BenchRequest],
) -> BenchSample {
    let (began, mut outcome) = (Instant::now(), Ok(None));
    for question in sequence {
        outcome = answer(client, question).await;
        if outcome.is_err() {
            break;
        }
    }
    BenchSample { latency: began.elapsed(), outcome }
}

/// The host that handled the request, if the response names one.
async fn answer(
    client: &Client<MaybeTlsConnector, Full<Bytes>>,
    question: &BenchRequest,
) -> Result<Option<String>, String> {
    let mut request = Request::new(Full::new(question.payload.clone()));
    *request.method_mut() = question.method.clone();
    *request.uri_mut() = question.uri.clone();
    *request.headers_mut() = question.headers.clone();
    let answer = client.request(request).await.map_err(|error| with_causes(&error))?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.map_err(|error| with_causes(&error))?;
    if !head.status.is_success() {
        let text = String::from_utf8_lossy(&body.to_bytes()).trim().to_owned();
        return Err(format!("{}: {text}", head.status.as_u16()));
    }
    let host = head.headers.get("soloist-host").and_then(|host| host.to_str().ok());
    Ok(host.map(ToOwned::to_owned))
}
