//! HTTP on the server side: how requests come in and responses go out, whatever answers them.
//!
//! An `AddressListener` holds an address. Each connection is served from its first byte to its
//! end, requests are checked and brought into a normal form, and a `RequestHandler` answers them:
//! an action's routes, the relay, or the control API. This module knows none of these.
//!
//! Guarantees:
//! - All tasks of an address belong to a [`TaskScope`](crate::task_scope::TaskScope): when the
//!   listener is joined, no connection is left.
//! - Everything that a client can make the host hold or wait for is limited; see `limits.rs`.
//! - A request is valid or not by the same rules on every address.

mod accept;
mod address_listener;
mod bind;
mod client_stream;
mod connection;
mod connection_context;
mod connection_info;
mod connection_slots;
mod deferred_error;
mod early_response;
mod headers;
mod http_version;
mod limits;
mod path_map;
mod problem;
mod refusal_texts;
mod request_body;
mod request_handler;
mod request_service;
mod stream_executor;
mod tracked_body;
mod validation;

pub(crate) use accept::accept_all;
pub(crate) use address_listener::{
    AddressListener, BindRetry, ListenerOptions, ListenerState, ListenerWatch,
};
pub use bind::PreflightError;
pub(crate) use bind::check_address;
pub(crate) use connection_context::ConnectionContext;
pub(crate) use connection_info::{ConnectionInfo, OverTls, is_over_tls};
pub(crate) use connection_slots::ConnectionSlots;
pub(crate) use deferred_error::DeferredError;
pub(crate) use early_response::EarlyResponse;
pub(crate) use headers::{
    accepts_trailers, add_forwarded, sanitize_trailers, set_forwarded, strip_hop_by_hop,
};
pub(crate) use path_map::{MatchedRoute, PathMap, strip_prefix};
pub(crate) use problem::PROBLEM_JSON;
pub use problem::ProblemDetails;
pub(crate) use refusal_texts::{
    BAD_BODY, BAD_BODY_HELP, CLOSED_HELP, TOO_LARGE_HELP, UNKNOWN_PATH_HELP, too_large,
    unknown_path,
};
pub(crate) use request_body::{ReplayableBody, RequestBody};
pub(crate) use request_handler::RequestHandler;
pub(crate) use request_service::has_no_body;
pub(crate) use validation::is_host;
