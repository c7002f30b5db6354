//! The client for the control API of hosts.

mod client;
mod errors;
mod failed_hosts;
mod host_args;
mod host_list;
mod request;
mod response;

pub(super) use client::{ApiClient, STORE_PATIENCE};
pub(super) use errors::parse;
pub(super) use host_args::HostArgs;
pub(super) use request::ApiRequest;
pub(super) use response::ApiResponse;
