//! The host as a child process: its start, the messages that it sends, and its exit.

use std::{
    ffi::OsString,
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{self, Command},
    time::timeout,
};

use super::supervisor_message::OpenSessions;
use soloist_heart::{FencingToken, LeaseId};

/// How long to read on once the host is dead: all of its messages are in the socket already.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// A running host. It is killed when this is dropped.
pub(super) struct HostProcess {
    process: process::Child,
    pid: i32,
    messages: Lines<BufReader<tokio::net::UnixStream>>,
    /// Whether the host may still send something.
    listening: bool,
    sessions: OpenSessions,
}

impl HostProcess {
    /// Starts `program` with one end of a socket as its stdin.
    pub(super) fn start(program: &Path, arguments: &[OsString]) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let news = BufReader::new(tokio::net::UnixStream::from_std(ours)?).lines();
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::from(OwnedFd::from(theirs))).kill_on_drop(true);
        let process = command.spawn()?;
        // Closes this process's copy of the host's end of the socket.
        drop(command);
        let pid = process.id().and_then(|id| id.try_into().ok()).unwrap_or_default();
        Ok(Self {
            process,
            pid,
            messages: news,
            listening: true,
            sessions: OpenSessions::default(),
        })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Sends it a signal, unless it has exited.
    pub(super) fn signal(&self, signal: Signal) {
        // As long as it was not waited for, no other process can have its id.
        if self.process.id().is_some()
            && let Some(pid) = Pid::from_raw(self.pid)
        {
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits for its exit, and reads its messages until then. Cancellation safe.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            tokio::select! {
                line = self.messages.next_line(), if self.listening => self.note(line),
                status = self.process.wait() => {
                    let rest = async {
                        while self.listening {
                            let line = self.messages.next_line().await;
                            self.note(line);
                        }
                    };
                    let _ = timeout(LAST_WORDS, rest).await;
                    return status;
                }
            }
        }
    }

    fn note(&mut self, line: io::Result<Option<String>>) {
        match line {
            Ok(Some(line)) => self.sessions.note(&line),
            Ok(None) | Err(_) => self.listening = false,
        }
    }

    /// Whether it had a session in the store.
    pub(super) fn had_session(&self) -> bool {
        self.sessions.any()
    }

    /// Above what it has left the store's fencing tokens to be raised, if it has said anything of
    /// it.
    pub(super) fn raise_above(&self) -> Option<Option<FencingToken>> {
        self.sessions.raise_above()
    }

    /// The sessions that it has not ended itself, the newest first.
    pub(super) fn sessions(&self) -> Vec<LeaseId> {
        self.sessions.open()
    }
}
