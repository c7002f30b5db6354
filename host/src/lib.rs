//! soloist: many hosts stand by, exactly one performs.
//!
//! The modules of the host, from the top down. Each uses those below it only; the layers further
//! down are crates of their own (see ARCHITECTURE.md):
//!
//! - [`cli`]: the command line; [`supervisor`]: the small parent process that outlives a crash of
//!   its host; [`host`]: puts everything together
//! - [`api`]: the control API; [`term`]: what runs under a term
//! - [`tasks`]: calls of plugins that every host can run; [`relay`]: makes the leader's actions
//!   reachable through every host
//! - [`action`]: runs plugins, with one runner for each kind; [`cluster`]: requests to other hosts,
//!   and commands to the whole cluster
//! - [`http`]: how requests come in and responses go out, whatever answers them
//! - [`scaffold`]: projects for new plugins; [`wall_clock`]: the time that schedules go by;
//!   [`task_scope`]: tasks that end together

pub mod action;
pub mod api;
pub mod cli;
pub mod cluster;
pub mod host;
pub mod http;
pub mod relay;
#[cfg(feature = "scaffold")]
pub mod scaffold;
pub mod supervisor;
pub mod task_scope;
pub mod tasks;
pub mod term;
pub mod wall_clock;
