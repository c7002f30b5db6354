//! The host's side: it ends with its supervisor, and tells it of each session.

use std::io;

use rustix::{
    net::{SendFlags, send},
    process::{Pid, Signal, getppid, set_parent_process_death_signal, setsid},
};

use super::supervisor_message::SupervisorMessage;
use soloist_heart::LeaseId;
use soloist_leadership::SessionObserver;

/// What ties a host to its supervisor: the socket that is its stdin.
#[derive(Debug)]
pub struct SupervisorLink {
    /// What did not fit into the socket of the last line.
    unsent: Vec<u8>,
    /// Whether an earlier life of this host saw the store go back.
    went_back: bool,
}

impl SupervisorLink {
    /// Ties this process to process `supervisor`, its parent, which says whether the store
    /// `went_back` under an earlier life of this host: it is killed when
    /// that one ends. Call it on the first thread, before there are others; the
    /// end of stdin, which says the same, is the caller's to watch.
    ///
    /// # Errors
    /// The supervisor has ended already, or the system does not offer this.
    pub fn attach(supervisor: i32, went_back: bool) -> io::Result<Self> {
        // A session without a terminal: Ctrl-C and Ctrl-Z there are for the
        // supervisor, and no `stty tostop` stops a host that writes its log.
        // It fails for who leads a process group, and has that already.
        let _ = setsid();
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // It may have ended before that.
        if getppid() != Pid::from_raw(supervisor) {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the supervisor has ended"));
        }
        Ok(Self { unsent: Vec::new(), went_back })
    }

    /// Writes what fits and never waits: a supervisor that is frozen, or does
    /// not read, misses something and holds nobody up.
    fn send(&mut self, news: SupervisorMessage) {
        self.flush();
        if self.unsent.is_empty() {
            self.unsent = format!("{news}\n").into_bytes();
            self.flush();
        }
    }

    fn flush(&mut self) {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        while !self.unsent.is_empty() {
            match send(rustix::stdio::stdin(), &self.unsent, flags) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}

impl SessionObserver for SupervisorLink {
    fn opened(&mut self, lease: LeaseId) {
        self.send(SupervisorMessage::Opened(lease));
    }

    fn ended(&mut self, lease: LeaseId) {
        self.send(SupervisorMessage::Over(lease));
    }

    fn store_went_back(&mut self) {
        self.send(SupervisorMessage::WentBack);
    }

    fn store_has_gone_back(&self) -> bool {
        self.went_back
    }
}
