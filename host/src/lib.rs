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
//! - [`http`]: how requests come in and responses go out, whatever answers them
//! - [`scaffold`]: new plugins; [`wall_clock`]: the time that schedules go by; [`task_scope`]:
//!   tasks that end together

pub mod action;
pub mod api;
pub mod cli;
pub mod cluster;
pub mod host;
pub mod http;
pub mod relay;
pub mod scaffold;
pub mod supervisor;
pub mod task_scope;
pub mod tasks;
pub mod term;
pub mod wall_clock;
