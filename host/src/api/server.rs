//! The server of the control API.
//!
//! Invariants:
//! - No client can block the server: requests have a time limit; connections, requests and the
//!   bytes of their bodies are limited in number, and each client gets its share.
//! - When [`serve`] returns, every connection is closed.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{Method, StatusCode, Uri, header},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
};
use hyper::{body::Incoming, service::Service};
use hyper_util::service::TowerToHyperService;
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    JobApi,
    access_control::AccessControl,
    api_error::ApiError,
    browser_policy, call_queue, commands, dashboard, dead_letters, events, jobs,
    live_streams::LiveStreams,
    logs::{self, LogApi},
    misdirected, openapi,
    request_body::REQUEST_TIME,
    request_budget::RequestBudget,
    required_role::{READ, RequiredRole},
    route_doc::RouteDoc,
    routes::ApiRoutes,
    state,
    status_source::StatusSource,
    task_api::TaskApi,
    tasks,
};
use crate::{
    cluster::Commands,
    http::{
        ConnectionContext, ConnectionInfo, ConnectionSlots, EarlyResponse, RequestHandler,
        accept_all,
    },
    relay::Relay,
    task_scope::TaskScope,
};
use soloist_resources::{budget::ClientBudget, shares::ClientAddress};
use soloist_stores as store;
use soloist_telemetry::journal::Journal;
use soloist_text::sanitize;
use soloist_tls::ReloadingAcceptor;

/// How long a response may take to finish once the server stops.
const GRACE: Duration = Duration::from_secs(1);
/// Other hosts open many connections to pass on requests for the leader's actions.
const MAX_CONNECTIONS: usize = 1024;
/// Another host sends all task calls over one connection. Calls beyond what this host takes are
/// refused instead of queued.
const MAX_STREAMS: u32 = 16 << 10;
/// Prometheus' text format (prometheus.io/docs/instrumenting/exposition_formats).
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

const LIVEZ: RouteDoc =
    RouteDoc::new("`ok` as long as the process serves.").answers_as("text/plain");
const READYZ: RouteDoc = RouteDoc::new(
    "`ok` when plugins are prepared and the session in the store is live, or why not, as text.",
)
.answers_as("text/plain")
.errors(&[503]);
const MEASURED: RouteDoc =
    RouteDoc::new("The metrics of this host, for Prometheus.").answers_as("text/plain");
const STATUS: RouteDoc =
    RouteDoc::new("The cluster as this host sees it.").answers::<super::Status>();

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

GET /v1/jobs                       the jobs of this host, as JSON, each with its next and last run
GET /v1/jobs/NAME                  what is kept of a job's runs
GET /v1/jobs/NAME/next             its next runs, and what becomes of them when clocks are set; ?count=N&time_zone=ZONE
POST /v1/jobs/NAME/run             has it run now; ?wait=true answers when it has ended; `soloist job run` does the same
GET /v1/openapi.json               all of this, for programs (OpenAPI 3.1)
GET /v1/clock                      what this host's clock shows; hosts compare theirs

