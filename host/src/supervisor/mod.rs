//! The supervisor: a small parent process that outlives its host.
//!
//! ```text
//!   supervisor ── fork ──► host        a socket between them is the host's stdin
//!       ▲                   │
//!       ├─ opened, over ────┘
//!       └─ exit ──► revoke the sessions that are left ──► start the host again
//! ```
//!
//! When the host dies and its machine lives on, no other host needs to wait for a TTL: the kernel
//! notifies the parent of the exit, and the parent revokes the session.
//!
//! Invariants:
//! - A session is revoked only when its host is dead and all its files are closed. Linux does both
//!   before the parent can learn of the exit (`do_exit` in kernel/exit.c: `exit_files` and
//!   `exit_task_work`, then `exit_notify`, and that for the last thread of the process only). So
//!   nothing is answered or sent any more under a term that was given away.
//! - The host never waits for its supervisor. If the supervisor is frozen, a crash of the host
//!   costs a TTL, and nothing else is lost.
//! - A host does not outlive its supervisor. See [`SupervisorLink`].
//! - The host is started again only after a crash: an exit code is intended. But if it fails when
//!   it is started again after a crash, it is started until it succeeds: the cause (a password, a
//!   settings file) may be corrected, and nobody else would start the host.
//!
//! Ctrl-Z stops the supervisor alone; the host has a session without a terminal and goes on. A
//! request to stop is forwarded to the host.

mod back_off;
mod host_process;
mod session_release;
mod supervisor_error;
mod supervisor_link;
mod supervisor_message;

use std::{
    ffi::OsString, io, os::unix::process::ExitStatusExt, path::PathBuf, pin::pin,
    process::ExitStatus, time::Duration,
};

use futures::future::OptionFuture;
use rustix::process::Signal;
use tokio::{
    sync::mpsc::UnboundedReceiver,
    task::JoinSet,
    time::{Sleep, sleep, timeout},
};
use tracing::{info, warn};

pub use self::{supervisor_error::SupervisorError, supervisor_link::SupervisorLink};

use self::{back_off::BackOff, host_process::HostProcess, session_release::SessionRelease};
use soloist_config::{Config, ConfigError};
use soloist_heart::{FencingToken, clock::BootTime};
use soloist_text::{millis, with_causes};

/// Added to the time that a host may take to stop: the machine may be slow.
const SLOW: Duration = Duration::from_secs(5);

/// How a supervised host ended for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostExit {
    /// It exited by itself, with this exit code.
    Exited(i32),
    /// It was asked to stop, and ended by this signal; if it took too long, by SIGKILL.
    Killed(i32),
    /// It was killed, since people request it to stop twice.
    Forced,
}

/// What people ask a supervisor for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopRequest {
    /// A graceful stop: the host is sent this signal.
    Stop(Signal),
    /// An end at once: the host is killed.
    Kill,
}

/// Runs one host, and starts it again when it crashes.
pub struct Supervisor<L> {
    /// The executable of the host.
    pub program: PathBuf,
    /// The arguments of the host. The parameter is above what an earlier run of the host has left
    /// the store's fencing tokens to be raised.
    pub arguments: fn(Option<FencingToken>) -> Vec<OsString>,
    /// Reads the settings in the same way as the host.
    pub load: L,
    /// The requests of people to stop.
    pub requests: UnboundedReceiver<StopRequest>,
}

impl<L: Fn() -> Result<Config, ConfigError>> Supervisor<L> {
    /// Runs the host until it exits by itself or is asked to stop.
    ///
    /// The kernel ends the host with the *thread* that started it
    /// (`PR_SET_PDEATHSIG`, prctl(2)): call this on a thread that stays.
    ///
    /// # Errors
    /// The settings are invalid, or the first start fails.
    pub async fn run(mut self) -> Result<HostExit, SupervisorError> {
        let (mut back_off, mut past) = (BackOff::default(), PastRuns::default());
        loop {
            let lived = match self.run_once(&mut past).await {
                Ok(RunEnd::NoSession(code)) if past.had_session => {
                    warn!(
                        event = "not-back",
                        code, "the host could not be started again: the lines above say why"
                    );
                    Duration::ZERO
                }
                Ok(RunEnd::NoSession(code)) => return Ok(HostExit::Exited(code)),
                Ok(RunEnd::Final(end)) => {
                    return Ok(self.finish_releases(past.releases, end).await);
                }
                Ok(RunEnd::Crashed(lived)) => lived,
                Err(error) if past.had_session => {
                    let error = with_causes(&error);
                    warn!(event = "not-back", error, "the host cannot be started again");
                    Duration::ZERO
                }
                Err(error) => return Err(error),
            };
            // A request may have come while the exit of the host was being handled.
            if self.requests.try_recv().is_ok() || !self.pause(back_off.after(lived)).await {
                return Ok(self.finish_releases(past.releases, HostExit::Exited(0)).await);
            }
        }
    }

