//! What a service manager hears of this host, by systemd's protocol (sd_notify(3)).
//!
//! `READY=1` when the control API serves, `STOPPING=1` when the host goes, and in between
//! `WATCHDOG=1`, which says more than that the process is there: each one has been around
//! through the runtime and the election thread, so a host in which either stands still
//! falls silent. Where nobody asked (`NOTIFY_SOCKET`), nothing is said.

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

/// Tells the service manager, if there is one.
#[derive(Clone, Default)]
pub(super) struct ServiceNotifier {
    socket: Option<Arc<UnixDatagram>>,
    /// How often it wants to hear that the host is well.
    every: Option<Duration>,
    election: Arc<OnceLock<runtime::Handle>>,
}

impl ServiceNotifier {
    /// The one that the environment asks for.
    pub(super) fn of_environment() -> Self {
        let Some(address) = env::var_os("NOTIFY_SOCKET") else { return Self::default() };
        let socket = match connect(address.as_bytes()) {
            Ok(socket) => socket,
            Err(error) => {
                warn!(%error, "the service manager cannot be told that this host is ready: is NOTIFY_SOCKET its socket?");
                return Self::default();
            }
        };
        let every = watchdog().map(|within| within / 2);
        Self { socket: Some(socket.into()), every, election: Arc::default() }
    }

    /// The control API serves.
    pub(super) fn ready(&self) {
        self.send("READY=1");
    }

    /// The host is going.
    pub(super) fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// From now on the host is well only if the election thread is.
    pub(super) fn watch_election(&self, election: &runtime::Handle) {
        // There is one thread a host.
        let _ = self.election.set(election.clone());
    }

    /// Says that the host is well as long as it is, until `stop`.
    pub(super) async fn run_watchdog(self, stop: CancellationToken) {
        let Some(every) = self.every else { return };
        let beats = async {
            loop {
                if let Some(election) = self.election.get()
                    && election.spawn(async {}).await.is_err()
                {
                    // It has ended: nothing here is well without it.
                    return;
                }
                self.send("WATCHDOG=1");
                sleep(every).await;
            }
        };
        stop.run_until_cancelled(beats).await;
    }

    /// Never waits: a manager that does not read misses something.
    fn send(&self, word: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(word.as_bytes()) {
            debug!(%error, word, "the service manager does not listen");
        }
    }
}

/// `@` begins a name that is in no folder (unix(7)).
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

/// Within which time the manager wants to hear something of this process, or of its
/// supervisor, for which this one speaks.
fn watchdog() -> Option<Duration> {
    let supervisor = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    let us = [Some(process::id()), supervisor];
    let number = |name| env::var(name).ok()?.parse().ok();
    within(number("WATCHDOG_USEC"), number("WATCHDOG_PID"), us)
}

/// The same, by what the environment says, and by who `us` is.
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
        // Its thread does not drive it yet.
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
        // The supervisor is the process that a manager knows.
        assert_eq!(within(Some(60_000_000), Some(6), us), minute);
        assert_eq!(within(Some(60_000_000), Some(7), us), minute);
        // Inherited of somebody further up.
        assert_eq!(within(Some(60_000_000), Some(5), us), None);
        assert_eq!(within(Some(0), None, us), None);
        assert_eq!(within(None, None, us), None);
    }
}
