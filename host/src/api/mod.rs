//! The control API: what a host says of itself, to people and to machines, and
//! the state of actions.
//!
//! It is there from the first moment to the last, whatever becomes of the
//! store: a host that cannot lead must be able to say why.

mod body;
mod budget;
mod casts;
mod commands;
mod dashboard;
mod entrance;
mod events;
mod extract;
#[cfg(test)]
mod hostile;
mod inert;
mod jobs;
mod live;
mod logs;
mod needs;
mod own_site;
mod refusal;
mod routes;
mod server;
mod source;
mod starting;
mod state;
mod status;
mod store_refusal;
mod table;
mod task_desk;
mod tasks;

pub use casts::Dealt;
pub use entrance::{Entrance, EntranceError};
pub use jobs::{JobEntry, JobFirings, JobFuture, JobList, JobSource, NEXT_MAX, NextFiring};
pub use logs::LogSource;
pub use refusal::Reason;
pub use server::{Desks, serve};
pub use source::StatusSource;
pub use starting::while_starting;
pub use state::StateKeys;
#[cfg(test)]
pub(crate) use status::tests::example;
pub use status::{
    ActionEntry, GroupEntry, HostEntry, LeaderlessEntry, MemberEntry, Role, Status, StoreEntry,
    StoreState, StrangerEntry,
};
pub use task_desk::TaskDesk;
pub use tasks::TaskEntry;
