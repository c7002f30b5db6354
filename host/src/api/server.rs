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
    browser_policy, call_queue, commands, dashboard, dead_letters, events,
    index::INDEX,
    jobs,
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

type SharedStatusSource = Arc<dyn StatusSource>;

/// The services behind the routes.
pub struct ApiServices {
    /// The status and measurements of this host.
    pub source: SharedStatusSource,
    /// The state that actions keep in the store, each within its quota.
    pub state: Arc<store::StateQuota>,
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
    pub access_control: Arc<AccessControl>,
    /// The memory that clients may use.
    pub clients: ClientBudget,
}

/// Serves the control API until `stop`, then closes every connection.
pub async fn serve(listener: TcpListener, services: ApiServices, stop: CancellationToken) {
    let (relay, clients) = (services.relay.clone(), services.clients.clone());
    let (access_control, scope) = (Arc::clone(&services.access_control), TaskScope::new());
    let live = LiveStreams::new(scope.clone(), stop.clone());
    let own = TowerToHyperService::new(routes(services, live));
    let (tls, budget) = (access_control.tls.clone(), RequestBudget::of(&clients));
    let context =
        connection_context(ControlServer { own, access_control, budget, relay }, tls, scope, stop);
    accept_all(&listener, &context).await;
    drop(listener);
    close(&context).await;
}

/// The settings of connections to a control API.
pub(super) fn connection_context<A>(
    handler: A,
    tls: Option<ReloadingAcceptor>,
    scope: TaskScope,
    closing: CancellationToken,
) -> ConnectionContext<A> {
    ConnectionContext {
        handler: Arc::new(handler),
        tls,
        closing,
        scope,
        slots: ConnectionSlots::for_control(MAX_CONNECTIONS),
        max_streams: MAX_STREAMS,
        max_headers: Some(Relay::HEADERS),
        client_timeout: REQUEST_TIME,
    }
}

/// Closes every connection, once no new ones are accepted.
pub(super) async fn close<A>(context: &ConnectionContext<A>) {
    let _ = timeout(GRACE, context.scope.join()).await;
    context.scope.stop().await;
}

/// Handles requests to the control API and to the leader's actions.
struct ControlServer {
    /// The routes of the control API.
    own: TowerToHyperService<Router>,
    /// Decides which clients may do what.
    access_control: Arc<AccessControl>,
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
        if let Err(refusal) = self.access_control.admit_to_actions(caller, &mut request).await {
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
    let (access_control, host) =
        (Arc::clone(&services.access_control), Arc::clone(services.logs.host.name()));
    all_routes(services, live).behind(&access_control, |router| {
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
    ApiError::new(StatusCode::NOT_FOUND, error, "GET / lists all routes")
}

async fn wrong_method(method: Method, uri: Uri) -> impl IntoResponse {
    let error = format!("{} does not take {method}", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, error, "GET / lists all routes")
}

#[cfg(test)]
pub(super) mod tests;
