//! The server of the control API.
//!
//! Invariants:
//! - No client can hold the server: requests have a time limit, connections a number.
//! - When [`serve`] returns, every connection is closed.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{Method, StatusCode, Uri, header},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::{body::Incoming, service::Service};
use hyper_util::service::TowerToHyperService;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    JobSource, Status, casts, commands, dashboard, events, jobs,
    live::Live,
    logs::{self, LogSource},
    own_site,
    refusal::Refusal,
    state,
    tasks::{self, TaskDesk},
};
use crate::{
    action::{Answers, Caller, Hall, Tasks, serve as answer},
    cluster::Commands,
    journal::Journal,
    relay::Relay,
    store,
};

/// How long a client may take to send a request, or to sit idle.
pub(super) const REQUEST_TIME: Duration = Duration::from_secs(10);
/// How long an answer in flight may take once the server stops.
const GRACE: Duration = Duration::from_secs(1);
/// How long to wait after the system refused a connection, as when files run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Other hosts send what they are asked for the leader's actions over many of them.
const MAX_CONNECTIONS: usize = 1024;
/// Calls of tasks come from each other host over one connection: more than a host takes
/// find a refusal, and not a wait.
const MAX_STREAMS: u32 = 16 << 10;
/// Prometheus' text format (prometheus.io/docs/instrumenting/exposition_formats).
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

const INDEX: &str = "\
soloist: many hosts stand by, exactly one performs.

GET /            the dashboard, for browsers

GET /v1/status   the cluster as this host sees it, as JSON; `soloist status` prints it
GET /v1/events   the same and every transition, as they change, as server-sent events
GET /metrics     measurements of this host, for Prometheus
GET /livez       200 as long as the process serves
GET /readyz      200 when plugins are prepared and the session in the store is live

GET /v1/logs/ACTION                what it printed lately; ?lines=N&follow=true&host=HOST&format=json; `soloist logs` does the same

GET /v1/state/ACTION               the keys of an action's state, as JSON; ?after=KEY&limit=N
GET, PUT, DELETE /v1/state/ACTION/KEY   one value, as it is; `soloist state` does the same
DELETE /v1/state/ACTION?all=true   all of them

GET /v1/jobs                       the jobs of this host, as JSON, each with its next and last firing
GET /v1/jobs/NAME                  what is kept of a job's firings
POST /v1/jobs/NAME/run             has it run now; ?wait=true answers when it has ended; `soloist jobs` does the same

