//! The structure of `soloist.toml`, before any value is checked.
//!
//! The doc comments of the keys are the reference of the settings: they become the JSON Schema of
//! `soloist config schema`, which editors show, and `docs/reference/settings.md`
//! (`cargo xtask reference`). Each says what the setting is, then its bounds, then
//! `Default: VALUE.`, each as a sentence of its own. Problems that only the whole file can show,
//! such as a missing plugin or timings that do not fit together, are found elsewhere.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::bounded::{BoundedNumber, BoundedRatio, BoundedSpan, DAY, HOUR, MINUTE, MS, SECOND};
pub(super) use super::{
    action_table::{ActionTable, MEMORY_MAX, MountTable},
    source_file::{Located, LocatedText, SourceFile},
};

/// The shortest `stop_timeout`, in milliseconds: the scheduler of a busy machine keeps no shorter
/// one.
pub(super) const STOP_MIN: u64 = 100 * MS;

/// The settings of a soloist host (soloist.toml). Every setting has a default. A flag of
/// `soloist run` overrides its `SOLOIST_*` variable, which overrides this file. Relative paths
/// start from the folder of this file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "soloist.toml")]
pub(super) struct SettingsFile {
    /// The name of the cluster, in lower case. Hosts with the same cluster and the same store
    /// compete for the same leaderships. Default: "soloist".
    pub(super) cluster: Option<LocatedText>,
    /// The store that keeps leases, elections and the list of hosts: "sqlite:FILE" for hosts on
    /// one machine, "postgres://USER:PASSWORD@HOST:PORT/DATABASE" with libpq's words behind a
    /// question mark, or "etcd://HOST:PORT,HOST:PORT,…" with every member of etcd. "etcds://…" is
    /// the same by TLS, "etcd://USER:PASSWORD@HOST:PORT,…" logs in. Default: "sqlite:soloist.db".
    pub(super) store: Option<LocatedText>,
    /// TLS to etcd, for a store at "etcds://…".
    pub(super) store_tls: StoreTlsTable,
    /// The folder of the plugins. Every *.wasm file in it is an action. Default: "plugins".
    pub(super) plugins: Option<LocatedText>,
    /// What concerns this host alone.
    pub(super) host: HostTable,
    /// Access to the control API.
    pub(super) api: ApiTable,
    /// The collector that gets traces of requests, jobs and calls (OpenTelemetry).
    pub(super) traces: Option<TracesTable>,
    /// The durations of leadership, the same on all hosts.
    pub(super) lease: LeaseTable,
    /// The choice of the leader of each group, by the group's name.
    pub(super) group: BTreeMap<LocatedText, GroupTable>,
    /// The settings of actions, by the action's name. NAME.toml in the plugins folder may hold
    /// them instead.
    pub(super) action: BTreeMap<LocatedText, ActionTable>,
}

/// TLS to etcd, for a store at "etcds://…". All files are PEM.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StoreTlsTable {
    /// The file of the authority that signed the certificates of etcd's members. Default: the
    /// authorities that browsers trust.
    pub(super) ca: Option<LocatedText>,
    /// The file of the certificate that this host shows to etcd, followed by its intermediate
    /// certificates. It needs `key` as well. Default: none.
    pub(super) cert: Option<LocatedText>,
    /// The file of the private key of `cert`. Default: none.
    pub(super) key: Option<LocatedText>,
}

/// What concerns this host alone.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HostTable {
    /// The name of this host, unique in the cluster. Default: the machine's name.
    pub(super) name: Option<LocatedText>,
    /// The address of the control API and the metrics, as IP:PORT. An address that other machines
    /// reach needs `tls` and access control, or `insecure`. Default: "127.0.0.1:4000".
    pub(super) listen: Option<LocatedText>,
    /// The URL at which other hosts reach the control API: http://HOST:PORT, with `tls`
    /// https://HOST:PORT. Default: the address of `listen`, with the machine's name where that is
    /// 0.0.0.0.
    pub(super) advertise: Option<LocatedText>,
    /// More names by which clients may call the control API. Addresses, `localhost` and the name
    /// in `advertise` are allowed without it. Default: none.
    pub(super) names: Vec<LocatedText>,
    /// TLS of the control API, and certificates as a means of access. Default: none.
    pub(super) tls: Option<HostTlsTable>,
    /// Lets the control API listen on any address without TLS and access control. It is for
    /// networks that admit trusted clients only. Default: false.
    pub(super) insecure: bool,
    /// Labels of this host, as in { size = "big" }. Strategies and tasks select hosts by them.
    /// Default: none.
    pub(super) labels: BTreeMap<String, String>,
    /// How much groups with the strategy "priority" prefer this host; the greatest number leads.
    /// -1000000 to 1000000. Default: 0.
    pub(super) priority: Option<BoundedNumber<1_000_000>>,
    /// How long this host does not campaign for a group after an action of the group has failed on
    /// it, as long as there is a candidate on which the action has not failed. 1s to 1h.
    /// Default: "30s".
    pub(super) cooldown: Option<BoundedSpan<SECOND, HOUR>>,
}

