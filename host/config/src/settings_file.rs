//! The structure of `soloist.toml`, before any value is checked.
//!
//! The doc comments of the keys become the JSON Schema of `soloist config schema`, which editors
//! show. Problems that only the whole file can show, such as a missing plugin or timings that do
//! not fit together, are found elsewhere.

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
/// The shortest `stop_timeout`, in milliseconds: the scheduler of a busy machine keeps no shorter one.
pub(super) const STOP_MIN: u64 = 100 * MS;
/// The greatest `max_memory`, in bytes.
pub(super) const MEMORY_MAX: u64 = GIB;
/// The time limit of something that people or machines wait for.
pub(super) type TimeoutSetting = BoundedSpan<MS, DAY>;

/// The settings of a soloist host (soloist.toml). Everything has a default; a flag
/// of `soloist run` beats its `SOLOIST_*` variable, which beats this file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "soloist.toml")]
pub(super) struct SettingsFile {
    /// Hosts with the same cluster and the same store campaign against each other.
    /// Default: "soloist"
    pub(super) cluster: Option<LocatedText>,
    /// Where leases, elections and members live: "sqlite:FILE", for hosts on one
    /// machine, or "etcd://HOST:PORT,HOST:PORT,…", with TLS "etcds://…". Default:
    /// "sqlite:soloist.db"
    pub(super) store: Option<LocatedText>,
    /// How "etcds://…" is spoken to
    pub(super) store_tls: StoreTlsTable,
    /// The folder of the plugins: every *.wasm in it is an action. Default: "plugins"
    pub(super) plugins: Option<LocatedText>,
    /// This host
    pub(super) host: HostTable,
    /// Who may ask the control API
    pub(super) api: ApiTable,
    /// Where traces of requests, jobs and calls go (OpenTelemetry)
    pub(super) traces: Option<TracesTable>,
    /// The durations of leadership
    pub(super) lease: LeaseTable,
    /// Who should lead which group, by its name
    pub(super) group: BTreeMap<LocatedText, GroupTable>,
    /// The settings of actions, by name. They may as well stand in NAME.toml in
    /// the plugins folder.
    pub(super) action: BTreeMap<LocatedText, ActionTable>,
}

/// TLS to etcd; all files in PEM
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StoreTlsTable {
    /// Who has signed what etcd shows. Default: those that browsers trust
    pub(super) ca: Option<LocatedText>,
    /// The file of the certificate to show, followed by those that it hangs on. Default: none
    pub(super) cert: Option<LocatedText>,
    /// The file of its private key
    pub(super) key: Option<LocatedText>,
}

/// This host
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HostTable {
    /// Its name, unique in the cluster. Default: the machine's name
    pub(super) name: Option<LocatedText>,
    /// IP:PORT of the control API and the metrics. Default: "127.0.0.1:4000"
    pub(super) listen: Option<LocatedText>,
    /// Where other hosts reach the control API: http://HOST:PORT. Default: `listen`,
    /// with the machine's name where that stands for every address
    pub(super) advertise: Option<LocatedText>,
    /// Names by which the control API may be called, beside addresses, `localhost` and the
    /// one in `advertise`
    pub(super) names: Vec<LocatedText>,
    /// How the control API answers by TLS, and whom that makes known
    pub(super) tls: Option<HostTlsTable>,
    /// The control API may listen where other machines reach it without TLS or without
    /// asking who they are
    pub(super) insecure: bool,
    /// Anything that helps to tell hosts apart
    pub(super) labels: BTreeMap<String, String>,
    /// How much it is preferred where a group goes by that; more is better. -1000000 to
    /// 1000000; default: 0
    pub(super) priority: Option<BoundedNumber<1_000_000>>,
    /// How long it stands back for others when an action has failed on it. 1s to 1h;
    /// default: "30s"
    pub(super) cooldown: Option<BoundedSpan<SECOND, HOUR>>,
}

