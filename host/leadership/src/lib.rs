//! Leadership: one host of many performs, and has surely ended before another begins.
//!
//! The heart ([`soloist_heart`]) decides and does nothing; this crate feeds it from a real store,
//! carries out what it says, and owns the terms. What is performed under a term is not known
//! here: whoever leads something implements [`Performer`].
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
//! - What is performed cannot starve a renewal: the heart and its calls to the store have a
//!   thread and a runtime to themselves.
//! - A gate is closed before anything else of a stop is done, by the driver itself.
//! - `Stopped` is said only when what was performed has resolved.
//! - What outlives its deadline by the stop budget takes the process with it.

mod driver;
mod election_thread;
mod gate;
mod host_view;
mod leadership;
mod performer;
mod rehearsal;
mod report;
mod roster_follower;
mod roster_view;
mod running_terms;
mod session_observer;
mod store_calls;
mod strategist;
mod watchdog;

pub use driver::{Driver, DriverHandle};
pub use election_thread::ElectionThread;
pub use gate::{Deadline, Gate, GateShut};
pub use host_view::{GroupRole, GroupView, HostView};
pub use leadership::{Candidacy, Leadership, StandError};
pub use performer::{Performer, RunningTerm, TermOrder};
pub use rehearsal::{Rehearsal, RehearsalResult};
pub use roster_follower::RosterFollower;
pub use roster_view::{KnownRoster, RosterFreshness, RosterView};
pub use session_observer::SessionObserver;
pub use strategist::{
    Adviser, AdviserOutcome, GroupRanks, HostRanker, Strategist, bar, spread_disagreement,
};
pub use watchdog::Watchdog;
