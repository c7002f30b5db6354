//! What the driver is made of: it runs the heart, feeding it events and carrying out its commands.

use std::{collections::BTreeSet, sync::Arc};

use tokio::sync::watch;

use crate::{
    performer::Performer, roster_view::RosterFreshness, session_observer::SessionObserver,
    watchdog::Watchdog,
};
use soloist_heart::{Group, Timings};
use soloist_stores::{Member, Roster, Store};
use soloist_telemetry::journal::Journal;

/// Everything that a driver needs.
pub(crate) struct Driver {
    /// The durations of leadership.
    pub(crate) timings: Timings,
    /// This host's entry among the members. Its name never changes.
    pub(crate) member: watch::Receiver<Member>,
    /// The store in which the host stands for election.
    pub(crate) store: Arc<dyn Store>,
    /// The groups that it stands in, once it is told that it is [ready](soloist_heart::HeartEvent::Ready) for
    /// them.
    pub(crate) groups: BTreeSet<Group>,
    /// Does the leader's work.
    pub(crate) performer: Arc<dyn Performer>,
    /// Watches over the terms of this host.
    pub(crate) watchdog: Watchdog,
    /// The groups whose leaderships this host's settings spread.
    pub(crate) spread: BTreeSet<Group>,
    /// The latest known roster of the cluster.
    pub(crate) roster: watch::Receiver<Option<Roster>>,
    /// Records when the store last confirmed that roster.
    pub(crate) freshness: RosterFreshness,
    /// Notified of this host's sessions.
    pub(crate) session_observer: Box<dyn SessionObserver>,
    /// Where state transitions are recorded.
    pub(crate) journal: Journal,
}
