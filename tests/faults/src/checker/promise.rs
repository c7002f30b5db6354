//! What the checker holds soloist to.

use std::fmt;

/// A promise that histories can show to be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Promise {
    /// Two hosts never perform at the same time.
    OneLeaderAtATime,
    /// A request is not answered under an older fencing token than one that was seen before.
    NoStaleAnswer,
    /// Once all hosts have reported that the store went back, none answers until it was
    /// restarted.
    NoAnswerAfterRestore,
    /// While a fault lasts, hosts report it and act on it in time.
    FaultsAreReported,
    /// Each good answer names the host and the fencing token that it was given under.
    AnswersAreSigned,
    /// A write that was acknowledged stays.
    NoWriteLost,
    /// A write counts once, and nothing counts that nobody asked for.
    NoWriteDoubled,
    /// No write under an older fencing token follows one under a newer fencing token.
    NoStaleWrite,
    /// A good answer of the register is a fencing token and a value.
    RegisterIsReadable,
    /// Another host performs within the bound of the kind of fault.
    TakeOverInTime,
    /// No host panics.
    NoPanic,
    /// A fencing token belongs to one term of one host.
    OneTermPerToken,
    /// The cluster recovers from every fault, so that the run reaches its end.
    Recovers,
}

/// That a promise was broken, and how, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) promise: Promise,
    pub(crate) text: String,
}

impl Violation {
    pub(crate) fn new(promise: Promise, text: impl ToString) -> Self {
        Self { promise, text: text.to_string() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
