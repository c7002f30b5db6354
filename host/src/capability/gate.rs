//! The gate: every request in, every response out and every effect passes it.
//!
//! Invariants:
//! - A gate that has been closed never opens again; a new term has a new gate.
//! - Past its deadline a gate is shut by the clock alone: no thread, task or
//!   message has to run for that. A host that was frozen finds it shut.

use std::sync::{
    Arc,
    atomic::{AtomicU8, AtomicU64, Ordering},
};

use crate::{clock::BootTime, election::Term};

/// Until when a session may be relied on. It only ever moves later.
///
/// All gates of one session share its deadline, so one renewal extends all.
#[derive(Debug)]
pub struct Deadline(AtomicU64);

impl Deadline {
    /// A deadline at this moment.
    #[must_use]
    pub fn new(at: BootTime) -> Self {
        Self(AtomicU64::new(at.as_nanos()))
    }

    /// Moves the deadline to `to`, unless it is later already.
    pub fn extend(&self, to: BootTime) {
        self.0.fetch_max(to.as_nanos(), Ordering::AcqRel);
    }

    /// The moment.
    #[must_use]
    pub fn at(&self) -> BootTime {
        BootTime::from_nanos(self.0.load(Ordering::Acquire))
    }

    /// Whether it has passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        BootTime::now() >= self.at()
    }
}

/// Why the gate did not let something through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Shut {
    /// The term is ending by itself; what has begun may still finish.
    #[error("this host is handing its leadership over")]
    Draining,
    /// The term has ended.
    #[error("this host's leadership has ended")]
    Closed,
    /// The deadline passed before the session was renewed.
    #[error("this host's leadership may have ended: its lease was not renewed in time")]
    Expired,
}

const OPEN: u8 = 0;
const DRAINING: u8 = 1;
const CLOSED: u8 = 2;

/// The gate of one term.
#[derive(Debug)]
pub struct Gate {
    term: Term,
    deadline: Arc<Deadline>,
    phase: AtomicU8,
}

impl Gate {
    /// An open gate for `term`.
    #[must_use]
    pub fn new(term: Term, deadline: Arc<Deadline>) -> Self {
        Self { term, deadline, phase: AtomicU8::new(OPEN) }
    }

    /// The term behind the gate.
    #[must_use]
    pub fn term(&self) -> &Term {
        &self.term
    }

    /// The deadline that the gate obeys.
    #[must_use]
    pub fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    /// Asks to begin something new, such as a request.
    ///
    /// # Errors
    /// Says why not.
    pub fn admit(&self) -> Result<(), Shut> {
        self.pass_in(OPEN)
    }

    /// Asks to go on with what was admitted: an effect, a response.
    ///
    /// # Errors
    /// Says why not.
    pub fn pass(&self) -> Result<(), Shut> {
        self.pass_in(DRAINING)
    }

    fn pass_in(&self, latest: u8) -> Result<(), Shut> {
        let phase = self.phase.load(Ordering::Acquire);
        if phase == CLOSED {
            return Err(Shut::Closed);
        }
        if self.deadline.passed() {
            return Err(Shut::Expired);
        }
        if phase > latest {
            return Err(Shut::Draining);
        }
        Ok(())
    }

    /// Admits nothing new from now on.
    pub fn drain(&self) {
        self.phase.fetch_max(DRAINING, Ordering::AcqRel);
    }

    /// Lets nothing through any more.
    pub fn close(&self) {
        self.phase.fetch_max(CLOSED, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::election::{Group, Token};

    fn gate(deadline: BootTime) -> Gate {
        let term = Term { group: Group::main(), host: "a".into(), token: Token(7) };
        Gate::new(term, Arc::new(Deadline::new(deadline)))
    }

    #[test]
    fn drains_then_closes_and_never_opens_again() {
        let gate = gate(BootTime::NEVER);
        assert_eq!(gate.admit(), Ok(()));
        gate.drain();
        assert_eq!((gate.admit(), gate.pass()), (Err(Shut::Draining), Ok(())));
        gate.close();
        gate.drain();
        assert_eq!((gate.admit(), gate.pass()), (Err(Shut::Closed), Err(Shut::Closed)));
    }

    #[test]
    fn the_clock_alone_shuts_it() {
        let gate = gate(BootTime::now() + Duration::from_secs(3600));
        assert_eq!(gate.admit(), Ok(()));
        let past = self::gate(BootTime::now());
        assert_eq!((past.admit(), past.pass()), (Err(Shut::Expired), Err(Shut::Expired)));
    }

    #[test]
    fn a_deadline_moves_later_only() {
        let deadline = Deadline::new(BootTime::from_nanos(10));
        deadline.extend(BootTime::from_nanos(5));
        assert_eq!(deadline.at(), BootTime::from_nanos(10));
        deadline.extend(BootTime::from_nanos(15));
        assert_eq!(deadline.at(), BootTime::from_nanos(15));
    }
}
