//! Tasks: work that any host of the cluster does, called from any host.
//!
//! ```text
//!  client ──► POST /v1/tasks/NAME ──┐                      ┌─ this host: its workshop
//!                                   ├─► Dispatcher ─ pick ─┤
//!  guest ──► soloist:plugin/tasks ──┘                      └─ another: the same request, passed on
//! ```
//!
//! Invariants:
//! - A call never touches the store, as a cast does (`casts`): it goes from host to host, over
//!   connections that are kept open, and to one other host at most.
//! - A call that may have been begun is begun again only if its task says `idempotent`, or
//!   if its caller asked for several attempts and the task has said that this one failed.
//! - A call has one deadline, which travels with it. Its caller's end is its end.

pub mod casts;

mod client;
mod dispatcher;
mod forwarded_call;
mod load_balancer;

pub use dispatcher::Dispatcher;
pub(crate) use forwarded_call::{ATTEMPT, CALL, ForwardedCall, HOST, status};
