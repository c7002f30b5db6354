//! The promises that the simulation checks, so that a broken one can be named.

use std::fmt;

/// A promise that the checker watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// The heart's commands are consistent: no term begins within another, and only running terms
    /// are ended.
    Order,
    /// Within a group, each term's fencing token is higher than all earlier ones.
    TokensRise,
    /// Two hosts never perform in the same group, and parts of two terms are never alive at once.
    NoOverlap,
    /// A term ends on its host before its lease can end in the store.
    EndsBeforeLease,
    /// No term starts under a key that was already gone when the win was verified.
    WinIsVerified,
    /// A key is given up only when nothing of its term is alive.
    ResignIsLast,
    /// No answer is sent under a fencing token after a later term has started.
    FreshAnswers,
    /// No write is applied under a fencing token after a later term has started.
    FencedWrites,
    /// A write is applied once, however often it is attempted.
    NothingDoubled,
    /// An acknowledged write is there.
    NothingLost,
    /// A host that is told to stop does end, whatever the store refuses.
    StopsInTime,
    /// A run of a job begins once, whatever the clocks show.
    FiredOnce,
    /// While a leader's clock is right its job continues, whoever led before.
    RunsContinue,
    /// A host that knows that its clock is wrong, or does not know whether it is, claims no run;
    /// and one that knows it hands over the group with the job.
    WrongClocksRest,
    /// If some host could lead, one leads soon; and after the faults exactly one host performs in
    /// each group.
    SomebodyLeads,
    /// If nobody leads, the hosts' status says so, or says that they do not know; and a host that
    /// does not stand says why.
    HostsSayIt,
    /// Hosts that may lead the same groups lead equally many of them, to within one.
    EvenlySpread,
}

/// A broken promise.
#[derive(Clone, Debug)]
pub(crate) struct BrokenPromise {
    pub(crate) promise: Promise,
    /// The true time in nanoseconds.
    pub(crate) at: u64,
    pub(crate) story: String,
}

impl fmt::Display for BrokenPromise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:.3} s: {}", self.promise, self.at as f64 / 1e9, self.story)
    }
}
