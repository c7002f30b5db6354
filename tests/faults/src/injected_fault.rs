//! A fault that was injected and healed, and what was observed during it.

use serde_json::{Value, json};

use super::clients::LeaderView;
use super::clock;
use super::kind::Kind;

/// A fault that was injected and healed. Times are in nanoseconds of the boot-time clock.
#[derive(Clone, Debug)]
pub(crate) struct InjectedFault {
    pub(crate) kind: Kind,
    /// The host or the members that it hit, and how.
    pub(crate) target: String,
    /// The fencing token of the leader at `since`.
    pub(crate) fencing_token: u64,
    /// Right before the injection.
    pub(crate) at: u64,
    /// When another host could take over. Take-overs are measured from here.
    pub(crate) since: u64,
    /// When it was healed.
    pub(crate) healed: u64,
    /// When the cluster had recovered.
    pub(crate) steady: u64,
    /// What hosts had to report or do during the fault, and whether they did.
    pub(crate) observations: Vec<Observation>,
    /// How it changed the store's history, if it did.
    pub(crate) rebased: Option<Rebased>,
}

/// A check of what hosts report or do during a fault.
#[derive(Clone, Debug)]
pub(crate) struct Observation {
    /// The expectation.
    pub(crate) what: String,
    /// The hosts that did not meet it in time, each with what it did instead.
    pub(crate) failed: Vec<String>,
}

/// How a fault has undone acknowledged writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rebased {
    /// The store was restored from a snapshot, and all hosts were restarted. This begins another
    /// history, in which fencing tokens and values may come again.
    Restored {
        /// When the snapshot was begun, and when it was complete.
        saved: (u64, u64),
        /// When all hosts had reported that they lead nothing.
        held: u64,
        /// A moment when no host ran.
        at: u64,
    },
    /// All keys were deleted. Fencing tokens continue to rise: those of later terms are higher than
    /// `revision`.
    Emptied {
        /// The store's revision after the deletion.
        revision: u64,
        /// When the deletion was begun, and when it was complete.
        during: (u64, u64),
    },
}

impl InjectedFault {
    /// A fault that begins now.
    pub(super) fn begin(kind: Kind, target: String, view: &LeaderView) -> Self {
        let now = clock::now();
        Self {
            kind,
            target,
            fencing_token: view.fencing_token,
            at: now,
            since: now,
            healed: now,
            steady: now,
            observations: Vec::new(),
            rebased: None,
        }
    }

    /// Another host can take over from now on.
    pub(super) fn follow(&mut self, view: &LeaderView) {
        (self.fencing_token, self.since) = (view.fencing_token, clock::now());
    }

    /// The fault is healed, and the cluster has to recover from now on.
    pub(super) fn heal(&mut self) {
        self.healed = clock::now();
    }

    /// The failed checks, each as a sentence.
    pub(crate) fn failed_observations(&self) -> impl Iterator<Item = String> {
        let name = self.kind.name();
        let broken = self.observations.iter().filter(|observation| !observation.failed.is_empty());
        broken.map(move |observation| {
            let Observation { what, failed } = observation;
            format!("{name}, {}: {what}, but {}", self.target, failed.join("; "))
        })
    }

    /// The line of the fault log.
    pub(crate) fn line(&self) -> Value {
        let observed: Vec<_> = self.observations.iter().map(|it| it.what.as_str()).collect();
        json!({
            "fault": self.kind.name(),
            "target": self.target,
            "fencing_token": self.fencing_token,
            "injected_ns": self.at,
            "since_ns": self.since,
            "healed_ns": self.healed,
            "steady_ns": self.steady,
            "looks": observed,
            "failed": self.failed_observations().collect::<Vec<_>>(),
            "rebased": self.rebased.map(|rebased| format!("{rebased:?}")),
        })
    }
}

/// Faults for tests.
#[cfg(test)]
pub(crate) mod made {
    use super::*;

    /// A fault whose details do not matter.
    pub(crate) fn fault(kind: Kind) -> InjectedFault {
        InjectedFault::begin(kind, "a".to_owned(), &LeaderView::default())
    }

    /// A restore of a snapshot that was made at `saved`; all hosts had noticed at `held`, and none
    /// ran at `at`.
    pub(crate) fn restored(saved: u64, held: u64, at: u64) -> InjectedFault {
        let rebased = Rebased::Restored { saved: (saved, saved), held, at };
        InjectedFault { rebased: Some(rebased), ..fault(Kind::Restore) }
    }

    /// A deletion of all keys at `at`.
    pub(crate) fn emptied(revision: u64, at: u64) -> InjectedFault {
        let rebased = Rebased::Emptied { revision, during: (at, at) };
        InjectedFault { rebased: Some(rebased), ..fault(Kind::DeletedPrefix) }
    }
}