POST /v1/switchover                the leader of {\"group\"} hands over, to the host {\"to\"} or to the next in line
POST /v1/pause, /v1/resume         no change of leadership in {\"group\"}, or in all; {\"keep_failover\": true}: none by preference
POST /v1/drain, /v1/undrain        {\"host\"}, or this one, gives everything up and stays out
POST /v1/remove                    forgets {\"host\"}; {\"force\": true}: it leaves, and is kept out
POST /v1/admit                     lets {\"host\"} join again
Each takes JSON with {\"by\"} and {\"reason\"}; `soloist switchover`, `pause`, `drain`, `remove` do the same.

GET /v1/tasks                      the tasks, and the hosts that take calls of each, as JSON
POST /v1/tasks/TASK                calls one with the body; ?timeout=5s&max_attempts=3; `soloist task call` does the same
POST /v1/tasks/TASK/queue           keeps a call of it until it is done; `soloist task enqueue` does the same
GET /v1/tasks/TASK/queue/ID         the state of a queued call; /result: its result
GET, DELETE /v1/tasks/TASK/dead-letters, …/ID        the calls that were given up, or one of them
POST /v1/tasks/TASK/dead-letters/retry, …/ID/retry   puts them into the queue again

/leader/ACTION/PATH                what the leader's action answers at /PATH, from any host
";

type SharedStatusSource = Arc<dyn StatusSource>;

/// The services behind the routes.
pub struct ApiServices {
    /// The status and measurements of this host.
    pub source: SharedStatusSource,
    /// The state that actions keep in the store.
    pub state: Arc<dyn store::StateStore>,
    /// The latest transitions.
    pub journal: Journal,
    /// Commands to the cluster.
    pub commands: Arc<Commands>,
    /// The jobs of this host.
    pub jobs: Arc<JobApi>,
    /// What actions printed.
    pub logs: Arc<LogApi>,
    /// The tasks of the cluster.
    pub tasks: TaskApi,
    /// Passes requests on to the leader's actions.
    pub relay: Relay,
    /// Decides which clients may do what.
    pub entrance: Arc<AccessControl>,
    /// The memory that clients may use.
    pub clients: ClientBudget,
}

/// Serves the control API until `stop`, then closes every connection.
pub async fn serve(listener: TcpListener, services: ApiServices, stop: CancellationToken) {
    let (relay, clients) = (services.relay.clone(), services.clients.clone());
    let (entrance, tasks) = (Arc::clone(&services.entrance), TaskScope::new());
    let live = LiveStreams::new(tasks.clone(), stop.clone());
    let own = TowerToHyperService::new(routes(services, live));
    let (tls, budget) = (entrance.tls.clone(), RequestBudget::of(&clients));
    let context =
        connection_context(ControlServer { own, entrance, budget, relay }, tls, tasks, stop);
    accept_all(&listener, &context).await;
    drop(listener);
    close(&context).await;
}

/// The settings of connections to a control API.
pub(super) fn connection_context<A>(
    rooms: A,
    tls: Option<ReloadingAcceptor>,
    tasks: TaskScope,
    closing: CancellationToken,
) -> ConnectionContext<A> {
    ConnectionContext {
        handler: Arc::new(rooms),
        tls,
        closing,
        tasks,
        slots: ConnectionSlots::for_control(MAX_CONNECTIONS),
        max_streams: MAX_STREAMS,
        max_headers: Some(Relay::HEADERS),
        client_timeout: REQUEST_TIME,
    }
}

/// Closes every connection, once no new ones are accepted.
pub(super) async fn close<A>(context: &ConnectionContext<A>) {
    let _ = timeout(GRACE, context.tasks.join()).await;
    context.tasks.stop().await;
}

/// Handles requests to the control API and to the leader's actions.
struct ControlServer {
    /// The routes of the control API.
    own: TowerToHyperService<Router>,
    /// Decides which clients may do what.
    entrance: Arc<AccessControl>,
    /// Limits concurrent requests and their bodies.
    budget: RequestBudget,
    /// Passes requests on to the leader's actions.
    relay: Relay,
}

impl RequestHandler for ControlServer {
    type Body = Body;

    async fn respond(
        &self,
        request: Request<Incoming>,
        caller: ConnectionInfo,
    ) -> Result<Response, Infallible> {
        if Relay::serves_path(request.uri().path()) {
            return self.relay_to_action(request, caller).await;
        }
        let mut response = match self.budget.admit(ClientAddress::at(caller.peer.ip()), request) {
            Ok((mut request, _held)) => {
                request.extensions_mut().insert(caller);
                self.own.call(request).await?
            }
            Err(refusal) => refusal.into_response(),
        };
        let file = response.extensions().get().copied();
        browser_policy::apply_to_api(response.headers_mut(), file);
        Ok(response)
    }

    fn respond_early(&self, why: EarlyResponse) -> Response {
        browser_policy::api_response(why.response(Body::from))
    }
}

impl ControlServer {
    async fn relay_to_action(
        &self,
        mut request: Request<Incoming>,
        caller: ConnectionInfo,
    ) -> Result<Response, Infallible> {
        let from_host = Relay::is_from_host(request.headers());
        if let Err(refusal) = self.entrance.admit_to_actions(caller, &mut request).await {
            let mut response = browser_policy::api_response(refusal);
            if from_host {
                Relay::mark_unauthorized(response.headers_mut());
            }
            return Ok(response);
        }
        let believed = Relay::is_from_host(request.headers());
        // Boxed, because otherwise every control API request would be as large as this future.
        let mut response = Box::pin(self.relay.respond(request, caller)).await?.map(Body::new);
        // A response for another host is sent to the client by that host, at the address that the
        // client used.
        if !believed {
            browser_policy::apply_to_action(response.headers_mut());
        }
        Ok(response)
    }
}

fn routes(services: ApiServices, live: LiveStreams) -> Router {
    let (entrance, host) = (Arc::clone(&services.entrance), Arc::clone(services.logs.host.name()));
    all_routes(services, live).behind(&entrance, |router| {
        let router = router.fallback(unknown_path).method_not_allowed_fallback(wrong_method);
        router.layer(from_fn_with_state(host, misdirected::check))
    })
}

pub(super) fn all_routes(services: ApiServices, live: LiveStreams) -> ApiRoutes {
    let ApiServices { source, state, journal, commands, jobs, logs, tasks, .. } = services;
    let (news, actions) = (Arc::clone(&source), jobs.programme.clone());
    let document = openapi::SharedDocument::default();
    let routes = ApiRoutes::new()
        .get("/livez", RequiredRole::Nothing, || async { "ok\n" }, LIVEZ)
        .get("/readyz", RequiredRole::Nothing, ready, READYZ)
        .get("/metrics", READ, metrics, MEASURED)
        .get("/v1/status", READ, status, STATUS)
        .with(source)
        .and(dashboard::routes(INDEX))
        .and(events::routes(news, journal, live.clone()))
        .and(logs::routes(logs, live))
        .and(state::routes(state, actions))
        .and(commands::routes(commands))
        .and(call_queue::routes(tasks.clone()))
        .and(dead_letters::routes(tasks.clone()))
        .and(tasks::routes(tasks))
        .and(jobs::routes(jobs))
        .and(openapi::routes(Arc::clone(&document)));
    // The description has all routes, its own among them.
    document.get_or_init(|| openapi::document(&routes));
    routes
}

async fn ready(State(source): State<SharedStatusSource>) -> Response {
    match source.ready() {
        Ok(()) => "ok\n".into_response(),
        Err(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", sanitize(&reason))).into_response()
        }
    }
}

/// Indented, since people read it with curl; it is not requested often enough for the size to
/// matter.
async fn status(State(source): State<SharedStatusSource>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    match serde_json::to_string_pretty(&source.status()) {
        Ok(json) => (headers, json + "\n").into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn metrics(State(source): State<SharedStatusSource>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, METRICS)], source.metrics())
}

async fn unknown_path(uri: Uri) -> impl IntoResponse {
    let error = format!("there is nothing at {}", uri.path());
    ApiError::new(StatusCode::NOT_FOUND, error, "GET / lists what there is")
}

async fn wrong_method(method: Method, uri: Uri) -> impl IntoResponse {
    let error = format!("{} does not take {method}", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, error, "GET / lists what there is")
}

#[cfg(test)]
pub(super) mod tests;
