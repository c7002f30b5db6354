//! The services next to the demo cluster: a registry that is told who leads, and a receiver of
//! webhooks. They are part of the demo only, and use plain HTTP.

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::{get, post, put},
};
use parking_lot::Mutex;
use tokio::net::TcpListener;

use super::demo_output::DemoOutput;
use crate::cli::ExitError;

/// The state of both services.
struct DemoBackend {
    show: DemoOutput,
    records: Mutex<BTreeMap<String, RegistryRecord>>,
    /// The webhooks by `idempotency-key`, which identifies repeated ones.
    webhooks: Mutex<BTreeMap<String, String>>,
}

/// What the registry knows of a group.
struct RegistryRecord {
    /// The fencing token of the last writer; writers with a smaller one are too late.
    fencing_token: i64,
    value: Option<String>,
}

/// Serves until it is dropped.
pub(super) async fn serve(port: u16, show: DemoOutput) -> Result<(), ExitError> {
    let failed = |error| ExitError::internal("the demo's neighbour cannot answer", &error);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
    let neighbour = DemoBackend { show, records: Mutex::default(), webhooks: Mutex::default() };
    let routes = Router::new()
        .route("/", get(tell))
        .route("/registry/{group}", put(register).delete(remove))
        .route("/inbox", post(receive))
        .with_state(Arc::new(neighbour));
    axum::serve(listener, routes).await.map_err(failed)
}

/// The content of both services, for people.
async fn tell(State(neighbour): State<Arc<DemoBackend>>) -> String {
    let mut text = "Who leads, as the leader said:\n".to_owned();
    for (group, RegistryRecord { fencing_token, value }) in &*lock(&neighbour.records) {
        let value = value.as_deref().unwrap_or("nobody");
        text += &format!("  {group}: {value} (token {fencing_token})\n");
    }
    let webhooks = lock(&neighbour.webhooks);
    text += &format!("\nWebhooks that arrived, {}:\n", webhooks.len());
    text + &webhooks.values().map(|webhook| format!("  {webhook}\n")).collect::<String>()
}

async fn register(
    neighbour: State<Arc<DemoBackend>>,
    Path(group): Path<String>,
    headers: HeaderMap,
    value: String,
) -> StatusCode {
    neighbour.write(group, &headers, Some(value))
}

async fn remove(
    neighbour: State<Arc<DemoBackend>>,
    Path(group): Path<String>,
    headers: HeaderMap,
) -> StatusCode {
    neighbour.write(group, &headers, None)
}

async fn receive(
    State(neighbour): State<Arc<DemoBackend>>,
    headers: HeaderMap,
    body: String,
) -> StatusCode {
    let key = header(&headers, "idempotency-key").to_owned();
    let first = lock(&neighbour.webhooks).insert(key, body.clone()).is_none();
    let again = if first { "" } else { " again" };
    neighbour.show.note(&format!("the neighbour was sent a webhook{again}: {}", body.trim()));
    StatusCode::NO_CONTENT
}

impl DemoBackend {
    /// Writes what a leader sends, unless a later leader has written already.
    fn write(&self, group: String, headers: &HeaderMap, value: Option<String>) -> StatusCode {
        let fencing_token = header(headers, "soloist-fencing-token").parse().unwrap_or(0);
        let told = value.as_deref().unwrap_or("nobody").to_owned();
        let mut records = lock(&self.records);
        if records.get(&group).is_some_and(|record| fencing_token < record.fencing_token) {
            self.show.note(&format!(
                "the registry refused fencing token {fencing_token}: a later leader has spoken"
            ));
            return StatusCode::CONFLICT;
        }
        records.insert(group.clone(), RegistryRecord { fencing_token, value });
        self.show.note(&format!(
            "the registry was told that {told} leads {group} (token {fencing_token})"
        ));
        StatusCode::NO_CONTENT
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The guard must not be held across an await.
fn lock<T>(it: &Mutex<T>) -> parking_lot::MutexGuard<'_, T> {
    it.lock()
}
