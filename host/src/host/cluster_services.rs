//! What brings the wishes of people and settings to a host: strategies, commands,
//! the list of those that are known.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::{Commands, PeerClient, Registrar},
    term::PluginRanking,
};
use soloist_config::Config;
use soloist_leadership::{DriverHandle, RosterView, Strategist};
use soloist_stores::{Member, Roster, Store};
use soloist_telemetry::journal::Journal;

/// What all of it goes by.
pub(super) struct ClusterServices<'a> {
    pub(super) config: &'a Config,
    pub(super) member: &'a Member,
    pub(super) peers: &'a PeerClient,
    pub(super) store: &'a Arc<dyn Store>,
    pub(super) roster: &'a watch::Receiver<Option<Roster>>,
    pub(super) sight: &'a RosterView,
    pub(super) driver: &'a DriverHandle,
    pub(super) journal: &'a Journal,
}

impl ClusterServices<'_> {
    pub(super) fn strategist(
        &self,
        ranking: PluginRanking,
        leave: CancellationToken,
    ) -> Strategist {
        Strategist {
            host: Arc::clone(&self.config.host.name),
            groups: self.config.groups.clone(),
            ranker: Box::new(ranking),
            roster: self.roster.clone(),
            view: self.driver.view(),
            events: self.driver.events(),
            leave,
        }
    }

    pub(super) fn registrar(&self) -> Registrar {
        let (store, roster) = (Arc::clone(self.store), self.roster.clone());
        Registrar { store, member: self.member.clone(), roster }
    }

    pub(super) fn commands(&self) -> Commands {
        let (view, timings) = (self.driver.view(), &self.config.timings);
        Commands {
            member: self.member.clone(),
            peers: self.peers.clone(),
            store: Arc::clone(self.store),
            sight: self.sight.clone(),
            groups: Box::new(move || view.borrow().groups.keys().cloned().collect()),
            events: self.driver.events(),
            journal: self.journal.clone(),
            patience: timings.drain + timings.ttl * 2,
        }
    }
}
