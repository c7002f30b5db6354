//! Notifies a service manager of the state of this host, by systemd's protocol (sd_notify(3)).
//!
//! `READY=1` when the control API serves, `STOPPING=1` when the host begins to stop, and in between
//! `WATCHDOG=1`. That says more than that the process exists: before each one, a task has run on
//! this runtime and on the election thread, so a host in which either hangs falls silent. Without
//! `NOTIFY_SOCKET` in the environment nothing is sent.
//!
//! The crate `sd-notify` (0.5) cannot replace this: it knows no sockets with abstract names (`@…`),
//! its `send` blocks when the service manager does not read, and it takes a watchdog that is meant
//! for the supervisor, which is the process that the service manager knows, for somebody else's.

use std::{
    env, io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    process,
    sync::{Arc, OnceLock},
    time::Duration,
};

use rustix::process::getppid;
use tokio::{runtime, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// Sends notifications to the service manager, if there is one.
#[derive(Clone, Default)]
pub(super) struct ServiceNotifier {
    socket: Option<Arc<UnixDatagram>>,
    /// How often to send that the host is well.
    every: Option<Duration>,
    election: Arc<OnceLock<runtime::Handle>>,
}

impl ServiceNotifier {
    /// As the environment variables of the service manager say.
    pub(super) fn of_environment() -> Self {
        let Some(address) = env::var_os("NOTIFY_SOCKET") else { return Self::default() };
        let socket = match connect(address.as_bytes()) {
            Ok(socket) => socket,
            Err(error) => {
                warn!(%error, "cannot notify the service manager that this host is ready: check \
                               NOTIFY_SOCKET");
                return Self::default();
            }
        };
        let every = watchdog().map(|within| within / 2);
        Self { socket: Some(socket.into()), every, election: Arc::default() }
    }

    /// Notifies that the control API serves.
    pub(super) fn ready(&self) {
        self.send("READY=1");
    }

    /// Notifies that the host begins to stop.
    pub(super) fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// From now on the host counts as well only if the election thread runs tasks.
    pub(super) fn watch_election(&self, election: &runtime::Handle) {
        // A host has only one election thread.
        let _ = self.election.set(election.clone());
    }

    /// Notifies at intervals that the host is well, as long as it is, until `stop`.
    pub(super) async fn run_watchdog(self, stop: CancellationToken) {
        let Some(every) = self.every else { return };
        let beats = async {
            loop {
                if let Some(election) = self.election.get()
                    && election.spawn(async {}).await.is_err()
                {
                    // The election thread has ended, so the host is not well.
                    return;
                }
                self.send("WATCHDOG=1");
                sleep(every).await;
            }
        };
        stop.run_until_cancelled(beats).await;
    }

    /// Sends a notification without waiting: a service manager that does not read misses it.
    fn send(&self, word: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(word.as_bytes()) {
            debug!(%error, word, "the service manager does not listen");
        }
    }
}

/// Connects to the socket at `address`: a path, or an abstract name after `@` (unix(7)).
fn connect(address: &[u8]) -> io::Result<UnixDatagram> {
    let address = match address {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The time within which the service manager expects a notification, if the watchdog is meant for
/// this process or for its supervisor, in whose place this one sends.
fn watchdog() -> Option<Duration> {
    let supervisor = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    let us = [Some(process::id()), supervisor];
    let number = |name| env::var(name).ok()?.parse().ok();
    within(number("WATCHDOG_USEC"), number("WATCHDOG_PID"), us)
}

/// [`watchdog`] for these values of the environment; `us` are the ids of this process and of its
/// supervisor.
fn within(micros: Option<u64>, pid: Option<u64>, us: [Option<u32>; 2]) -> Option<Duration> {
    let is_meant = pid.is_none_or(|pid| us.into_iter().flatten().any(|own| u64::from(own) == pid));
    micros.filter(|micros| is_meant && *micros > 0).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use tokio::{net, sync::oneshot, time::timeout};

    use super::*;

    const EVERY: Duration = Duration::from_millis(10);

    #[tokio::test]
    async fn an_election_thread_that_stands_still_is_told_by_silence() {
        let (ours, managers) = UnixDatagram::pair().unwrap();
        managers.set_nonblocking(true).unwrap();
        let manager = net::UnixDatagram::from_std(managers).unwrap();
        let election = runtime::Builder::new_current_thread().build().unwrap();
        let announcer = ServiceNotifier {
            socket: Some(ours.into()),
            every: Some(EVERY),
            election: Arc::new(election.handle().clone().into()),
        };
        let beats = tokio::spawn(announcer.run_watchdog(CancellationToken::new()));
        // No thread runs the election's runtime yet.
        let silence = timeout(EVERY * 20, manager.readable()).await;
        assert!(silence.is_err(), "a host without an election thread has said that it is well");

        let (end, ended) = oneshot::channel::<()>();
        let thread = thread::spawn(move || election.block_on(ended).is_err());
        let mut word = [0; 32];
        for _ in 0..3 {
            let length = manager.recv(&mut word).await.unwrap();
            assert_eq!(&word[..length], b"WATCHDOG=1");
        }
        drop(end);
        assert!(thread.join().unwrap());
        beats.await.unwrap();
    }

    #[test]
    fn a_watchdog_may_be_meant_for_another() {
        let us = [Some(7), Some(6)];
        let minute = Some(Duration::from_mins(1));
        assert_eq!(within(Some(60_000_000), None, us), minute);
        // The service manager knows the supervisor, and not this process.
        assert_eq!(within(Some(60_000_000), Some(6), us), minute);
        assert_eq!(within(Some(60_000_000), Some(7), us), minute);
        // Inherited from a process further up.
        assert_eq!(within(Some(60_000_000), Some(5), us), None);
        assert_eq!(within(Some(0), None, us), None);
        assert_eq!(within(None, None, us), None);
    }
}