POST /v1/resign                    the leader of {\"group\"} hands over, to the host {\"to\"} or to the next in line
POST /v1/pause, /v1/resume         no changes by preference in {\"group\"}, or in all; {\"freeze\": true}: none at all
POST /v1/drain, /v1/undrain        {\"host\"}, or this one, gives everything up and stays out
POST /v1/remove                    forgets {\"host\"}; {\"force\": true}: one that is alive leaves first
Each takes JSON with {\"by\"} and {\"reason\"}; `soloist resign`, `pause`, `drain`, `remove` do the same.

GET /v1/tasks                      the tasks, and the hosts that take calls of each, as JSON
POST /v1/tasks/TASK                calls one with the body; ?timeout=5s&attempts=3; `soloist call` does the same
POST /v1/tasks/TASK?mode=cast      has it kept until it is done; `soloist cast` does the same
GET /v1/tasks/TASK/ID              how a cast stands; /answer: its answer
GET, POST, DELETE /v1/tasks/TASK/dead   what was given up, tried again, taken away; ?id=ID

/leader/ACTION/PATH                what the leader's action answers at /PATH, from any host
";

/// Where the control API learns what it says.
pub trait StatusSource: Send + Sync + 'static {
    /// The cluster as this host sees it now.
    fn status(&self) -> Status;

    /// The measurements of this host, in Prometheus' text format.
    fn metrics(&self) -> String;

    /// Whether plugins are prepared and the session in the store is live.
    ///
    /// # Errors
    /// Says what is missing.
    fn ready(&self) -> Result<(), String>;
}

type Source = Arc<dyn StatusSource>;

/// Whom requests are for.
pub struct Desks {
    /// What this host says of itself.
    pub source: Source,
    /// The state of actions.
    pub state: Arc<dyn store::State>,
    /// What has happened lately.
    pub journal: Journal,
    /// What people tell the cluster to do.
    pub commands: Arc<Commands>,
    /// The jobs.
    pub jobs: Arc<JobSource>,
    /// What actions print.
    pub logs: Arc<LogSource>,
    /// The tasks.
    pub tasks: TaskDesk,
    /// The leader's actions.
    pub relay: Relay,
}

/// Serves the control API until `stop`, then closes every connection.
pub async fn serve(listener: TcpListener, desks: Desks, stop: CancellationToken) {
    let relay = desks.relay.clone();
    let tasks = Tasks::new();
    let live = Live::new(tasks.clone(), stop.clone());
    let rooms = Rooms { own: TowerToHyperService::new(routes(desks, live)), relay };
    let hall = Hall {
        routes: Arc::new(rooms),
        tls: None,
        closing: stop.clone(),
        tasks,
        streams: MAX_STREAMS,
        head: REQUEST_TIME,
    };
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Some(stream) = stop.run_until_cancelled(accept(&listener)).await {
        // Whoever is one too many finds the connection closed and may try again.
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let answering = hall.clone();
            hall.tasks.spawn_told(|cut| async move {
                answer(stream, answering, cut).await;
                drop(place);
            });
        }
    }
    drop(listener);
    let _ = timeout(GRACE, hall.tasks.join()).await;
    hall.tasks.stop().await;
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "the control API cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Where a request may belong.
struct Rooms {
    /// The control API itself.
    own: TowerToHyperService<Router>,
    /// What the leader performs.
    relay: Relay,
}

impl Answers for Rooms {
    type Body = Body;

    async fn respond(
        &self,
        request: Request<Incoming>,
        caller: Caller,
    ) -> Result<Response, Infallible> {
        if !Relay::is_at(request.uri().path()) {
            return self.own.call(request).await;
        }
        if let Err(refusal) = own_site::check(request.method(), request.headers()) {
            return Ok(refusal.into_response());
        }
        // Boxed, or every request of the control API would be as large.
        Ok(Box::pin(self.relay.respond(request, caller)).await?.map(Body::new))
    }
}

fn routes(desks: Desks, live: Live) -> Router {
    let Desks { source, state, journal, commands, jobs, logs, tasks, .. } = desks;
    let news = Arc::clone(&source);
    Router::new()
        .merge(dashboard::routes(INDEX))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/v1/status", get(status))
        .with_state(source)
        .merge(events::routes(news, journal, live.clone()))
        .merge(logs::routes(logs, live))
        .merge(state::routes(state))
        .merge(commands::routes(commands))
        .merge(casts::routes(tasks.clone()))
        .merge(tasks::routes(tasks))
        .merge(jobs::routes(jobs))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn(own_site::only))
}

async fn ready(State(source): State<Source>) -> Response {
    match source.ready() {
        Ok(()) => "ok\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

/// Indented, since people read it with curl; nobody asks so often that the spaces matter.
async fn status(State(source): State<Source>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    match serde_json::to_string_pretty(&source.status()) {
        Ok(json) => (headers, json + "\n").into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn metrics(State(source): State<Source>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, METRICS)], source.metrics())
}

async fn unknown_path(uri: Uri) -> impl IntoResponse {
    let error = format!("there is nothing at {}", uri.path());
    Refusal::new(StatusCode::NOT_FOUND, error, "GET / lists what there is")
}

async fn wrong_method(method: Method, uri: Uri) -> impl IntoResponse {
    let error = format!("{} does not take {method}", uri.path());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, error, "GET / lists what there is")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tempfile::TempDir;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        task::JoinHandle,
    };

    use super::*;
    use crate::{api::status::tests::example, config::StoreUrl, relay::test_relay};

    struct Fake(Mutex<Result<(), String>>);

    impl StatusSource for Fake {
        fn status(&self) -> Status {
            example()
        }

        fn metrics(&self) -> String {
            "soloist_leader 1\n".into()
        }

        fn ready(&self) -> Result<(), String> {
            self.0.lock().unwrap().clone()
        }
    }

    struct Server {
        url: String,
        source: Arc<Fake>,
        stop: CancellationToken,
        task: JoinHandle<()>,
        _folder: TempDir,
    }

    impl Server {
        async fn start() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let source = Arc::new(Fake(Mutex::new(Ok(()))));
            let stop = CancellationToken::new();
            let folder = tempfile::tempdir().unwrap();
            let file = StoreUrl::Sqlite(folder.path().join("soloist.db"));
            let store = store::open(&file, "test", REQUEST_TIME).unwrap();
            let state = store.state().unwrap();
            let jobs = Arc::new(jobs::tests::none(&*store));
            let tasks = tasks::tests::nothing(&store);
            let commands = Arc::new(commands::tests::nobody(store));
            let (asked, told) = (source.clone(), stop.clone());
            let relay = test_relay();
            let journal = Journal::default();
            let logs = Arc::new(logs::tests::none());
            let desks = Desks { source: asked, state, journal, commands, jobs, logs, tasks, relay };
            let task = tokio::spawn(serve(listener, desks, told));
            Self { url, source, stop, task, _folder: folder }
        }

        async fn ask(&self, method: Method, path: &str) -> (u16, String) {
            let request = reqwest::Client::new().request(method, format!("{}{path}", self.url));
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        }

        async fn get(&self, path: &str) -> (u16, String) {
            self.ask(Method::GET, path).await
        }
    }

    #[tokio::test]
    async fn says_what_it_knows() {
        let server = Server::start().await;
        let (code, body) = server.get("/v1/status").await;
        assert_eq!((code, serde_json::from_str::<Status>(&body).unwrap()), (200, example()));
        assert_eq!(server.get("/").await, (200, INDEX.to_owned()));
        let page = reqwest::Client::new().get(&server.url).header("accept", "text/html,*/*");
        let page = page.send().await.unwrap();
        let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
        assert!(page.text().await.unwrap().starts_with("<!doctype html>"));
        assert_eq!(server.get("/metrics").await, (200, "soloist_leader 1\n".to_owned()));
    }

    #[tokio::test]
    async fn is_alive_while_it_is_not_ready_and_says_why() {
        let server = Server::start().await;
        assert_eq!(server.get("/readyz").await, (200, "ok\n".into()));
        *server.source.0.lock().unwrap() = Err("no session: etcd is unavailable".into());
        assert_eq!(server.get("/readyz").await, (503, "no session: etcd is unavailable\n".into()));
        assert_eq!(server.get("/livez").await, (200, "ok\n".into()));
    }

    #[tokio::test]
    async fn refuses_with_a_hint() {
        let server = Server::start().await;
        let (code, body) = server.get("/status").await;
        assert_eq!(code, 404);
        assert_eq!(
            body,
            r#"{"error":"there is nothing at /status","help":"GET / lists what there is"}"#
        );
        let (code, body) = server.ask(Method::POST, "/v1/status").await;
        assert_eq!(code, 405);
        assert!(body.contains("/v1/status does not take POST"), "{body}");
    }

    #[tokio::test]
    async fn there_may_be_no_job() {
        let server = Server::start().await;
        assert_eq!(server.get("/v1/jobs").await, (200, r#"{"jobs":[]}"#.to_owned()));
        for (method, path) in
            [(Method::GET, "/v1/jobs/report"), (Method::POST, "/v1/jobs/report/run")]
        {
            let (code, body) = server.ask(method, path).await;
            assert_eq!(code, 404);
            assert!(
                body.contains("there is no job `report`") && body.contains("`schedule`"),
                "{body}"
            );
        }
        let (code, body) = server.ask(Method::POST, "/v1/jobs/report/run?wait=soon").await;
        assert_eq!(code, 400, "{body}");
    }

    #[tokio::test]
    async fn an_order_that_is_not_understood_changes_nothing() {
        let server = Server::start().await;
        for (body, words) in [
            (r#"{"grup": "main"}"#, "unknown field `grup`"),
            (r#"{"group": 7}"#, "invalid type"),
            ("resign!", "no order"),
        ] {
            let request = reqwest::Client::new().post(format!("{}/v1/resign", server.url));
            let answer = request.body(body).send().await.unwrap();
            assert_eq!(answer.status(), 400, "{body}");
            let text = answer.text().await.unwrap();
            assert!(text.contains(words) && text.contains("help"), "{text}");
        }
        // This one is understood, but the host has not seen its cluster.
        assert_eq!(server.ask(Method::POST, "/v1/resign").await.0, 503);
        let page = reqwest::Client::new().post(format!("{}/v1/resign", server.url));
        let page = page.header("sec-fetch-site", "cross-site").send().await.unwrap();
        assert_eq!(page.status(), 403);
    }

    #[tokio::test]
    async fn stops_although_a_client_holds_a_connection() {
        let server = Server::start().await;
        let address = server.url.trim_start_matches("http://");
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n").await.unwrap();
        server.get("/livez").await;
        server.stop.cancel();
        server.task.await.unwrap();
        let mut rest = Vec::new();
        // Reset or end: closed either way.
        let _ = client.read_to_end(&mut rest).await;
        assert_eq!(rest, b"");
    }
}
