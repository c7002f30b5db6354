//! Tasks: plugins that every host can run, called from any host of the cluster.
//!
//! ```text
//!  client ──► POST /v1/tasks/NAME ──┐                      ┌─ this host: its TaskPools
//!                                   ├─► Dispatcher ─ pick ─┤
//!  guest ──► soloist:plugin/tasks ──┘                      └─ another host: the same request, forwarded
//! ```
//!
//! Invariants:
//! - A call never touches the store, unlike a queued call ([`call_queue`]): it goes straight to a
//!   host, over kept connections, and is forwarded once at most.
//! - A call that may have been started is repeated only if its task is set to be `idempotent`, or
//!   if its caller allows several attempts and the task itself has said that this one failed.
//! - A call has one deadline, which is forwarded with it. It ends when its caller goes away.

pub mod call_queue;

mod call_loop;
mod call_router;
mod client;
mod dispatcher;
mod forwarded_call;
mod load_balancer;

pub use dispatcher::{Dispatcher, DispatcherParts};
pub(crate) use forwarded_call::{ATTEMPT, CALL, ForwardedCall, HOST, status};
