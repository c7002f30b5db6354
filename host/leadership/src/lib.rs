//! Leadership: of many hosts exactly one performs the work, and it has certainly stopped before
//! another begins.
//!
//! The heart ([`soloist_heart`]) only makes the decisions. This crate feeds it from a real store,
//! carries out its commands, and owns the terms. It does not know what work is done under a term:
//! its user implements [`Performer`].
//!
//! ```text
//!            thread "election" (runtime of its own)            the process's runtime
//!   store ◄── calls ◄── Driver ─── Heart::step ───► Terms ───► Performer::perform
//!     │                   ▲  ▲                         │                │
//!     └──── answers ──────┘  └── drained, stopped ─────┘◄───────────────┘
//!                                     gate ◄── Watchdog (OS thread)
//! ```
//!
//! Invariants:
//! - A performer's work cannot starve a renewal: the heart and its calls to the store have a thread
//!   and a runtime of their own.
//! - When a term stops, the driver itself closes the gate before anything else happens.
//! - `Stopped` is reported only when the performer's future has resolved.
//! - If a term outlives its deadline by more than the stop timeout, the whole process is aborted.

mod driver_handle;
mod driver_loop;
mod election;
mod election_thread;
mod gap_reason;
mod gate;
mod host_view;
mod leadership;
mod performer;
mod readiness_check;
mod rehearsal;
mod report;
mod roster_follower;
mod roster_view;
mod running_terms;
mod session_observer;
mod store_calls;
mod strategist;
mod watchdog;

pub use driver_handle::DriverHandle;
pub use election::{Election, ElectionSpec};
pub use election_thread::ElectionThread;
pub use gap_reason::GapReason;
pub use gate::{Deadline, Gate, GateShut};
pub use host_view::{CandidacyRole, GroupView, HostView};
pub use leadership::{Candidacy, Leadership, StandError};
pub use performer::{Performer, RunningTerm, TermOrder};
pub use readiness_check::{AddressObstacle, LocalGroup, ReadinessCheck};
pub use rehearsal::{Rehearsal, RehearsalResult};
pub use roster_view::{KnownRoster, RosterView};
pub use session_observer::SessionObserver;
pub use strategist::{
    Adviser, AdviserOutcome, GroupRanks, HostRanker, Strategist, bar, spread_disagreement,
};
pub use watchdog::Watchdog;
