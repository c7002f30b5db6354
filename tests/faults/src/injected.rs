//! A fault that was injected and healed, and what was observed during it.

use serde_json::{Value, json};

use super::clients::View;
use super::clock;
use super::kind::Kind;

/// A fault that was injected and healed. Times are in nanoseconds of the boot-time clock.
#[derive(Clone, Debug)]
pub(crate) struct Injected {
    pub(crate) kind: Kind,
    /// The host or the members that it hit, and how.
    pub(crate) target: String,
    /// The token of the leader at `since`.
    pub(crate) token: u64,
    /// Right before the injection.
    pub(crate) at: u64,
    /// When another host could take over. Take-overs are measured from here.
    pub(crate) since: u64,
    /// When it was healed.
    pub(crate) healed: u64,
    /// When the cluster had recovered.
    pub(crate) steady: u64,
    /// What hosts had to report or do during the fault, and whether they did.
    pub(crate) looks: Vec<Look>,
    /// How it changed the store's history, if it did.
    pub(crate) rebased: Option<Rebased>,
}

/// A check of what hosts report or do during a fault.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// The expectation.
    pub(crate) what: String,
    /// The hosts that did not meet it in time, each with what it did instead.
    pub(crate) failed: Vec<String>,
}

/// How a fault has undone acknowledged writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rebased {
    /// The store was restored from a snapshot, and all hosts were restarted. This begins another
    /// history, in which tokens and values may come again.
    Restored {
        /// When the snapshot was begun, and when it was complete.
        saved: (u64, u64),
        /// When all hosts had reported that they lead nothing.
        held: u64,
        /// A moment when no host ran.
        at: u64,
    },
    /// All keys were deleted. Tokens continue to rise: those of later terms are higher than
    /// `revision`.
    Emptied {
        /// The store's revision after the deletion.
        revision: u64,
        /// When the deletion was begun, and when it was complete.
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

    /// Another host can take over from now on.
    pub(super) fn follow(&mut self, view: &View) {
        (self.token, self.since) = (view.token, clock::now());
    }

    /// The fault is healed, and the cluster has to recover from now on.
    pub(super) fn heal(&mut self) {
        self.healed = clock::now();
    }

    /// The failed checks, each as a sentence.
    pub(crate) fn broken_looks(&self) -> impl Iterator<Item = String> {
        let name = self.kind.name();
        let broken = self.looks.iter().filter(|look| !look.failed.is_empty());
        broken.map(move |look| {
            let Look { what, failed } = look;
            format!("{name}, {}: {what}, but {}", self.target, failed.join("; "))
        })
    }

    /// The line of the fault log.
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

/// Faults for tests.
#[cfg(test)]
pub(crate) mod made {
    use super::*;

    /// A fault whose details do not matter.
    pub(crate) fn fault(kind: Kind) -> Injected {
        Injected::begin(kind, "a".to_owned(), &View::default())
    }

    /// A restore of a snapshot that was made at `saved`; all hosts had noticed at `held`, and none
    /// ran at `at`.
    pub(crate) fn restored(saved: u64, held: u64, at: u64) -> Injected {
        let rebased = Rebased::Restored { saved: (saved, saved), held, at };
        Injected { rebased: Some(rebased), ..fault(Kind::Restore) }
    }

    /// A deletion of all keys at `at`.
    pub(crate) fn emptied(revision: u64, at: u64) -> Injected {
        let rebased = Rebased::Emptied { revision, during: (at, at) };
        Injected { rebased: Some(rebased), ..fault(Kind::DeletedPrefix) }
    }
}
