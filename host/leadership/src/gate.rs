//! The gate of a term: every incoming request, every outgoing response and every effect passes it.
//!
//! Invariants:
//!
//! - A gate that has been closed never opens again; a new term has a new gate.
//! - After its deadline a gate is closed by the clock alone: no thread, task or message has to run
//!   for that. A host that was frozen finds it closed.

use std::sync::{
    Arc,
    atomic::{AtomicU8, AtomicU64, Ordering},
};

use tokio_util::sync::CancellationToken;

use soloist_heart::{FencingToken, Group, Term, clock::BootTime};

/// The moment until which a session may be relied on. It only ever moves later, and once it has
/// passed it never moves again.
///
/// All gates of one session share its deadline, so one renewal extends all of them.
#[derive(Debug)]
pub struct Deadline(AtomicU64);

impl Deadline {
    /// Creates a deadline at this moment.
    #[must_use]
    pub fn new(at: BootTime) -> Self {
        Self(AtomicU64::new(at.as_nanos()))
    }

    /// Moves the deadline to `to`, unless it is already later. Returns whether it had not passed
    /// yet: once it has passed, somebody may have acted on that.
    #[must_use]
    pub fn extend(&self, to: BootTime) -> bool {
        let (now, to) = (BootTime::now().as_nanos(), to.as_nanos());
        let later = |at| (at > now).then(|| to.max(at));
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, later).is_ok()
    }

    /// Seals the deadline if it has passed by `now`, so that no later extension can revive it.
    /// Returns whether it had passed.
    pub fn seal(&self, now: BootTime) -> bool {
        let passed = |at| (at <= now.as_nanos()).then_some(0);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, passed).is_ok()
    }

    /// The moment of the deadline.
    #[must_use]
    pub fn at(&self) -> BootTime {
        BootTime::from_nanos(self.0.load(Ordering::Acquire))
    }

    /// Whether the deadline has passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        BootTime::now() >= self.at()
    }
}

/// Why the gate refused something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateShut {
    /// The term is ending gracefully; work that has begun may still finish.
    #[error("this host is handing its leadership over")]
    Draining,
    /// The term has ended.
    #[error("this host's leadership has ended")]
    Closed,
    /// The deadline passed before the session was renewed.
    #[error("this host's leadership may have ended: its lease was not renewed in time")]
    Expired,
}

impl GateShut {
    /// The words of all reasons.
    pub const WORDS: [&str; 3] = [Self::Draining.word(), Self::Closed.word(), Self::Expired.word()];

    /// A fixed one-word name of the reason, for machines to read.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Closed => "closed",
            Self::Expired => "expired",
        }
    }
}

const OPEN: u8 = 0;
const DRAINING: u8 = 1;
const CLOSED: u8 = 2;
const REVOKED: u8 = 3;

/// The gate of one term.
#[derive(Debug)]
pub struct Gate {
    term: Term,
    deadline: Arc<Deadline>,
    phase: AtomicU8,
    ending: CancellationToken,
}

impl Gate {
    /// Creates an open gate for `term`.
    #[must_use]
    pub fn new(term: Term, deadline: Arc<Deadline>) -> Self {
        Self { term, deadline, phase: AtomicU8::new(OPEN), ending: CancellationToken::new() }
    }

    /// Creates an open gate for work that runs outside of any term, and under no lease.
    #[must_use]
    pub fn without_term(group: Group, host: Arc<str>) -> Self {
        // No real fencing token is zero, so it stands for "none".
        Self::until(BootTime::NEVER, Term { group, host, fencing_token: FencingToken(0) })
    }

    /// Creates an open gate for `term` with a deadline of its own, which no session extends.
    #[must_use]
    pub fn until(deadline: BootTime, term: Term) -> Self {
        Self::new(term, Arc::new(Deadline::new(deadline)))
    }

