//! What is promised, so that a broken promise can be named.

use std::fmt;

/// A promise that the checker watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// The heart's commands make sense: no term within a term, no end of what does not run.
    Order,
    /// In a group each term's token is higher than those before.
    TokensRise,
    /// Never two hosts perform in a group, nor is anything of two terms alive.
    NoOverlap,
    /// A term ends here before its lease can end in the store.
    EndsBeforeLease,
    /// No term starts under a key that was gone when the win was looked at.
    WinIsVerified,
    /// A key is given back when nothing of its term is alive, and not before.
    ResignIsLast,
    /// No answer leaves under a token when a later term has started.
    FreshAnswers,
    /// No write is applied under a token when a later term has started.
    FencedWrites,
    /// A write is applied once, however often it is tried.
    NothingDoubled,
    /// A write that was acknowledged is there.
    NothingLost,
    /// A host that is told to stop ends, whatever the store refuses.
    StopsInTime,
    /// A firing of a job is begun once, whatever clocks show.
    FiredOnce,
    /// Where the clock of a leader is right, its job goes on, whoever led before.
    FiringsGoOn,
    /// A host that knows its clock to be wrong, or does not know whether it is, claims no
    /// firing; and one that knows it hands over what goes by time.
    WrongClocksRest,
    /// If somebody could lead, somebody leads soon; and when the faults are over, one host
    /// performs in each group.
    SomebodyLeads,
    /// Where nobody leads, the hosts' status says so, or that they do not know; and who does
    /// not stand says why.
    HostsSayIt,
    /// Hosts that may lead the same groups lead as many of them, give or take one.
    EvenlySpread,
}

/// A promise was broken.
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
