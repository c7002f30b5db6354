//! Turns `soloist.toml`, flags and environment variables into a validated [`Config`].
//!
//! A flag overrides its environment variable, which overrides the file, which overrides the
//! default. Everything that is wrong is found before anything starts, and reported with file,
//! line and what to do about it.
//!
//! Invariant: writing a setting with its default value changes nothing. Therefore relative paths,
//! written or default, start from the settings file's folder.

mod action;
mod action_set;
mod action_source;
mod action_table;
mod api_config;
mod bounded;
mod choice;
mod config;
mod grant_settings;
mod grants;
mod group;
mod host;
mod host_pattern;
pub mod inode;
mod instance_policy;
mod ip_network;
mod job;
mod kinds;
mod lease;
mod lenient;
mod limits;
mod loopback;
mod migrate;
mod mounts;
mod outbound_grant;
mod overrides;
mod own_path;
mod plugin_check;
mod plugin_listing;
mod postgres_url;
mod problem;
mod refused_action;
mod relay_config;
mod renames;
mod reserved_mount;
mod resolve;
mod resolver;
mod restart_limit;
mod review;
mod schedule;
mod schema;
mod secrets;
mod settings_cache;
mod settings_file;
mod single_action;
pub mod small_file;
mod socket_grant;
mod source_file;
mod spelling;
mod store;
mod store_tls;
mod store_url;
mod task;
#[cfg(test)]
mod tests;
mod traces;
mod value;

pub use action::{ActionConfig, RestartPolicy, TlsFiles};
pub use action_set::ActionSet;
pub use action_source::ActionSource;
pub use api_config::{ApiConfig, ApiRole, ApiToken, read_tokens};
pub use bounded::span;
pub use bounded::{DAY, MINUTE, MS, SECOND};
pub use config::Config;
pub use grants::{FolderMount, Grants};
pub use group::GroupConfig;
pub use host::{HostConfig, HostTls};
pub use host_pattern::{IsOwnAddress, embedded_v4};
pub use instance_policy::{InstancePolicy, ReuseLimits};
pub use ip_network::IpNetwork;
pub use job::{CatchUpPolicy, JobConfig, OverlapPolicy};
pub use kinds::{Kind, Kinds};
pub use limits::{Limits, MEMORY_MAX};
pub use loopback::is_loopback_url;
pub use migrate::{Migration, migrate};
pub use mounts::{Mount, MountError, MountPoint, check_mounts, clashes, mounts};
pub use outbound_grant::{OutboundGrant, default_port};
pub use overrides::Overrides;
pub use plugin_check::{PluginCheck, PluginMismatch};
pub use plugin_listing::components;
pub use postgres_url::{PostgresHost, PostgresTls, PostgresUrl, SslMode};
pub use problem::{ConfigError, TOKEN_PREFIX};
pub use refused_action::RefusedAction;
pub use relay_config::{RelayConfig, StandbyMode};
pub use reserved_mount::ReservedMount;
pub use restart_limit::RestartLimit;
pub use schedule::{CronPattern, Schedule, ZonedMoment, moment, time_zone};
pub use schema::{action_schema, settings_schema};
pub use secrets::Secret;
pub use single_action::{read_action, read_action_settings, resolve_paths};
pub use socket_grant::{SocketGrant, Transport};
pub use store_tls::StoreTls;
pub use store_url::StoreUrl;
pub use task::TaskConfig;
pub use traces::TracesConfig;
pub use value::check_name;
