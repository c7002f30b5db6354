//! Starting the driver, and the handle to one that runs.

use tokio::{
    runtime,
    sync::{
        mpsc::{UnboundedSender, unbounded_channel},
        watch,
    },
    task::JoinHandle,
};

use crate::{driver::Driver, driver_loop::DriverLoop, host_view::HostView};
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

impl Driver {
    /// Starts the driver on the election thread's runtime. Performers run on `performers`.
    #[must_use]
    pub(crate) fn start(
        self,
        election: &runtime::Handle,
        performers: runtime::Handle,
    ) -> DriverHandle {
        let (events, inbox) = unbounded_channel();
        let (view_to, view) = watch::channel(HostView::default());
        let driver = DriverLoop::new(self, performers, events.clone(), view_to);
        let task = election.spawn(driver.run(inbox));
        DriverHandle { events, view, task }
    }
}
