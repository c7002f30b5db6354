//! Revokes the sessions of a dead host.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::sleep;
use tracing::{info, warn};

use soloist_config::{Config, StoreUrl};
use soloist_heart::{LeaseId, Timings, clock::BootTime};
use soloist_stores::{self as store, Store, StoreError};
use soloist_text::millis;

/// The sessions to revoke, and the store that has them.
pub(super) struct SessionRelease {
    store: StoreUrl,
    cluster: String,
    timings: Timings,
    sessions: Vec<LeaseId>,
    died: BootTime,
}

impl SessionRelease {
    /// For `sessions`, if there are any.
    pub(super) fn of(sessions: Vec<LeaseId>, config: &Config) -> Option<Self> {
        (!sessions.is_empty()).then(|| Self {
            store: config.store.clone(),
            cluster: config.cluster.clone(),
            timings: config.timings,
            sessions,
            died: BootTime::now(),
        })
    }

    /// Revokes the sessions, and retries for one TTL: after that they have expired.
    pub(super) async fn run(self) {
        // The store is opened only now, so that the supervisor has no connection that could break
        // while the host runs.
        match store::open(&self.store, &self.cluster, self.timings.request_timeout) {
            Ok(store) => self.revoke_all(&*store).await,
            Err(error) => self.give_up(&error),
        }
    }

    async fn revoke_all(&self, store: &dyn Store) {
        // Concurrently: one that has expired long ago must not delay the one that is alive.
        join_all(self.sessions.iter().map(|session| self.revoke(*session, store))).await;
    }

    async fn revoke(&self, session: LeaseId, store: &dyn Store) {
        while let Err(error) = store.revoke(session).await {
            if self.elapsed() >= self.timings.ttl {
                return self.give_up(&error);
            }
            sleep(self.timings.retry).await;
        }
        let took_ms = millis(self.elapsed());
        info!(event = "released", %session, took_ms, "the host's session is given back");
    }

    fn elapsed(&self) -> Duration {
        BootTime::now().since(self.died)
    }

    fn give_up(&self, error: &StoreError) {
        warn!(%error, "the host's session could not be given back; it runs out by itself");
    }
}