/// TLS of the control API. All files are PEM, and are read again when they change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HostTlsTable {
    /// The file of this host's certificate, followed by its intermediate certificates.
    pub(super) cert: LocatedText,
    /// The file of the private key of `cert`.
    pub(super) key: LocatedText,
    /// The file of the authority that signed the certificates of other hosts. Default: the
    /// authorities that browsers trust.
    pub(super) ca: Option<LocatedText>,
    /// The file of the authority that signs the certificates of clients. A client with such a
    /// certificate has access, and hosts show theirs to each other. Default: none.
    pub(super) client_ca: Option<LocatedText>,
    /// What a client with such a certificate may do: "read" allows looking, "operate" allows
    /// everything. Hosts need "operate". Default: "operate".
    #[schemars(extend("enum" = ["read", "operate"]))]
    pub(super) client_role: Option<LocatedText>,
}

/// Access to the control API. Without any token and without `host.tls.client_ca`, everybody who
/// reaches it may do everything.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ApiTable {
    /// The tokens that give access, by name. `soloist token new NAME --role ROLE` prints a line
    /// for this table. Default: none.
    pub(super) tokens: BTreeMap<LocatedText, TokenTable>,
    /// A file with more such lines, which is read again when it changes. Default: none.
    pub(super) tokens_file: Option<LocatedText>,
    /// The token that hosts show to each other: "file:PATH" or "env:NAME" says where it is kept.
    /// It is the same on all hosts. Default: none.
    pub(super) peer_token: Option<LocatedText>,
}

/// A collector that takes traces by OTLP over HTTP.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TracesTable {
    /// The URL of the collector, as in "http://127.0.0.1:4318". Spans are posted to /v1/traces
    /// there.
    pub(super) endpoint: LocatedText,
    /// The share of the traces that is recorded, of those that begin here: 0.1 records every tenth.
    /// A trace that came with a request is recorded if its sender says so. 0.0 to 1.0.
    /// Default: 1.0.
    #[serde(default)]
    pub(super) ratio: Option<BoundedRatio>,
    /// Headers that the collector asks for, by name. "file:PATH" or "env:NAME" says where the
    /// value is kept. Default: none.
    #[serde(default)]
    pub(super) headers: BTreeMap<LocatedText, LocatedText>,
    /// The file of the authority that signed the collector's certificate, in PEM. Default: the
    /// authorities that browsers trust.
    #[serde(default)]
    pub(super) ca: Option<LocatedText>,
}

/// A token that gives access to the control API.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenTable {
    /// What the token allows: "read" allows looking, "operate" allows everything.
    #[schemars(extend("enum" = ["read", "operate"]))]
    pub(super) role: LocatedText,
    /// The SHA-256 of the token, in 64 hexadecimal digits.
    pub(super) sha256: LocatedText,
}

/// The choice of a group's leader, the same on all hosts.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct GroupTable {
    /// The rule that compares hosts: "longest-running" (the candidate that has waited longest),
    /// "priority", "avoid", or the file of a plugin (*.wasm). Default: "longest-running".
    #[schemars(example = &"longest-running", example = &"priority", example = &"avoid")]
    pub(super) strategy: Option<LocatedText>,
    /// Labels of preferred hosts, as "LABEL=VALUE", for the strategy "priority": hosts with the
    /// first label come first, then those with the second. Without it `host.priority` decides.
    /// Default: none.
    pub(super) prefer: Vec<LocatedText>,
    /// What speaks against a host, for the strategy "avoid": "group:NAME" is the host that leads
    /// that group, "label:LABEL=VALUE" is every host with that label. Default: none.
    pub(super) avoid: Vec<LocatedText>,
    /// Whether the leader hands over when another host is preferred. Otherwise it leads until its
    /// term ends for another reason. Default: false.
    pub(super) preempt: bool,
    /// How long the other host must have been preferred before the leader hands over, by `preempt`
    /// or by `spread`. 100ms to 24h. Default: "10s".
    pub(super) preempt_delay: Option<BoundedSpan<{ 100 * MS }, DAY>>,
    /// Whether this group and all others with `spread` are spread evenly over equally preferred
    /// hosts. Default: false.
    pub(super) spread: bool,
}

/// The durations of leadership, the same on all hosts.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LeaseTable {
    /// The time after which a host that is cut off or frozen is replaced. etcd takes whole seconds
    /// from 2s on. 1s to 1h. Default: "5s".
    pub(super) ttl: Option<BoundedSpan<SECOND, HOUR>>,
    /// How long actions may take to stop when the lease runs out. It is a part of `ttl`, and must
    /// leave time for a second renewal. 100ms to 10m. Default: "500ms".
    pub(super) stop_timeout: Option<BoundedSpan<STOP_MIN, { 10 * MINUTE }>>,
    /// How long requests, runs and calls in flight may take to finish when a host hands over or
    /// stops. 0s to 24h. Default: "10s".
    pub(super) drain_timeout: Option<BoundedSpan<0, DAY>>,
}
