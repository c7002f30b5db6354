//! The control API: the status of a host, for people and programs, and commands to its cluster.
//!
//! It is served from the first moment to the last, whatever the state of the store: a host that
//! cannot lead must be able to say why.

mod access_control;
mod api_error;
mod browser_policy;
mod call_queue;
mod commands;
mod dashboard;
mod dead_letters;
mod error_sources;
mod events;
mod extract;
#[cfg(test)]
mod hostile;
mod index;
mod jobs;
mod live_streams;
mod logs;
mod misdirected;
mod openapi;
mod queued_call_view;
mod request_body;
mod request_budget;
mod required_role;
mod role_table;
mod route_doc;
mod routes;
mod server;
mod starting;
mod state;
mod status;
mod status_source;
mod task_api;
mod tasks;

pub use access_control::{AccessControl, AccessControlError};
pub use call_queue::EnqueuedCall;
pub use dead_letters::DeadLetterCount;
pub use jobs::{JobApi, JobEntry, JobFuture, JobHistory, JobList, NEXT_MAX, NextRun};
pub use logs::LogApi;
pub use server::{ApiServices, serve};
pub use starting::serve_while_starting;
pub use state::{DeletedKeys, StateKeys};
#[cfg(test)]
pub(crate) use status::tests::example;
pub use status::{
    ActionEntry, GroupEntry, GroupRole, HostEntry, KnownHostEntry, LeaderlessEntry, OrderEntry,
    PauseEntry, Status, StoreEntry, StoreState, StrangerEntry,
};
pub use status_source::StatusSource;
pub use task_api::TaskApi;
pub use tasks::TaskEntry;

pub use crate::http::ProblemDetails;
