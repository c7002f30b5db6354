//! Whether the store would take a campaign of this host: tried now and then, before it counts.
//!
//! A session is no proof of it. etcd renews leases while it is full, and of users who may do
//! nothing more; a disk without room may still take what is written over. So each host
//! rehearses, by a write that asks for all that a campaign needs and leaves nothing behind.
//!
//! It keeps nobody from standing: who is in the queue may win without another write, and
//! somebody who leads is better than nobody. It is there to be told of.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::host_view::HostView;
use soloist_heart::{Group, LeaseId, Timings};
use soloist_stores::{Store, StoreError};
use soloist_telemetry::journal::{Journal, Transition};
use soloist_text::with_causes;

/// From one rehearsal to the next, in TTLs, give or take a quarter: ten hosts at the default
/// TTL ask the store for one write a second, where their renewals ask for ten.
const EVERY: u32 = 2;

/// What the latest rehearsal has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RehearsalResult {
    /// This session has not tried yet.
    #[default]
    NotYet,
    /// The store would take a campaign.
    Accepted,
    /// It would not, for this reason.
    Refused(String),
}

/// Rehearses campaigns.
pub struct Rehearsal {
    /// This host's name.
    pub host: Arc<str>,
    /// Where it would stand.
    pub store: Arc<dyn Store>,
    /// The durations.
    pub timings: Timings,
    /// What the heart lets others see.
    pub view: watch::Receiver<HostView>,
    /// Where changes are taken down.
    pub journal: Journal,
}

impl Rehearsal {
    /// Rehearses until `stop`, and tells each outcome.
    pub async fn run(mut self, to: watch::Sender<RehearsalResult>, stop: CancellationToken) {
        stop.run_until_cancelled(self.rehearse(&to)).await;
    }

    async fn rehearse(&mut self, to: &watch::Sender<RehearsalResult>) {
        let mut failures = 0_u32;
        let mut of = None;
        loop {
            let session = self.session();
            if session.as_ref().map(|(lease, _)| *lease) != of {
                of = session.as_ref().map(|(lease, _)| *lease);
                failures = 0;
                // What the session before has shown is no proof for this one.
                to.send_if_modified(|now| {
                    let well = *now == RehearsalResult::Accepted;
                    if well {
                        *now = RehearsalResult::NotYet;
                    }
                    well
                });
            }
            let Some((lease, group)) = session else {
                if self.view.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let pause = match self.store.rehearse(&group, lease).await {
                Ok(()) => {
                    failures = 0;
                    self.tell(to, RehearsalResult::Accepted);
                    self.timings.ttl * EVERY
                }
                // The heart hears of that, and there will be another.
                Err(StoreError::LeaseGone) => self.timings.renew_every,
                Err(error) => {
                    failures += 1;
                    // One call that is lost shows nothing.
                    if !error.is_transient() || failures > 1 {
                        self.tell(to, RehearsalResult::Refused(with_causes(&error)));
                    }
                    self.timings.renew_every
                }
            };
            self.wait(of, pause.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
        }
    }

    /// The session, and a group that it may stand in.
    fn session(&mut self) -> Option<(LeaseId, Group)> {
        let view = self.view.borrow_and_update();
        let group = view.groups.keys().next().cloned().unwrap_or_else(Group::main);
        view.session.map(|(lease, _)| (lease, group))
    }

    /// Waits for that long, or for another session than this one.
    async fn wait(&mut self, of: Option<LeaseId>, pause: Duration) {
        let another = |view: &HostView| view.session.map(|(lease, _)| lease) != of;
        tokio::select! {
            () = sleep(pause) => {}
            Ok(_) = self.view.wait_for(another) => {}
        }
    }

    fn tell(&self, to: &watch::Sender<RehearsalResult>, now: RehearsalResult) {
        let before = to.send_replace(now.clone());
        if before == now {
            return;
        }
        let (store, host) = (self.store.label(), &self.host);
        match (before, now) {
            (_, RehearsalResult::Refused(reason)) => {
                warn!(event = "no-writes", store, "{reason}; a campaign would meet the same");
                self.journal.record(Transition::of("no-writes", host).because(reason));
            }
            (RehearsalResult::Refused(_), _) => {
                info!(event = "writes", store, "the store takes writes again");
                self.journal.record(Transition::of("writes", host));
            }
            _ => {}
        }
    }
}
