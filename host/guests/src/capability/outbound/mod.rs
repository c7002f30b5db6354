//! The HTTP client of an action in one term: it connects only to granted targets, and every
//! connection passes the gate.
//!
//! It knows nothing of WASI's resources and of instances; `http/` offers it to guests.

mod client;
mod connector;
mod gated_connection;
mod request_target;

pub(crate) use self::{
    client::{CLIENT_BUFFER, HttpClient},
    connector::{CONNECT_MAX, ConnectError, GatedConnector},
    request_target::RequestTarget,
};
