//! Counts of what happened in a simulation; one that exercises nothing would show here.

use std::ops::AddAssign;

/// How often things happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Simulations that ran to their end.
    pub(crate) worlds: u64,
    /// Terms that started.
    pub(crate) terms: u64,
    /// Writes that were applied.
    pub(crate) writes: u64,
    /// Writes that were acknowledged to their writers.
    pub(crate) acknowledged: u64,
    /// Writes that were refused by the fence.
    pub(crate) fenced: u64,
    /// Answers that were sent.
    pub(crate) answers: u64,
    /// Requests and answers that were stopped by the gate or the end of the term.
    pub(crate) refused: u64,
    /// Faults that were injected.
    pub(crate) faults: u64,
    /// How often the store went back to an older state.
    pub(crate) restored: u64,
    /// How often the fencing tokens were raised because somebody had noticed that.
    pub(crate) raised: u64,
    /// Runs of jobs that began.
    pub(crate) runs: u64,
    /// Events that strategists sent to hearts.
    pub(crate) advised: u64,
    /// Disagreements that strategists detected.
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
        self.raised += other.raised;
        self.runs += other.runs;
        self.advised += other.advised;
        self.disagreements += other.disagreements;
    }
}
