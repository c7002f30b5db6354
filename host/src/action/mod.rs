//! Actions: how the plugins of a group run under a term.
//!
//! A [`GroupTerm`] runs the actions of one group for as long as this host leads it; the [`Catalog`]
//! says which actions there are, and in which version. There is one runner for each kind of plugin
//! (http, service, job, task, hooks).
//!
//! Guarantees:
//! - Whatever runs under a term is a task of its [`TaskScope`](crate::task_scope::TaskScope);
//!   nothing is detached. When [`GroupTerm::stop`] resolves, no task, store or connection is left
//!   and the addresses are free.
//! - A drain closes the listening sockets first, so that clients reach the next leader; a stop
//!   closes them together with everything else.
//! - The gate is checked before a request starts and before each piece of its response is sent.
//!   Every response names the host and the fencing token.
//! - A version that is replaced answers every request that it has accepted, and a service ends
//!   before another version of it starts.
//! - A runner decides nothing about the term: it reports an [`ActionFailure`].

mod access_log;
mod action_directory;
mod action_failure;
mod action_refusal;
mod action_server;
mod action_status;
mod action_term;
mod action_version;
mod broken_flag;
mod catalog;
mod effective_kinds;
mod group_term;
mod guest_body;
mod guest_errors;
mod guest_handle;
mod guest_request;
mod http_instances;
mod inactive_actions;
mod instance_state;
mod job;
mod leader_hooks;
mod limited_body;
mod limits;
mod listener_key;
mod mounts;
mod pending_responses;
mod prepare_error;
mod prepared_action;
mod programme;
mod queued_request;
mod response_abort;
mod response_body;
mod response_monitor;
mod service;
mod shared_instances;
mod single_instances;
mod task;
mod term_routes;
mod term_services;
mod trial;
mod version_context;
mod warm_pool;

pub use action_directory::ActionDirectory;
pub(crate) use action_directory::{ActiveAction, ActiveActions, LocalOutcome};
pub use action_failure::ActionFailure;
pub(crate) use action_refusal::Unserved;
pub use action_status::{ActionState, ActionStatus};
pub use catalog::{Catalog, StartupProgress};
pub use group_term::GroupTerm;
pub use inactive_actions::InactiveActions;
pub(crate) use inactive_actions::keep_reserved_paths;
pub use job::{
    JobServices, JobTriggers, Ledger, LedgerOpening, NumberedRecord, RECORDS_MAX, TermOver,
    TriggerRefusal, TriggeredRun, history,
};
pub use leader_hooks::LeaderHooks;
pub(crate) use limits::FAILED_AGAIN;
pub(crate) use listener_key::{ListenerKey, listener_key};
pub use mounts::mounts;
pub use prepare_error::PrepareError;
pub use prepared_action::Action;
pub use programme::{Programme, RefusedPlugin};
pub(crate) use response_body::ResponseBody;
pub use task::{TaskError, TaskOffers, TaskPools};
pub use term_services::TermServices;
