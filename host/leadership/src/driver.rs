//! The driver: it runs the heart, feeding it events and carrying out its commands.

use std::{collections::BTreeSet, sync::Arc};

use tokio::{
    runtime,
    sync::{
        mpsc::{UnboundedSender, unbounded_channel},
        watch,
    },
    task::JoinHandle,
};

use crate::{
    driver_loop::DriverLoop, host_view::HostView, performer::Performer,
    roster_view::RosterFreshness, session_observer::SessionObserver, watchdog::Watchdog,
};
use soloist_heart::{Group, HeartEvent, Timings};
use soloist_stores::{Member, Roster, Store};
use soloist_telemetry::journal::Journal;

/// Everything that a driver needs.
pub struct Driver {
    /// The durations of leadership.
    pub timings: Timings,
    /// This host's entry among the members. Its name never changes.
    pub member: watch::Receiver<Member>,
    /// The store in which the host stands for election.
    pub store: Arc<dyn Store>,
    /// The groups that it stands in, once it is told that it is [ready](HeartEvent::Ready) for
    /// them.
    pub groups: BTreeSet<Group>,
    /// Does the leader's work.
    pub performer: Arc<dyn Performer>,
    /// Watches over the terms of this host.
    pub watchdog: Watchdog,
    /// The groups whose leaderships this host's settings spread.
    pub spread: BTreeSet<Group>,
    /// The latest known roster of the cluster.
    pub roster: watch::Receiver<Option<Roster>>,
    /// Records when the store last confirmed that roster.
    pub freshness: RosterFreshness,
    /// Notified of this host's sessions.
    pub session_observer: Box<dyn SessionObserver>,
    /// Where state transitions are recorded.
    pub journal: Journal,
}

/// A running driver.
pub struct DriverHandle {
    events: UnboundedSender<HeartEvent>,
    view: watch::Receiver<HostView>,
    task: JoinHandle<()>,
}

impl DriverHandle {
    /// A channel for events from outside.
    #[must_use]
    pub fn events(&self) -> UnboundedSender<HeartEvent> {
        self.events.clone()
    }

    /// A view of the heart's state, updated on each change.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<HostView> {
        self.view.clone()
    }

    /// Begins to end every term gracefully, and stands for nothing any more. The session stays
    /// alive until [`DriverHandle::shut_down`].
    pub fn stand_down(&self) {
        // A driver that no longer listens has already stopped.
        let _ = self.events.send(HeartEvent::StandDown);
    }

    /// Ends every term gracefully and gives the session back; returns when that is done.
    ///
    /// # Errors
    /// The driver panicked; the watchdog then ends whatever it left running.
    pub async fn shut_down(self) -> Result<(), tokio::task::JoinError> {
        // A driver that no longer listens has already stopped.
        let _ = self.events.send(HeartEvent::Shutdown);
        self.task.await
    }
}

impl Driver {
    /// Starts the driver on the election thread's runtime. Performers run on `performers`.
    #[must_use]
    pub fn start(self, election: &runtime::Handle, performers: runtime::Handle) -> DriverHandle {
        let (events, inbox) = unbounded_channel();
        let (view_to, view) = watch::channel(HostView::default());
        let driver = DriverLoop::new(self, performers, events.clone(), view_to);
        let task = election.spawn(driver.run(inbox));
        DriverHandle { events, view, task }
    }
}
