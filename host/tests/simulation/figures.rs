//! What was seen in a world: a simulation that exercises nothing would show here.

use std::ops::AddAssign;

/// How often things happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Worlds that were run to their end.
    pub(crate) worlds: u64,
    /// Terms that started.
    pub(crate) terms: u64,
    /// Writes that were applied.
    pub(crate) writes: u64,
    /// Writes that their writers know of.
    pub(crate) acknowledged: u64,
    /// Writes that the fence kept out.
    pub(crate) fenced: u64,
    /// Answers that left.
    pub(crate) answers: u64,
    /// Requests and answers that the gate, or the end of the term, kept back.
    pub(crate) refused: u64,
    /// Faults that were made.
    pub(crate) faults: u64,
    /// Times that the store went back to an older state.
    pub(crate) restored: u64,
    /// Firings of jobs that began.
    pub(crate) firings: u64,
    /// What strategists told hearts.
    pub(crate) advised: u64,
    /// Times that a strategist thought that another one goes by other settings.
    pub(crate) disagreements: u64,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.worlds += other.worlds;
        self.terms += other.terms;
        self.writes += other.writes;
        self.acknowledged += other.acknowledged;
        self.fenced += other.fenced;
        self.answers += other.answers;
        self.refused += other.refused;
        self.faults += other.faults;
        self.restored += other.restored;
        self.firings += other.firings;
        self.advised += other.advised;
        self.disagreements += other.disagreements;
    }
}
