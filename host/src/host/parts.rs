//! How each part of a running host is made from the shared [`HostContext`].

use std::{collections::BTreeSet, sync::Arc};

use tokio::sync::{mpsc::UnboundedSender, watch};
use tokio_util::sync::CancellationToken;

use super::{context::HostContext, task_service::TaskService};
use crate::{
    action::ActionFailure,
    api::{JobApi, LogApi},
    cluster::{AddressWatch, ClockComparer, Commands, Registrar},
    relay::Relay,
    term::{ActionPerformer, GapWatch, PluginRanking, ReadinessWatch, StandbyNotifier},
};
use soloist_heart::{Group, clock::ClockComparison};
use soloist_leadership::{DriverHandle, HostView, Rehearsal, RehearsalResult, Strategist};

impl HostContext {
    pub(super) fn relay(&self) -> Relay {
        let (this, directory) = (self.this.clone(), self.directory.clone());
        Relay::new(this, self.peers.clone(), directory, self.programme.clone(), self.roster.clone())
    }

    /// What runs the actions of a term; `trial_failures` go to the catalog.
    pub(super) fn performer(
        &self,
        tasks: &TaskService,
        trial_failures: UnboundedSender<ActionFailure>,
    ) -> ActionPerformer {
        ActionPerformer {
            state: self.state.clone(),
            task_calls: tasks.calls(),
            programme: self.programme.clone(),
            directory: self.directory.clone(),
            jobs: self.jobs.clone(),
            trial_failures,
            health: self.health.clone(),
            standby_hooks: self.standby_hooks.clone(),
            stop_timeout: self.config.timings.stop_timeout,
            drain: self.config.timings.drain_timeout,
        }
    }

    pub(super) fn rehearsal(&self, view: watch::Receiver<HostView>) -> Rehearsal {
        Rehearsal {
            host: Arc::clone(&self.name),
            store: Arc::clone(&self.store),
            timings: self.config.timings,
            view,
            journal: self.journal.clone(),
        }
    }

    /// `leave` is cancelled when people want this host to leave the cluster.
    pub(super) fn strategist(
        &self,
        driver: &DriverHandle,
        ranking: PluginRanking,
        leave: CancellationToken,
    ) -> Strategist {
        Strategist {
            host: self.this.clone(),
            groups: self.config.groups.clone(),
            ranker: Box::new(ranking),
            roster: self.roster.clone(),
            view: driver.view(),
            events: driver.events(),
            leave,
        }
    }

    pub(super) fn readiness_watch(&self, driver: &DriverHandle) -> ReadinessWatch {
        ReadinessWatch {
            programme: self.programme.clone(),
            directory: self.directory.clone(),
            member: self.member.clone(),
            roster: self.roster.clone(),
            view: driver.view(),
            health: self.health.clone(),
            clock: self.clock.clone(),
            events: driver.events(),
        }
    }

    pub(super) fn registrar(&self) -> Registrar {
        let (store, member) = (Arc::clone(&self.store), self.member.clone());
        Registrar { store, member, roster: self.roster.clone() }
    }

    pub(super) fn standby_notifier(&self) -> StandbyNotifier {
        StandbyNotifier {
            programme: self.programme.clone(),
            roster: self.roster.clone(),
            hooks: self.standby_hooks.clone(),
        }
    }

    pub(super) fn gap_watch(&self, view: watch::Receiver<HostView>) -> GapWatch {
        GapWatch {
            host: self.this.clone(),
            peers: self.peers.clone(),
            patience: self.config.timings.ttl * 2,
            programme: self.programme.clone(),
            roster_view: self.roster_view.clone(),
            view,
            journal: self.journal.clone(),
        }
    }

    pub(super) fn address_watch(&self) -> AddressWatch {
        AddressWatch {
            member: self.member.clone(),
            store_is_remote: self.config.store.is_remote(),
            roster: self.roster.clone(),
        }
    }

    pub(super) fn clock_comparer(
        &self,
        compared: watch::Sender<Option<ClockComparison>>,
    ) -> ClockComparer {
        ClockComparer {
            host: self.this.clone(),
            clock: self.clock.clone(),
            peers: self.peers.clone(),
            roster: self.roster.clone(),
            compared,
        }
    }

    pub(super) fn commands(&self, driver: &DriverHandle) -> Commands {
        let (view, timings) = (driver.view(), &self.config.timings);
        Commands {
            host: self.this.clone(),
            peers: self.peers.clone(),
            store: Arc::clone(&self.store),
            roster_view: self.roster_view.clone(),
            groups: Box::new(move || view.borrow().groups.keys().cloned().collect()),
            events: driver.events(),
            journal: self.journal.clone(),
            patience: timings.drain_timeout + timings.ttl * 2,
        }
    }

    pub(super) fn job_api(&self) -> JobApi {
        JobApi {
            host: self.this.clone(),
            programme: self.programme.clone(),
            peers: self.peers.clone(),
            roster_view: self.roster_view.clone(),
            jobs: self.jobs.clone(),
            claim_trouble: claim_trouble(self.rehearsed.clone()),
        }
    }

    pub(super) fn log_api(&self) -> LogApi {
        LogApi {
            host: self.this.clone(),
            programme: self.programme.clone(),
            peers: self.peers.clone(),
            roster: self.roster.clone(),
            lines: self.engine.log_buffers().clone(),
        }
    }

    /// The groups whose leaderships are spread over the hosts.
    pub(super) fn spread_groups(&self) -> BTreeSet<Group> {
        let spread = self.config.groups.iter().filter(|(_, group)| group.spread);
        spread.map(|(group, _)| group.clone()).collect()
    }
}

/// Why this host could claim no run now, according to its rehearsals.
fn claim_trouble(
    rehearsed: watch::Receiver<RehearsalResult>,
) -> Box<dyn Fn() -> Option<String> + Send + Sync> {
    Box::new(move || match &*rehearsed.borrow() {
        RehearsalResult::Refused(why) => Some(format!(
            "this host's last rehearsal failed, so no run could be claimed now: {why}"
        )),
        RehearsalResult::NotYet | RehearsalResult::Accepted => None,
    })
}
