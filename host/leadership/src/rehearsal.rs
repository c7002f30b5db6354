//! Checks now and then whether the store would accept a campaign of this host, before that matters.
//!
//! A live session does not prove it: etcd keeps renewing leases while it is full, and for users who
//! may do nothing else; and a full disk may still accept overwrites. So each host rehearses, with a
//! write that needs everything that a campaign needs and leaves nothing behind.
//!
//! A failed rehearsal does not keep a host from standing: a host in the queue may win without
//! another write, and a leader with problems is better than none. The result is only reported.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::host_view::HostView;
use soloist_heart::{Group, LeaseId, Timings};
use soloist_stores::{Store, StoreError};
use soloist_telemetry::journal::{Journal, Transition};
use soloist_text::with_causes;

/// The interval between two rehearsals, in TTLs, give or take a quarter. At the default TTL, ten
/// hosts ask the store for one such write per second, while their renewals ask for ten.
const EVERY: u32 = 2;

/// The result of the latest rehearsal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RehearsalResult {
    /// No rehearsal has finished in this session.
    #[default]
    NotYet,
    /// The store would accept a campaign.
    Accepted,
    /// The store would refuse a campaign, for this reason.
    Refused(String),
}

/// Rehearses campaigns periodically.
pub struct Rehearsal {
    /// This host's name.
    pub host: Arc<str>,
    /// The store in which this host stands for election.
    pub store: Arc<dyn Store>,
    /// The durations of leadership.
    pub timings: Timings,
    /// The view of this host's heart.
    pub view: watch::Receiver<HostView>,
    /// Where changes of the result are recorded.
    pub journal: Journal,
}

impl Rehearsal {
    /// Rehearses until `stop`, and publishes each result.
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
                // The result of an earlier session proves nothing for this one.
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
                // The heart finds that out by itself, and there will be another session.
                Err(StoreError::LeaseGone) => self.timings.renew_every,
                Err(error) => {
                    failures += 1;
                    // A single lost call proves nothing.
                    if !error.is_transient() || failures > 1 {
                        self.tell(to, RehearsalResult::Refused(with_causes(&error)));
                    }
                    self.timings.renew_every
                }
            };
            self.wait(of, pause.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
        }
    }

    /// The session's lease, and a group that it may stand in.
    fn session(&mut self) -> Option<(LeaseId, Group)> {
        let view = self.view.borrow_and_update();
        let group = view.groups.keys().next().cloned().unwrap_or_else(Group::main);
        view.session.map(|(lease, _)| (lease, group))
    }

    /// Waits for `pause`, or until there is another session than `of`.
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
                warn!(
                    event = "no-writes",
                    store, "{reason}; a campaign would fail for the same reason"
                );
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
