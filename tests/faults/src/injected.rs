//! A fault that was injected and healed, and what was seen meanwhile.

use serde_json::{Value, json};

use super::clients::View;
use super::clock;
use super::kind::Kind;

/// A fault that was injected, and healed.
#[derive(Clone, Debug)]
pub(crate) struct Injected {
    pub(crate) kind: Kind,
    /// Whom it hit, and how.
    pub(crate) target: String,
    /// The token under which somebody performed at `since`.
    pub(crate) token: u64,
    /// Right before it began.
    pub(crate) at: u64,
    /// From when on somebody else could follow: what a take-over is counted from.
    pub(crate) since: u64,
    /// When it was healed.
    pub(crate) healed: u64,
    /// When all was well again.
    pub(crate) steady: u64,
    /// What was looked at, of what hosts have to say or to do.
    pub(crate) looks: Vec<Look>,
    /// What it has done to what was written before, if anything.
    pub(crate) rebased: Option<Rebased>,
}

/// A look at what hosts have to say or to do while there is a fault.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// What they have to.
    pub(crate) what: String,
    /// Who did not in time, each with what it did instead.
    pub(crate) failed: Vec<String>,
}

/// How a fault has taken writes back that were acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rebased {
    /// The store was put back to what it was once, and all hosts were restarted: another
    /// history, whose tokens and values may come again.
    Restored {
        /// While the snapshot was made.
        saved: (u64, u64),
        /// From when on all hosts had said that they lead nothing.
        held: u64,
        /// When none of them ran.
        at: u64,
    },
    /// Everything was deleted. Tokens rise all the same, and those of later terms are
    /// higher than `revision`.
    Emptied {
        /// Of the store, by the deletion.
        revision: u64,
        /// While it was made.
        during: (u64, u64),
    },
}

impl Injected {
    /// A fault that begins now.
    pub(super) fn begin(kind: Kind, target: String, view: &View) -> Self {
        let now = clock::now();
        Self {
            kind,
            target,
            token: view.token,
            at: now,
            since: now,
            healed: now,
            steady: now,
            looks: Vec::new(),
            rebased: None,
        }
    }

    /// Somebody else can follow from now on.
    pub(super) fn follow(&mut self, view: &View) {
        (self.token, self.since) = (view.token, clock::now());
    }

    /// Everything is to be well again from now on.
    pub(super) fn heal(&mut self) {
        self.healed = clock::now();
    }

    /// The looks in which somebody failed, each as a sentence.
    pub(crate) fn broken_looks(&self) -> impl Iterator<Item = String> {
        let name = self.kind.name();
        let broken = self.looks.iter().filter(|look| !look.failed.is_empty());
        broken.map(move |look| {
            let Look { what, failed } = look;
            format!("{name}, {}: {what}, but {}", self.target, failed.join("; "))
        })
    }

    /// One line of the fault log.
    pub(crate) fn line(&self) -> Value {
        json!({
            "fault": self.kind.name(),
            "target": self.target,
            "token": self.token,
            "injected_ns": self.at,
            "since_ns": self.since,
            "healed_ns": self.healed,
            "steady_ns": self.steady,
            "looks": self.looks.iter().map(|look| look.what.as_str()).collect::<Vec<_>>(),
            "failed": self.broken_looks().collect::<Vec<_>>(),
            "rebased": self.rebased.map(|rebased| format!("{rebased:?}")),
        })
    }
}

/// Faults that begin a history anew, for tests.
#[cfg(test)]
pub(crate) mod made {
    use super::*;

    /// A fault of no matter.
    pub(crate) fn fault(kind: Kind) -> Injected {
        Injected::begin(kind, "a".to_owned(), &View::default())
    }

    /// A restore of a snapshot that was made at `saved`; all had noticed at `held`, and
    /// none ran at `at`.
    pub(crate) fn restored(saved: u64, held: u64, at: u64) -> Injected {
        let rebased = Rebased::Restored { saved: (saved, saved), held, at };
        Injected { rebased: Some(rebased), ..fault(Kind::Restore) }
    }

    /// A deletion of everything at `at`.
    pub(crate) fn emptied(revision: u64, at: u64) -> Injected {
        let rebased = Rebased::Emptied { revision, during: (at, at) };
        Injected { rebased: Some(rebased), ..fault(Kind::DeletedPrefix) }
    }
}
