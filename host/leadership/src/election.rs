//! The elections of a cluster, and what a process takes part in them with.

use std::{collections::BTreeSet, sync::Arc};

use tokio::sync::watch;

use crate::{
    performer::Performer,
    roster_view::{RosterFreshness, RosterView},
    session_observer::SessionObserver,
    watchdog::Watchdog,
};
use soloist_heart::{Group, Timings};
use soloist_stores::{Member, Roster, Store, ThisHost};
use soloist_telemetry::journal::Journal;

/// The elections of one cluster, for a process that is about to take part in them.
///
/// The roster and the journal can be handed out before the process takes part; they are filled from
/// [`Election::start`] on.
pub struct Election {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) host: ThisHost,
    pub(crate) timings: Timings,
    pub(crate) roster: watch::Sender<Option<Roster>>,
    pub(crate) freshness: RosterFreshness,
    pub(crate) journal: Journal,
}

/// What a process takes part in elections with.
pub struct ElectionSpec {
    /// This host's entry among the members. Its name never changes.
    pub member: watch::Receiver<Member>,
    /// The groups that it stands in, once it is [ready](soloist_heart::HeartEvent::Ready) for
    /// them.
    pub groups: BTreeSet<Group>,
    /// The groups whose leaderships this host's settings spread.
    pub spread: BTreeSet<Group>,
    /// Does the leader's work.
    pub performer: Arc<dyn Performer>,
    /// Watches over the terms of this host.
    pub watchdog: Watchdog,
    /// Notified of this host's sessions.
    pub session_observer: Box<dyn SessionObserver>,
}

impl Election {
    /// The elections in `store`, for this `host`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, host: ThisHost, timings: Timings) -> Self {
        let (roster, _) = watch::channel(None);
        let (freshness, journal) = (RosterFreshness::default(), Journal::default());
        Self { store, host, timings, roster, freshness, journal }
    }

    /// The latest known roster of the cluster, however old, for code that acts on it.
    #[must_use]
    pub fn roster(&self) -> watch::Receiver<Option<Roster>> {
        self.roster.subscribe()
    }

    /// The roster for code that informs people.
    #[must_use]
    pub fn roster_view(&self) -> RosterView {
        RosterView::new(self.roster(), self.freshness.clone(), self.timings)
    }

    /// Where state transitions are recorded.
    #[must_use]
    pub fn journal(&self) -> Journal {
        self.journal.clone()
    }
}
