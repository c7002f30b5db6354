//! Drives the heart: feeds it events, carries out its commands, and owns what
//! runs under a term.
//!
//! ```text
//!            thread "election" (runtime of its own)          the process's runtime
//!   store ◄── calls ◄── Driver ─── Heart::step ───►  TermTree ──► actions ──► guests
//!     │                   ▲  ▲                          │  │
//!     └──── answers ──────┘  └── drained, stopped, failed ┘  └─ gate ◄── Watchdog (OS thread)
//! ```
//!
//! Invariants:
//! - No guest can starve a renewal: the heart and its calls to the store have a
//!   thread and a runtime to themselves.
//! - A gate is closed before anything else of a stop is done, by the driver itself.
//! - `Stopped` is said only when every task of the term has been joined.
//! - What outlives its deadline by the stop budget takes the process with it.

mod calls;
mod driver;
mod findings;
mod gaps;
mod health;
mod performance;
mod readiness;
mod rehearsal;
mod report;
mod standby;
mod strategist;
mod terms;
mod thread;
mod tree;
mod view;
mod watchdog;
mod witness;

pub use driver::{Driver, Handle};
pub use findings::{Findings, Here};
pub use gaps::{Gap, GapWatch, Gaps, Why};
pub use health::Health;
pub use readiness::Readiness;
pub use rehearsal::{Rehearsal, Rehearsed};
pub use standby::{Sidelines, Standby};
pub use strategist::{Advised, Adviser, Places, Ranking, Strategist, odds};
pub use thread::ElectionThread;
pub use view::{GroupView, HostView, Role};
pub use watchdog::Watchdog;
pub use witness::Witness;
