//! `soloist.toml`, flags and environment → a validated [`Config`].
//!
//! A flag beats its environment variable, which beats the file, which beats
//! the default. Everything that is wrong is found before anything starts, and
//! told with file, line and the mend.
//!
//! Invariant: whatever stands in the file with its default value could as well
//! be left out; so relative paths, written or not, start from the file's folder.

mod action;
mod actions;
mod alone;
mod api;
mod bounded;
mod file;
mod granted;
mod grants;
mod group;
mod host;
mod hosts;
pub mod inode;
mod instances;
mod job;
mod kept;
mod kinds;
mod lease;
mod lenient;
mod limits;
mod listing;
mod look;
mod mounts;
mod network;
mod outbound;
mod overrides;
mod own_path;
mod patience;
mod problem;
mod reserved;
mod resolve;
mod resolver;
mod review;
mod schedule;
mod schema;
mod secrets;
mod settings;
pub mod small_file;
mod sockets;
mod source;
mod standby;
mod store;
mod store_tls;
mod store_url;
mod task;
#[cfg(test)]
mod tests;
mod traces;
mod value;

pub use action::{ActionConfig, Restart, TlsFiles};
pub use actions::{ActionSource, Reading, RefusedAction};
pub use alone::{action_of, settings_of, start_from};
pub use api::{ApiConfig, ApiRole, ApiToken, read_tokens};
pub use bounded::span;
pub use bounded::{DAY, MINUTE, MS, SECOND};
pub use grants::{Folder, Grants};
pub use group::GroupConfig;
pub use host::{HostConfig, HostTls};
pub use hosts::{IsOwn, embedded_v4};
pub use instances::{Instances, Reuse};
pub use job::{Concurrency, JobConfig, Missed};
pub use kinds::{Kind, Kinds};
pub use limits::{Limits, MEMORY_MAX};
pub use listing::components;
pub use look::{Look, Misfit};
pub use mounts::{Mount, MountError, Place, check_mounts, clashes, mounts};
pub use network::Network;
pub use outbound::{Outbound, default_port};
pub use overrides::Overrides;
pub use patience::Patience;
pub use problem::ConfigError;
pub use reserved::Reserved;
pub use schedule::{Pattern, Schedule, Shown, moment, time_zone};
pub use schema::{action_schema, settings_schema};
pub use secrets::Secret;
pub use settings::Config;
pub use sockets::{SocketGrant, Transport};
pub use standby::{Relayed, Standby};
pub use store_tls::StoreTls;
pub use store_url::StoreUrl;
pub use task::TaskConfig;
pub use traces::TracesConfig;
pub use value::check_name;
