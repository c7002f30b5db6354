//! Work that a person may interrupt, with something to clean up afterwards.

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{ExitError, exit::ExitKind};

/// The result of `work`, or an error as soon as a signal asks the process to end. `work` is dropped
/// then, and the caller cleans up.
pub(super) async fn interruptible<T>(
    work: impl Future<Output = Result<T, ExitError>>,
) -> Result<T, ExitError> {
    let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let listen = |kind| signal(kind).map_err(|error| ExitError::internal(DEAF, &error));
    let [interrupt, terminate, hangup] = signals.map(listen);
    let (mut interrupt, mut terminate, mut hangup) = (interrupt?, terminate?, hangup?);
    tokio::select! {
        done = work => done,
        _ = interrupt.recv() => Err(interrupted()),
        _ = terminate.recv() => Err(interrupted()),
        _ = hangup.recv() => Err(interrupted()),
    }
}

const DEAF: &str = "cannot listen to signals";

fn interrupted() -> ExitError {
    ExitError::failed("interrupted").with_exit(ExitKind::Interrupted)
}
