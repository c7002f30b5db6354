//! The API of a standby, with its relay.

use std::{net::SocketAddr, sync::Arc};

use soloist::api::{AccessControl, ApiServices, serve};
use soloist_config::{ApiConfig, HostConfig};
use soloist_resources::budget::ClientBudget;
use soloist_stores::StateQuota;
use soloist_telemetry::journal::Journal;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::standby_host::{SilentStatus, StandbyHost, host, leader, no_jobs, no_logs, nobody};
use crate::{rig::TestStore, tasks};

/// The control address of a standby.
pub(super) struct ControlApi {
    pub(super) address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl ControlApi {
    pub(super) async fn of(standby: &StandbyHost, world: &TestStore, api: ApiConfig) -> Self {
        let (listener, stop) = (leader().await, CancellationToken::new());
        let address = listener.local_addr().unwrap();
        let state = StateQuota::new(world.store.state().unwrap(), Box::new(|_| u64::MAX)).into();
        let relay = standby.asked.clone();
        let (commands, jobs) = (Arc::new(nobody(world)), Arc::new(no_jobs(world)));
        let (source, tasks) = (Arc::new(SilentStatus), tasks::task_api(world));
        let host = HostConfig { api, ..host(address) };
        let access_control = Arc::new(AccessControl::of(&host, address).unwrap());
        let (journal, logs) = (Journal::default(), Arc::new(no_logs()));
        let clients = ClientBudget::alone();
        let services = ApiServices {
            source,
            state,
            journal,
            commands,
            jobs,
            logs,
            tasks,
            relay,
            access_control,
            clients,
        };
        let serving = tokio::spawn(serve(listener, services, stop.clone()));
        Self { address, stop, serving }
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.serving.await.unwrap();
    }
}
