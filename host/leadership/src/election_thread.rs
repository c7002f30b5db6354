//! A thread with a runtime of its own, which no guest can slow down.

use std::{
    io,
    thread::{self, JoinHandle},
};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// The thread on which leadership runs: the heart, the session and the store's connections.
pub struct ElectionThread {
    handle: Handle,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl ElectionThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread or no runtime to give.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("election".into()).spawn(move || {
            // An error means that the other side is gone, which stops the thread as well.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self { handle, stop, thread })
    }

    /// The runtime for everything that must never wait for a guest.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends the thread, and whatever still runs on it.
    pub fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}
