//! The supervisor: a small parent that outlives its host.
//!
//! ```text
//!   supervisor ── fork ──► host        the socket is the host's stdin
//!       ▲                   │
//!       ├─ opened, over ────┘
//!       └─ its end ──► revoke the sessions that are left ──► start it again
//! ```
//!
//! Where a process dies and its machine lives, nobody needs to wait for a TTL:
//! the kernel tells the parent, and the parent gives the session back.
//!
//! Invariants:
//! - A session is revoked only when its host is dead with all its files closed.
//!   Linux does both before a parent can learn of the end (`do_exit` in
//!   kernel/exit.c: `exit_files` and `exit_task_work`, then `exit_notify`, and
//!   that for the last thread of the process only). So nothing answers, and
//!   nothing is sent, under a term that was given away.
//! - The host never waits for its supervisor: one that is frozen costs a crash
//!   its quick end, and nothing else.
//! - A host does not outlive its supervisor. See [`Leash`].
//! - Only a crash is mended: a host that ends with an exit code meant it. But one that came to
//!   nothing when it was started again after a crash is started until it does: what is in its way
//!   (a password, a settings file) may be mended, and nobody else would bring it back.
//!
//! Ctrl-Z stops the supervisor alone; the host has a session without a terminal
//! and goes on. A request to stop is passed on.

mod back_off;
mod host_process;
mod session_release;
mod supervisor_link;
mod supervisor_message;

use std::{
    ffi::OsString,
    io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    pin::pin,
    process::ExitStatus,
    time::Duration,
};

use futures::future::OptionFuture;
use rustix::{io::Errno, process::Signal};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    task::JoinSet,
    time::{Sleep, sleep, timeout},
};
use tracing::{info, warn};

pub use supervisor_link::SupervisorLink;

use self::{back_off::BackOff, host_process::HostProcess, session_release::SessionRelease};
use soloist_config::{Config, ConfigError};
use soloist_heart::clock::BootTime;
use soloist_text::{millis, with_causes};

/// How much longer than it should a host may take to stop: a machine may be slow.
const SLOW: Duration = Duration::from_secs(5);

/// How a supervised host ended for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostExit {
    /// By itself, with this exit code.
    Exited(i32),
    /// By this signal, after it was asked to stop: by its own, or since it took too long.
    Killed(i32),
    /// By force, since it was asked to stop twice.
    Forced,
}

/// What a supervisor is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopRequest {
    /// To stop gracefully; the host is sent this signal.
    Stop(Signal),
    /// To end at once.
    Kill,
}

/// Why there is no host.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// The settings are wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The host's program is not there, or is none that this user may run.
    #[error("cannot start the host's program {}: put it back, for this user to execute", program.display())]
    Program {
        /// Where it should be.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The host's process could not be started, or not be watched.
    #[error(
        "cannot run the host as a process of its own: lift this user's limits (`ulimit -u`, \
         `ulimit -n`), or go without by --no-supervisor"
    )]
    System(#[from] io::Error),
}

impl SupervisorError {
    fn of_start(program: &Path, source: io::Error) -> Self {
        let by_program =
            [Errno::NOENT, Errno::ACCESS, Errno::PERM, Errno::ISDIR, Errno::NOTDIR, Errno::NOEXEC];
        if Errno::from_io_error(&source).is_some_and(|errno| by_program.contains(&errno)) {
            Self::Program { program: program.to_owned(), source }
        } else {
            Self::System(source)
        }
    }
}

/// Runs one host, again and again when it crashes.
pub struct Supervisor<L> {
    /// The executable of the host.
    pub program: PathBuf,
    /// Its arguments; it is told whether the store went back under an earlier life of it.
    pub arguments: fn(bool) -> Vec<OsString>,
    /// Reads the settings, as the host will.
    pub load: L,
    /// What people ask for, the graceful stop first.
    pub requests: UnboundedReceiver<StopRequest>,
}

