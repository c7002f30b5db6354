//! The host's side: the host ends with its supervisor, and notifies it of each session.

use std::io;

use rustix::{
    net::{SendFlags, send},
    process::{Pid, Signal, getppid, set_parent_process_death_signal, setsid},
};

use super::supervisor_message::SupervisorMessage;
use soloist_heart::{FencingToken, LeaseId};
use soloist_leadership::SessionObserver;

/// The host's link to its supervisor: the socket that is its stdin.
#[derive(Debug)]
pub struct SupervisorLink {
    /// The part of the last message that did not fit into the socket.
    unsent: Vec<u8>,
    /// Above what an earlier run of this host has left the store's fencing tokens to be raised.
    raise_above: Option<FencingToken>,
}

impl SupervisorLink {
    /// Has this process killed by the kernel when `supervisor`, its parent process, ends.
    /// `raise_above`: what an earlier run of this host has left to do. To be called on the first
    /// thread, before there are others. The caller also watches for the end of stdin, which means
    /// the same.
    ///
    /// # Errors
    /// The supervisor has ended already, or the system does not support this.
    pub fn attach(supervisor: i32, raise_above: Option<FencingToken>) -> io::Result<Self> {
        // A session without a terminal: Ctrl-C and Ctrl-Z are for the supervisor, and `stty tostop`
        // cannot stop a host that writes its log. This fails for the leader of a process group,
        // which has such a session already.
        let _ = setsid();
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The supervisor may have ended just before.
        if getppid() != Pid::from_raw(supervisor) {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the supervisor has ended"));
        }
        Ok(Self { unsent: Vec::new(), raise_above })
    }

    /// Writes what fits into the socket and never waits: a supervisor that is frozen, or does not
    /// read, misses messages and does not hold up the host.
    fn send(&mut self, message: SupervisorMessage) {
        self.flush();
        if self.unsent.is_empty() {
            self.unsent = format!("{message}\n").into_bytes();
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

    fn store_changed(&mut self, above: FencingToken) {
        self.send(SupervisorMessage::StoreChanged { above });
    }

    fn tokens_raised(&mut self) {
        self.send(SupervisorMessage::TokensRaised);
    }

    fn tokens_to_raise(&self) -> Option<FencingToken> {
        self.raise_above
    }
}
