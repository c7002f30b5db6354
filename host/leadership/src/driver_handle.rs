//! Starting the driver and the roster's follower, wired in this one place, and the handle to a
//! driver that runs.

use tokio::{
    runtime,
    sync::{
        mpsc::{UnboundedSender, unbounded_channel},
        watch,
    },
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    driver_loop::DriverLoop,
    election::{Election, ElectionSpec},
    host_view::HostView,
    roster_follower::RosterFollower,
};
use soloist_heart::HeartEvent;

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

impl Election {
    /// Starts the driver, and follows the roster until `stop` as one of `tasks`. Both run on
    /// `thread`, the [election thread's](crate::ElectionThread) runtime. The performer runs on the
    /// runtime that this is called on.
    #[must_use]
    pub fn start(
        self,
        spec: ElectionSpec,
        thread: &runtime::Handle,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> DriverHandle {
        let (events, inbox) = unbounded_channel();
        let (view_to, view) = watch::channel(HostView::default());
        let performers = runtime::Handle::current();
        let driver = DriverLoop::new(&self, spec, performers, events.clone(), view_to);
        let task = thread.spawn(driver.run(inbox));
        let Self { store, host, timings, roster, freshness, journal } = self;
        let follower = RosterFollower { store, host, freshness, journal, retry: timings.retry };
        tasks.spawn_on(follower.run(roster, stop), thread);
        DriverHandle { events, view, task }
    }
}