impl<L: Fn() -> Result<Config, ConfigError>> Supervisor<L> {
    /// Runs the host until it ends by itself or is told to stop.
    ///
    /// The kernel ends the host with the *thread* that started it
    /// (`PR_SET_PDEATHSIG`, prctl(2)): call this on a thread that stays.
    ///
    /// # Errors
    /// The settings are wrong, or the first start fails.
    pub async fn run(mut self) -> Result<HostExit, SupervisorError> {
        let (mut back_off, mut past) = (BackOff::default(), PastRuns::default());
        loop {
            let lived = match self.run_once(&mut past).await {
                Ok(RunEnd::NoSession(code)) if past.had_session => {
                    warn!(event = "not-back", code, "the host did not come back: see above why");
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
            // It may have come while the end of the host was seen to.
            if self.requests.try_recv().is_ok() || !self.pause(back_off.after(lived)).await {
                return Ok(self.finish_releases(past.releases, HostExit::Exited(0)).await);
            }
        }
    }

    /// Lets this pass before the host is started again; tells whether it is to be.
    async fn pause(&mut self, pause: Duration) -> bool {
        let pause_ms = millis(pause);
        info!(event = "restarting", pause_ms, "starting the host again in {pause_ms} ms");
        tokio::select! {
            biased;
            Some(_) = self.requests.recv() => false,
            () = sleep(pause) => true,
        }
    }

    /// Starts the host, and watches it until it ends.
    async fn run_once(&mut self, past: &mut PastRuns) -> Result<RunEnd, SupervisorError> {
        // Each time anew, as the host does: they must mean the same store.
        let config = (self.load)()?;
        let arguments = (self.arguments)(past.went_back);
        let child = HostProcess::start(&self.program, &arguments)
            .map_err(|error| SupervisorError::of_start(&self.program, error))?;
        Ok(self.watch_run(child, &config, past).await?)
    }

    /// Waits for what is still being given back, which its lease bounds, unless asked to end.
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

    /// Watches one life of the host, and gives back what it leaves.
    async fn watch_run(
        &mut self,
        mut child: HostProcess,
        config: &Config,
        past: &mut PastRuns,
    ) -> io::Result<RunEnd> {
        let (born, pid) = (BootTime::now(), child.pid());
        info!(event = "supervising", pid, "supervising the host, which is process {pid}");
        let (status, last_asked) = self.watch(&mut child, stop_limit(config)).await?;
        let lived = BootTime::now().since(born);
        if let Some(signal) = status.signal() {
            let lived_ms = millis(lived);
            warn!(event = "crashed", signal, lived_ms, "the host was killed: {status}");
        }
        if let Some(release) = SessionRelease::of(child.sessions(), config) {
            past.releases.spawn(release.run());
            // Before anything else takes the processor. A store that does not
            // answer is asked again while the host is back already.
            let _ = timeout(config.timings.request_timeout, past.releases.join_next()).await;
        }
        past.had_session |= child.had_session();
        past.went_back |= child.went_back();
        Ok(match (status.code(), status.signal(), last_asked) {
            (_, _, Some(StopRequest::Kill)) => RunEnd::Final(HostExit::Forced),
            // It did not listen yet, and had begun nothing.
            (None, Some(signal), Some(StopRequest::Stop(sent))) if signal == sent.as_raw() => {
                RunEnd::Final(HostExit::Exited(0))
            }
            (None, Some(signal), Some(_)) => RunEnd::Final(HostExit::Killed(signal)),
            (None, ..) => RunEnd::Crashed(lived),
            (Some(code), _, None) if code != 0 && !child.had_session() => RunEnd::NoSession(code),
            (Some(code), ..) => RunEnd::Final(HostExit::Exited(code)),
        })
    }

    /// Waits for the host's end, and passes on what is asked for. Returns the last of that, too.
    /// One that is told to stop and has not ended after `limit`, such as one that is frozen, is
    /// killed.
    async fn watch(
        &mut self,
        child: &mut HostProcess,
        limit: Duration,
    ) -> io::Result<(ExitStatus, Option<StopRequest>)> {
        let (mut last, mut over) = (None, pin!(OptionFuture::from(None::<Sleep>)));
        loop {
            tokio::select! {
                status = child.wait() => return status.map(|status| (status, last)),
                Some(()) = &mut over => {
                    over.set(None.into());
                    let limit = humantime::format_duration(limit);
                    warn!(
                        event = "killed",
                        "the host has not ended within {limit} of being told to: it is killed"
                    );
                    child.signal(Signal::KILL);
                }
                Some(asked) = self.requests.recv() => {
                    child.signal(match asked {
                        StopRequest::Stop(signal) => signal,
                        StopRequest::Kill => Signal::KILL,
                    });
                    if last.is_none() {
                        over.set(Some(sleep(limit)).into());
                    }
                    last = Some(asked);
                }
            }
        }
    }
}

/// How long a host may take to stop: it drains, ends what runs, and gives up its place or lets
/// its lease run out.
fn stop_limit(config: &Config) -> Duration {
    let timings = &config.timings;
    timings.drain + timings.stop_limit + timings.ttl + SLOW
}

/// What the lives of the host until now have left.
#[derive(Default)]
struct PastRuns {
    /// Sessions that are being given back.
    releases: JoinSet<()>,
    /// Whether one of them came to a session.
    had_session: bool,
    /// Whether the store went back under one of them.
    went_back: bool,
}

/// How one life of the host went.
enum RunEnd {
    Final(HostExit),
    /// It ended by itself before it came to a session, with this exit code.
    NoSession(i32),
    /// It was killed after this time.
    Crashed(Duration),
}
