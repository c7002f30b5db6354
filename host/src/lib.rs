//! soloist: many hosts stand by, exactly one performs.
//!
//! The rooms of the host, from the top down (arrows run downwards only; the layers below them are
//! crates of their own, see ARCHITECTURE.md):
//!
//! - [`cli`]: arguments in, exit code out; [`supervisor`]: a small parent that outlives its host;
//!   [`host`]: all rooms put together
//! - [`api`]: control API; [`term`]: what is performed under a term
//! - [`tasks`]: what every host can do; [`relay`]: the leader's actions, from any host
//! - [`action`]: one runner a kind; [`cluster`]: other hosts, and what people tell all of them
//! - [`scaffold`]: new plugins; [`wall_clock`]: the time that schedules go by

pub mod action;
pub mod api;
pub mod cli;
pub mod cluster;
pub mod host;
pub mod relay;
#[cfg(feature = "scaffold")]
pub mod scaffold;
pub mod supervisor;
pub mod tasks;
pub mod term;
pub mod wall_clock;
