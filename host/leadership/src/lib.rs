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

mod calls;
mod driver;
mod follower;
mod gate;
mod leadership;
mod performer;
mod rehearsal;
mod report;
mod sight;
mod strategist;
mod terms;
mod thread;
mod view;
mod watchdog;
mod witness;

pub use driver::{Driver, Handle};
pub use follower::Follower;
pub use gate::{Deadline, Gate, Shut};
pub use leadership::{Candidacy, Leadership, StandError};
pub use performer::{Order, Performer, RunningTerm};
pub use rehearsal::{Rehearsal, Rehearsed};
pub use sight::{Freshness, Known, Sight};
pub use strategist::{Advised, Adviser, Places, Ranks, Strategist, bar, odds};
pub use thread::ElectionThread;
pub use view::{GroupView, HostView, Role};
pub use watchdog::Watchdog;
pub use witness::Witness;
