//! The structure of an action's settings, before any value is checked. Its doc comments are the
//! reference, as those of `settings_file.rs`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    bounded::{
        BoundedCount, BoundedRate, BoundedSize, BoundedSpan, DAY, GIB, KIB, MIB, MINUTE, MS,
        SECOND, TIB,
    },
    source_file::{Located, LocatedText},
};

/// The greatest `max_memory`, in bytes.
pub(super) const MEMORY_MAX: u64 = GIB;
/// The time limit of something that people or machines wait for.
pub(super) type TimeoutSetting = BoundedSpan<MS, DAY>;

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
    /// How much state the action may keep in the store, in bytes of its keys and values. A write
    /// that would add more is refused. 0B to 1TiB. Default: "64MiB".
    pub(super) max_state_size: Option<BoundedSize<0, TIB>>,
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