    /// Waits before the host is started again. Returns false if people ask to stop meanwhile.
    async fn pause(&mut self, pause: Duration) -> bool {
        let pause_ms = millis(pause);
        info!(event = "restarting", pause_ms, "starting the host again in {pause_ms} ms");
        tokio::select! {
            biased;
            Some(_) = self.requests.recv() => false,
            () = sleep(pause) => true,
        }
    }

    /// Starts the host, and watches it until it exits.
    async fn run_once(&mut self, past: &mut PastRuns) -> Result<RunEnd, SupervisorError> {
        // Read again each time, as the host does: both must use the same store.
        let config = (self.load)()?;
        let arguments = (self.arguments)(past.raise_above);
        let host = HostProcess::start(&self.program, &arguments)
            .map_err(|error| SupervisorError::of_start(&self.program, error))?;
        Ok(self.watch_run(host, &config, past).await?)
    }

    /// Waits for the sessions that are still being revoked, one TTL at most, unless people ask for
    /// an end at once.
    async fn finish_releases(&mut self, mut releases: JoinSet<()>, end: HostExit) -> HostExit {
        if end == HostExit::Forced {
            return end;
        }
        let all = async { while releases.join_next().await.is_some() {} };
        let ended = async { while self.requests.recv().await != Some(StopRequest::Kill) {} };
        tokio::select! {
            () = all => end,
            () = ended => HostExit::Forced,
        }
    }

    /// Watches one run of the host, and revokes the sessions that it leaves.
    async fn watch_run(
        &mut self,
        mut host: HostProcess,
        config: &Config,
        past: &mut PastRuns,
    ) -> io::Result<RunEnd> {
        let (born, pid) = (BootTime::now(), host.pid());
        info!(event = "supervising", pid, "supervising the host, which is process {pid}");
        let (status, last_request) = self.watch(&mut host, stop_limit(config)).await?;
        let lived = BootTime::now().since(born);
        if let Some(signal) = status.signal() {
            let lived_ms = millis(lived);
            warn!(event = "crashed", signal, lived_ms, "the host was killed: {status}");
        }
        if let Some(release) = SessionRelease::of(host.sessions(), config) {
            past.releases.spawn(release.run());
            // The first attempt comes before anything else takes the processor. If the store does
            // not answer, further attempts are made while the host is already running again.
            let _ = timeout(config.timings.request_timeout, past.releases.join_next()).await;
        }
        past.had_session |= host.had_session();
        past.raise_above = host.raise_above().unwrap_or(past.raise_above);
        Ok(match (status.code(), status.signal(), last_request) {
            (_, _, Some(StopRequest::Kill)) => RunEnd::Final(HostExit::Forced),
            // The host did not handle signals yet, and so had not started anything.
            (None, Some(signal), Some(StopRequest::Stop(sent))) if signal == sent.as_raw() => {
                RunEnd::Final(HostExit::Exited(0))
            }
            (None, Some(signal), Some(_)) => RunEnd::Final(HostExit::Killed(signal)),
            (None, ..) => RunEnd::Crashed(lived),
            (Some(code), _, None) if code != 0 && !host.had_session() => RunEnd::NoSession(code),
            (Some(code), ..) => RunEnd::Final(HostExit::Exited(code)),
        })
    }

    /// Waits for the host's exit, and forwards requests to stop. Returns the last request as well.
    /// A host that has not exited within `limit` of the first request, since it is frozen for
    /// example, is killed.
    async fn watch(
        &mut self,
        host: &mut HostProcess,
        limit: Duration,
    ) -> io::Result<(ExitStatus, Option<StopRequest>)> {
        let (mut last, mut over) = (None, pin!(OptionFuture::from(None::<Sleep>)));
        loop {
            tokio::select! {
                status = host.wait() => return status.map(|status| (status, last)),
                Some(()) = &mut over => {
                    over.set(None.into());
                    let limit = humantime::format_duration(limit);
                    warn!(
                        event = "killed",
                        "the host has not ended within {limit} of the request to stop: it is killed"
                    );
                    host.signal(Signal::KILL);
                }
                Some(request) = self.requests.recv() => {
                    host.signal(match request {
                        StopRequest::Stop(signal) => signal,
                        StopRequest::Kill => Signal::KILL,
                    });
                    if last.is_none() {
                        over.set(Some(sleep(limit)).into());
                    }
                    last = Some(request);
                }
            }
        }
    }
}

/// How long a host may take to stop: it drains, ends what runs, and resigns or lets its lease
/// expire.
fn stop_limit(config: &Config) -> Duration {
    let timings = &config.timings;
    timings.drain_timeout + timings.stop_limit + timings.ttl + SLOW
}

/// What the earlier runs of the host have left.
#[derive(Default)]
struct PastRuns {
    /// Sessions that are being revoked.
    releases: JoinSet<()>,
    /// Whether one of the runs had a session in the store.
    had_session: bool,
    /// Above what one of them has left the store's fencing tokens to be raised.
    raise_above: Option<FencingToken>,
}

/// How one run of the host ended.
enum RunEnd {
    /// It is not started again.
    Final(HostExit),
    /// It exited with this exit code before it had a session.
    NoSession(i32),
    /// It was killed by a signal after it had run for this time.
    Crashed(Duration),
}