    /// The term that the gate belongs to.
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
    /// The reason why not.
    pub fn admit(&self) -> Result<(), GateShut> {
        self.check_phase(OPEN)
    }

    /// Asks to continue something that was admitted, such as an effect or a response.
    ///
    /// # Errors
    /// The reason why not.
    pub fn pass(&self) -> Result<(), GateShut> {
        self.check_phase(DRAINING)
    }

    fn check_phase(&self, latest: u8) -> Result<(), GateShut> {
        let phase = self.phase.load(Ordering::Acquire);
        if phase >= CLOSED {
            return Err(GateShut::Closed);
        }
        if self.deadline.passed() {
            return Err(GateShut::Expired);
        }
        if phase > latest {
            return Err(GateShut::Draining);
        }
        Ok(())
    }

    /// Resolves when the term is ending, because it drains or is already over. If only the deadline
    /// has passed, it resolves as soon as somebody closes the gate.
    pub async fn ending(&self) {
        self.ending.cancelled().await;
    }

    /// Admits nothing new from now on.
    pub fn drain(&self) {
        self.set_phase(DRAINING);
    }

    /// Whether the gate was closed; the passing of the deadline alone does not close it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.phase.load(Ordering::Acquire) >= CLOSED
    }

    /// Whether the gate was closed because another host may lead already.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.phase.load(Ordering::Acquire) == REVOKED
    }

    /// Lets nothing through any more; the leadership is given up.
    pub fn close(&self) {
        self.set_phase(CLOSED);
    }

    /// Lets nothing through any more; the leadership is lost.
    pub fn revoke(&self) {
        self.set_phase(REVOKED);
    }

    fn set_phase(&self, phase: u8) {
        // In this order: a waiter that is woken must find the new phase.
        self.phase.fetch_max(phase, Ordering::AcqRel);
        self.ending.cancel();
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use soloist_heart::{FencingToken, Group};

    use super::*;

    /// An open gate for the term of group `main`, host `a` and fencing token 7.
    pub(crate) fn gate_until(deadline: BootTime) -> Arc<Gate> {
        let term = Term { group: Group::main(), host: "a".into(), fencing_token: FencingToken(7) };
        Arc::new(Gate::until(deadline, term))
    }

    #[test]
    fn drains_then_closes_and_never_opens_again() {
        let gate = gate_until(BootTime::NEVER);
        assert_eq!(gate.admit(), Ok(()));
        gate.drain();
        assert_eq!((gate.admit(), gate.pass()), (Err(GateShut::Draining), Ok(())));
        gate.close();
        gate.drain();
        assert_eq!((gate.admit(), gate.pass()), (Err(GateShut::Closed), Err(GateShut::Closed)));
    }

    #[test]
    fn the_clock_alone_shuts_it() {
        let gate = gate_until(BootTime::now() + Duration::from_secs(3600));
        assert_eq!(gate.admit(), Ok(()));
        let past = gate_until(BootTime::now());
        assert_eq!((past.admit(), past.pass()), (Err(GateShut::Expired), Err(GateShut::Expired)));
    }

    #[test]
    fn a_deadline_moves_later_only() {
        let soon = BootTime::now() + Duration::from_secs(3600);
        let later = soon + Duration::from_secs(1);
        let deadline = Deadline::new(soon);
        assert!(deadline.extend(BootTime::ZERO));
        assert_eq!(deadline.at(), soon);
        assert!(deadline.extend(later));
        assert_eq!(deadline.at(), later);
    }

    #[test]
    fn a_deadline_that_has_passed_stays_passed() {
        let later = BootTime::now() + Duration::from_secs(3600);
        let unseen = Deadline::new(BootTime::now());
        assert!(!unseen.extend(later));
        let seen = Deadline::new(later);
        assert!(!seen.seal(BootTime::now()));
        assert!(seen.seal(later));
        assert!(!seen.extend(later + Duration::from_secs(1)));
        assert!(seen.passed());
    }
}
