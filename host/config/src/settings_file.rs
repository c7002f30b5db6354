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

use super::bounded::{
    BoundedCount, BoundedNumber, BoundedRate, BoundedRatio, BoundedSize, BoundedSpan, DAY, GIB,
    HOUR, KIB, MIB, MINUTE, MS, SECOND, TIB,
};
pub(super) use super::source_file::{Located, SourceFile};

/// A text of the file, with its location.
pub(super) type LocatedText = Located<String>;
/// The shortest `stop_timeout`, in milliseconds: the scheduler of a busy machine keeps no shorter
/// one.
pub(super) const STOP_MIN: u64 = 100 * MS;
/// The greatest `max_memory`, in bytes.
pub(super) const MEMORY_MAX: u64 = GIB;
/// The time limit of something that people or machines wait for.
pub(super) type TimeoutSetting = BoundedSpan<MS, DAY>;

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
    /// one machine, or "etcd://HOST:PORT,HOST:PORT,…" with every member of etcd. "etcds://…" is
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
    /// networks that keep strangers out themselves. Default: false.
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

/// The settings of an action: `[action.NAME]` of soloist.toml, or the whole of NAME.toml in the
/// plugins folder.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "The settings of a soloist action")]
pub(super) struct ActionTable {
    /// The plugin, a file of the plugins folder. Default: "NAME.wasm".
    pub(super) plugin: Option<LocatedText>,
    /// The SHA-256 of the plugin, as `soloist plugin inspect FILE` prints it. No other file is
    /// run: if another one replaces the plugin, it is refused and the running one continues.
    /// Default: none.
    pub(super) sha256: Option<LocatedText>,
    /// What the plugin is run as: "http", "service", "job" (with a `schedule`), "hooks", "task".
    /// A kind that the plugin cannot be is refused. Default: everything that the plugin can be,
    /// except that the program of a plugin with an HTTP handler is not run.
    pub(super) kinds: Option<Located<Vec<LocatedText>>>,
    /// The group, an election of its own, whose leader runs the action. Default: "main".
    pub(super) group: Option<LocatedText>,
    /// The address at which an `http` action answers, as IP:PORT. Default: "127.0.0.1:3000".
    pub(super) listen: Option<LocatedText>,
    /// The path of that address at which the action answers. Default: "/NAME", and "/" as well
    /// while no other action at the address lacks a path.
    pub(super) path: Option<LocatedText>,
    /// The certificate with which the action answers by TLS. Default: none.
    pub(super) tls: Option<TlsTable>,
    /// What hosts that do not lead do with requests to `listen`: with "refuse" they do not listen,
    /// with "forward" they pass requests on to the leader, with "redirect" they answer 307 with
    /// the leader's address. Default: "refuse".
    #[schemars(extend("enum" = ["refuse", "forward", "redirect"]))]
    pub(super) standby: Option<LocatedText>,
    /// How long a request is held while nobody leads, before it is refused with 503. 0s to 10m.
    /// Default: "10s".
    pub(super) max_hold: Option<BoundedSpan<0, { 10 * MINUTE }>>,
    /// The proxies in front of the action, as addresses or networks. Only their headers about the
    /// origin of a request, such as `x-forwarded-for`, are kept. Default: none.
    pub(super) trusted_proxies: Vec<LocatedText>,
    /// Whether each request is logged with its answer. Default: false.
    pub(super) access_log: bool,
    /// When a service that has ended is started again: "always", "on-failure" (not after it
    /// returned or exited with code 0) or "never". Default: "on-failure".
    #[schemars(extend("enum" = ["always", "on-failure", "never"]))]
    pub(super) restart: Option<LocatedText>,
    /// How many times a service is started again within `restart_window`. When it ends once more,
    /// the action has failed. 0 to 1000. Default: 4.
    pub(super) max_restarts: Option<BoundedCount<0, 1000>>,
    /// The time in which restarts count. An action that has run for this long has run well. 1s to
    /// 24h. Default: "1m".
    pub(super) restart_window: Option<BoundedSpan<SECOND, DAY>>,
    /// The schedule that makes a program a job: a cron pattern, "every 30s", "@daily", or "none"
    /// for a job that runs on request only. Default: none.
    #[schemars(example = &"0 3 * * *", example = &"every 30s", example = &"none")]
    pub(super) schedule: Option<LocatedText>,
    /// The time zone of the schedule, a name of the IANA database such as "Europe/Berlin".
    /// Default: "UTC".
    pub(super) time_zone: Option<LocatedText>,
    /// The longest random delay that is added to each run of a job. 0s to 24h. Default: "0s".
    pub(super) jitter: Option<BoundedSpan<0, DAY>>,
    /// What happens to runs of a job that could not begin in time: "skip" drops them, "latest"
    /// runs the latest of them, "all" runs each in order. Default: "skip".
    #[schemars(extend("enum" = ["skip", "latest", "all"]))]
    pub(super) catch_up: Option<LocatedText>,
    /// What happens to a run of a job while the previous run is still running: with "forbid" it
    /// waits, with "allow" it runs in parallel, with "replace" it ends the previous run.
    /// Default: "forbid".
    #[schemars(extend("enum" = ["forbid", "allow", "replace"]))]
    pub(super) overlap: Option<LocatedText>,
    /// How many requests or calls the action answers at a time. Further ones wait. 1 to 1000.
    /// Default: 256.
    pub(super) max_concurrent_requests: Option<BoundedCount<1, 1000>>,
    /// Which instance answers a request: with "fresh" each request has a new one, with "reuse"
    /// instances stay, with the content of their memory, and answer one after the other.
    /// Default: "fresh".
    #[schemars(extend("enum" = ["fresh", "reuse"]))]
    pub(super) instances: Option<LocatedText>,
    /// How many requests an instance answers before it is replaced, with instances = "reuse".
    /// 1 to 1000000000. Default: 1000.
    pub(super) max_reuse: Option<BoundedCount<1, 1_000_000_000>>,
    /// How long an instance is kept without a request, with instances = "reuse". 0s to 24h.
    /// Default: "10s".
    pub(super) max_idle: Option<BoundedSpan<0, DAY>>,
    /// How many requests or calls wait for their turn. Further ones get 503, calls 429, at once.
    /// 0 to 100000. Default: 1024.
    pub(super) max_queued_requests: Option<BoundedCount<0, 100_000>>,
    /// How long the plugin may take to begin its answer. After that the client gets 504. It is not
    /// above `request_timeout`. 1ms to 24h. Default: "30s".
    pub(super) response_timeout: Option<TimeoutSetting>,
    /// How long the plugin may be busy with one request. After that the response is cut off. 1ms
    /// to 24h. Default: "10m".
    pub(super) request_timeout: Option<TimeoutSetting>,
    /// How long a hook may take. If `on-leader` takes longer, the host hands over. 1ms to 24h.
    /// Default: "10s".
    pub(super) hook_timeout: Option<TimeoutSetting>,
    /// The largest body of a request, and of a call and its answer. A larger one gets 413. 0B to
    /// 1TiB. Default: "16MiB".
    pub(super) max_body_size: Option<BoundedSize<0, TIB>>,
    /// The largest memory of each instance. Beyond it the plugin gets no more. 1MiB to 1GiB.
    /// Default: "256MiB".
    pub(super) max_memory: Option<BoundedSize<MIB, MEMORY_MAX>>,
    /// How many instances compute at the same time, of those that compute for a millisecond or
    /// longer without a pause. The others take turns. 1 to 1024. Default: all processors but one,
    /// at least one.
    pub(super) max_busy_instances: Option<BoundedCount<1, 1024>>,
    /// How much of the plugin's output is logged, as a size per second over all instances. Further
    /// lines are dropped and counted. 16KiB/s to 1GiB/s. Default: "64KiB/s".
    pub(super) max_log_rate: Option<BoundedRate<{ 16 * KIB }, GIB>>,
    /// The label that a host must have to run the task, as "LABEL=VALUE". Default: none, so every
    /// host runs it.
    pub(super) require_label: Option<LocatedText>,
    /// Whether a call of the task may run twice. A call whose host was lost is then tried on
    /// another host. Default: false.
    pub(super) idempotent: bool,
    /// How long an attempt at a run of a job may take. 1ms to 30days. Default: "1h".
    pub(super) run_timeout: Option<BoundedSpan<MS, { 30 * DAY }>>,
    /// How long a call of a task, or an attempt at a queued call, may take. 1ms to 24h.
    /// Default: "30s".
    pub(super) call_timeout: Option<TimeoutSetting>,
    /// How many attempts there are in all, the first one included. A run of a job has failed after
    /// them, a queued call of a task is a dead letter. 1 to 1000. Default: 1 for a job, 5 for a
    /// task.
    pub(super) max_attempts: Option<BoundedCount<1, 1000>>,
    /// How long the result of a queued call is kept. 1s to 30days. Default: "1h".
    pub(super) result_retention: Option<BoundedSpan<SECOND, { 30 * DAY }>>,
    /// How many queued calls of the task there may be that are not done, dead letters included.
    /// Further ones get 429. 0 to 1000000. Default: 10000.
    pub(super) max_queued_calls: Option<BoundedCount<0, 1_000_000>>,
    // etcd takes requests of 1.5 MiB (`--max-request-bytes`).
    /// The largest payload of a queued call. A larger one gets 413. 0B to 1MiB.
    /// Default: "64KiB".
    pub(super) max_payload_size: Option<BoundedSize<0, MIB>>,
    /// The names of the tasks that the plugin may call by `soloist:plugin/tasks`; "*" is all of
    /// them. Default: none.
    pub(super) tasks: Vec<LocatedText>,
    /// Whether the plugin may keep state in the store, by `wasi:keyvalue`. Default: false.
    pub(super) state: bool,
    /// Where the plugin may send HTTP requests to: "https://HOST", "http://HOST:PORT" or
    /// `"https://*.DOMAIN"`. Default: none.
    pub(super) outbound: Vec<LocatedText>,
    /// Where the plugin may connect or send datagrams to, by `wasi:sockets`: "tcp://HOST:PORT",
    /// "udp://HOST:PORT". Listening is never granted. Default: none.
    pub(super) sockets: Vec<LocatedText>,
    /// Whether names in `outbound` and `sockets` may resolve to addresses of private networks.
    /// Default: false.
    pub(super) outbound_private: bool,
    /// Whether the plugin's HTTP requests carry the headers soloist-host and
    /// soloist-fencing-token. Default: true.
    pub(super) outbound_fencing_token: Option<bool>,
    /// The folders of this machine that the plugin sees, as in
    /// [{ source = "data", target = "/data" }]. They are read-only unless they say otherwise.
    /// Default: none.
    pub(super) mounts: Vec<MountTable>,
    /// The arguments of the plugin, after the action's name. Default: none.
    pub(super) args: Vec<LocatedText>,
    /// The environment variables of the plugin. Default: none.
    pub(super) env: BTreeMap<LocatedText, LocatedText>,
    /// More environment variables, whose values are shown nowhere: "env:NAME" is a variable of the
    /// host's own environment, "file:PATH" a file of 64 KiB at most, without its final line break.
    /// Default: none.
    pub(super) secrets: BTreeMap<LocatedText, LocatedText>,
    /// The texts that the plugin reads by `wasi:config`. Default: none.
    pub(super) config: BTreeMap<LocatedText, LocatedText>,
}

/// A certificate and its private key. Both files are PEM, and are read again when they change.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsTable {
    /// The file of the certificate, followed by its intermediate certificates.
    pub(super) cert: LocatedText,
    /// The file of the private key of `cert`.
    pub(super) key: LocatedText,
}

/// A folder of this machine that a plugin sees.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MountTable {
    /// The folder on this machine.
    pub(super) source: LocatedText,
    /// The absolute path at which the plugin sees it, as in "/data".
    pub(super) target: LocatedText,
    /// Whether the plugin may only read there. Default: true.
    #[serde(default = "yes")]
    pub(super) read_only: bool,
}

fn yes() -> bool {
    true
}