/// TLS between hosts, and to whoever asks them; all files in PEM
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HostTlsTable {
    /// The file of the certificate, followed by those that it hangs on
    pub(super) cert: LocatedText,
    /// The file of its private key
    pub(super) key: LocatedText,
    /// Who has signed what other hosts show. Default: those that browsers trust
    pub(super) ca: Option<LocatedText>,
    /// Who signs the certificates of those who may ask, hosts among them
    pub(super) client_ca: Option<LocatedText>,
    /// What such a certificate opens: "read" or "operate" (the default)
    #[schemars(extend("enum" = ["read", "operate"]))]
    pub(super) client_role: Option<LocatedText>,
}

/// Who may ask the control API
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ApiTable {
    /// The tokens that open it, by name; `soloist token new` makes them
    pub(super) tokens: BTreeMap<LocatedText, TokenTable>,
    /// A file with more of them, read anew when it changes
    pub(super) tokens_file: Option<LocatedText>,
    /// What hosts show each other: "file:PATH" or "env:NAME", the same on all of them
    pub(super) peer_token: Option<LocatedText>,
}

/// Where traces go: a collector that takes OTLP over HTTP
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TracesTable {
    /// Its URL, as in "http://127.0.0.1:4318": spans are posted to /v1/traces there
    pub(super) endpoint: LocatedText,
    /// What part of the traces that begin here is recorded, from 0.0 to 1.0; those that
    /// came with a request are recorded if its sender says so. Default: 1.0
    #[serde(default)]
    pub(super) ratio: Option<BoundedRatio>,
    /// Headers that it asks for: "file:PATH" or "env:NAME" says where their values are kept
    #[serde(default)]
    pub(super) headers: BTreeMap<LocatedText, LocatedText>,
    /// Who has signed its certificate, a file in PEM. Default: those that browsers trust
    #[serde(default)]
    pub(super) ca: Option<LocatedText>,
}

/// A token that opens the control API
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenTable {
    /// What it opens: "read" looks at everything, "operate" changes everything
    #[schemars(extend("enum" = ["read", "operate"]))]
    pub(super) role: LocatedText,
    /// The SHA-256 of it, in hexadecimal
    pub(super) sha256: LocatedText,
}

/// Who should lead a group
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct GroupTable {
    /// How hosts are compared: "longest-running" (the default), "priority", "avoid",
    /// or the file of a plugin (*.wasm)
    #[schemars(example = &"longest-running", example = &"priority", example = &"avoid")]
    pub(super) strategy: Option<LocatedText>,
    /// With "priority": hosts that carry the first of these labels come first, then
    /// those with the second. "LABEL=VALUE"; without any, `host.priority` counts
    pub(super) prefer: Vec<LocatedText>,
    /// With "avoid": what speaks against a host. "group:NAME" for the leader of another
    /// group, "label:NAME=VALUE"
    pub(super) avoid: Vec<LocatedText>,
    /// Whether a host that should lead takes over from one that leads, or waits
    pub(super) preempt: bool,
    /// For how long it must have been the one that should. 100ms to 24h; default: "10s"
    pub(super) preempt_delay: Option<BoundedSpan<{ 100 * MS }, DAY>>,
    /// Groups with this are led by as many different hosts as can be
    pub(super) spread: bool,
}

/// The durations of leadership
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LeaseTable {
    /// After this long a host that is cut off or frozen is replaced. 1s to 1h, with etcd
    /// from 2s on and in whole seconds; default: "5s"
    pub(super) ttl: Option<BoundedSpan<SECOND, HOUR>>,
    /// How long actions may take to stop when the lease runs out: a part of the ttl.
    /// 100ms to 10m; default: "500ms"
    pub(super) stop_timeout: Option<BoundedSpan<STOP_MIN, { 10 * MINUTE }>>,
    /// How long requests in flight may take when leadership is handed over. 0s to 24h;
    /// default: "10s"
    pub(super) drain_timeout: Option<BoundedSpan<0, DAY>>,
}

/// The settings of an action: `[action.NAME]`, or the whole of `NAME.toml` in the plugins
/// folder. docs/settings.md has each in full.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "The settings of a soloist action")]
pub(super) struct ActionTable {
    /// A file of the plugins folder. Default: "NAME.wasm"
    pub(super) plugin: Option<LocatedText>,
    /// The SHA-256 of that file: no other is run. `soloist plugin inspect` prints it
    pub(super) sha256: Option<LocatedText>,
    /// What it is run as, of what its plugin can be: "http", "service", "job", "hooks",
    /// "task". Default: all that it can, but beside an HTTP handler no program
    pub(super) kinds: Option<Located<Vec<LocatedText>>>,
    /// The election that decides where it runs. Default: "main"
    pub(super) group: Option<LocatedText>,
    /// IP:PORT where an `http` action answers. Default: "127.0.0.1:3000"
    pub(super) listen: Option<LocatedText>,
    /// Under which path of that address. Default: "/NAME", and "/" as well while no other there
    /// lacks a path
    pub(super) path: Option<LocatedText>,
    /// Answers by TLS, with this certificate
    pub(super) tls: Option<TlsTable>,
    /// What hosts that do not lead do with its requests: "refuse" (they do not listen, the
    /// default), "forward" (they pass them on to the leader) or "redirect" (they say
    /// where it is)
    #[schemars(extend("enum" = ["refuse", "forward", "redirect"]))]
    pub(super) standby: Option<LocatedText>,
    /// How long a request waits while nobody leads. 0s to 10m; default: "10s"
    pub(super) max_hold: Option<BoundedSpan<0, { 10 * MINUTE }>>,
    /// The proxies before it, as addresses or networks: what they say of where a request comes
    /// from is kept. Default: none
    pub(super) trusted_proxies: Vec<LocatedText>,
    /// Each of its requests is logged, with its answer
    pub(super) access_log: bool,
    /// When a service that ended is started again. Default: "on-failure"
    #[schemars(extend("enum" = ["always", "on-failure", "never"]))]
    pub(super) restart: Option<LocatedText>,
    /// How often it is, within `restart_window`, before the action has failed. Default: 4
    pub(super) max_restarts: Option<BoundedCount<0, 1000>>,
    /// Restarts that are older do not count. 1s to 24h; default: "1m"
    pub(super) restart_window: Option<BoundedSpan<SECOND, DAY>>,
    /// Makes a job of a program: a pattern of cron, "every 30s", "@daily", or "none" for
    /// one that is run by hand
    #[schemars(example = &"0 3 * * *", example = &"every 30s", example = &"none")]
    pub(super) schedule: Option<LocatedText>,
    /// Whose time the schedule is in, as in "Europe/Berlin". Default: "UTC"
    pub(super) time_zone: Option<LocatedText>,
    /// Each run is put off by up to so much. 0s to 24h; default: "0s"
    pub(super) jitter: Option<BoundedSpan<0, DAY>>,
    /// What becomes of runs that could not begin in time: dropped ("skip", the default),
    /// the latest is run ("latest"), or each ("all")
    #[schemars(extend("enum" = ["skip", "latest", "all"]))]
    pub(super) catch_up: Option<LocatedText>,
    /// While the run before still runs: wait ("forbid", the default), run beside it
    /// ("allow"), or end it ("replace")
    #[schemars(extend("enum" = ["forbid", "allow", "replace"]))]
    pub(super) overlap: Option<LocatedText>,
    /// How many requests are answered at a time; the others wait. Default: 256
    pub(super) max_concurrent_requests: Option<BoundedCount<1, 1000>>,
    /// A new instance for each request ("fresh", the default), or those that answered
    /// before ("reuse")
    #[schemars(extend("enum" = ["fresh", "reuse"]))]
    pub(super) instances: Option<LocatedText>,
    /// With "reuse": after so many requests an instance is replaced. Default: 1000
    pub(super) max_reuse: Option<BoundedCount<1, 1_000_000_000>>,
    /// With "reuse": it ends when there was no request for so long. 0s to 24h; default:
    /// "10s"
    pub(super) max_idle: Option<BoundedSpan<0, DAY>>,
    /// How many requests wait for their turn; the others get 503. Default: 1024
    pub(super) max_queued_requests: Option<BoundedCount<0, 100_000>>,
    /// How long a guest may take to begin its answer. 1ms to 24h; default: "30s"
    pub(super) response_timeout: Option<TimeoutSetting>,
    /// How long a guest may be busy with a request. 1ms to 24h; default: "10m"
    pub(super) request_timeout: Option<TimeoutSetting>,
    /// How long a hook may take. 1ms to 24h; default: "10s"
    pub(super) hook_timeout: Option<TimeoutSetting>,
    /// The largest body of a request. 0B to 1TiB; default: "16MiB"
    pub(super) max_body_size: Option<BoundedSize<0, TIB>>,
    /// The memory of each instance. 1MiB to 1GiB; default: "256MiB"
    pub(super) max_memory: Option<BoundedSize<MIB, MEMORY_MAX>>,
    /// How many instances may compute for long at once. Default: all processors but one
    pub(super) max_busy_instances: Option<BoundedCount<1, 1024>>,
    /// How much of what it prints is logged. 16KiB/s to 1GiB/s; default: "64KiB/s"
    pub(super) max_log_rate: Option<BoundedRate<{ 16 * KIB }, GIB>>,
    /// Of a task: only hosts with this label do it, "LABEL=VALUE". Default: every host
    pub(super) require_label: Option<LocatedText>,
    /// Of a task: a call may be done twice, so it is done again if its host dies
    pub(super) idempotent: bool,
    /// Of a job: how long an attempt at a run may take. 1ms to 30days; default: "1h"
    pub(super) run_timeout: Option<BoundedSpan<MS, { 30 * DAY }>>,
    /// Of a task: how long a call, or an attempt at a queued call, may take. 1ms to 24h;
    /// default: "30s"
    pub(super) call_timeout: Option<TimeoutSetting>,
    /// How many attempts there are in all, at a run of a job or at a queued call of a task,
    /// which is then a dead letter. Default: 1 for a job, 5 for a task
    pub(super) max_attempts: Option<BoundedCount<1, 1000>>,
    /// Of a task: how long answers of queued calls are kept. 1s to 30days; default: "1h"
    pub(super) result_retention: Option<BoundedSpan<SECOND, { 30 * DAY }>>,
    /// Of a task: how many queued calls there may be that are not done. Default: 10000
    pub(super) max_queued_calls: Option<BoundedCount<0, 1_000_000>>,
    // etcd takes requests of 1.5 MiB (`--max-request-bytes`).
    /// Of a task: how long the payload of a queued call may be. 0B to 1MiB; default: "256KiB"
    pub(super) max_payload_size: Option<BoundedSize<0, MIB>>,
    /// Names of tasks that it may call; "*" is all of them
    pub(super) tasks: Vec<LocatedText>,
    /// Keeps state in the store, by wasi:keyvalue
    pub(super) state: bool,
    /// Where it may send HTTP requests: "https://HOST", "http://HOST:PORT" or
    /// `"https://*.DOMAIN"`
    pub(super) outbound: Vec<LocatedText>,
    /// Where it may connect or send datagrams to: "tcp://HOST:PORT", "udp://HOST:PORT"
    pub(super) sockets: Vec<LocatedText>,
    /// Names in `outbound` and `sockets` may stand for addresses of private networks
    pub(super) outbound_private: bool,
    /// Its HTTP requests carry soloist-host and soloist-fencing-token. Default: true
    pub(super) outbound_fencing_token: Option<bool>,
    /// The folders that it sees
    pub(super) mounts: Vec<MountTable>,
    /// What it is called with, after its name
    pub(super) args: Vec<LocatedText>,
    /// Its environment
    pub(super) env: BTreeMap<LocatedText, LocatedText>,
    /// More of its environment, kept elsewhere and shown nowhere: "env:NAME" or "file:PATH"
    pub(super) secrets: BTreeMap<LocatedText, LocatedText>,
    /// What wasi:config tells it
    pub(super) config: BTreeMap<LocatedText, LocatedText>,
}

/// A certificate, and what proves that it is one's own; both in PEM
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsTable {
    /// The file of the certificate, followed by those that it hangs on
    pub(super) cert: LocatedText,
    /// The file of its private key
    pub(super) key: LocatedText,
}

/// A folder that a plugin sees
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MountTable {
    /// The folder here
    pub(super) source: LocatedText,
    /// Where the plugin finds it
    pub(super) target: LocatedText,
    /// Whether it may only read there. Default: true
    #[serde(default = "yes")]
    pub(super) read_only: bool,
}

fn yes() -> bool {
    true
}
