//! A cluster under test: a store, and hosts that share the address of the web action.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::PathBuf, time::Duration};

use futures::future::select_all;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::{
    CALM_TTL, TTL, at,
    client::Web,
    etcd::Etcd,
    own_address, plugins,
    postgres::Database,
    postgres_server::ForeignSession,
    process::{NO_SUPERVISOR, Process, agrees, soloist},
};

/// Which store a test runs against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Etcd,
    Postgres,
    /// A PostgreSQL behind a pooler in transaction mode.
    PgBouncer,
}

/// What keeps a store from responding.
pub(crate) enum HeldStore {
    Etcd,
    Postgres(#[expect(dead_code, reason = "it is held")] ForeignSession),
    Sqlite(#[expect(dead_code, reason = "it is held")] rusqlite::Connection),
}

pub(crate) struct Cluster {
    pub(crate) folder: TempDir,
    pub(crate) etcd: Option<Etcd>,
    /// The database, if the store is a PostgreSQL.
    pub(crate) database: Option<Database>,
    pub(crate) web_at: SocketAddr,
    pub(crate) web: Web,
    pub(crate) hosts: BTreeMap<&'static str, Process>,
    pub(crate) ttl: Duration,
    /// Whether hosts run under supervisors. The processes are then the supervisors.
    pub(crate) supervised: bool,
    plugin: PathBuf,
    /// The store's URL, if it is none of the stores above.
    store: Option<String>,
}

impl Cluster {
    /// A cluster without hosts, whose web action is `i-am-server`.
    pub(crate) async fn new(kind: Kind) -> Self {
        Self::with_plugin(kind, plugins().join("i-am-server.wasm")).await
    }

    /// A cluster without hosts, whose web action is `plugin`.
    pub(crate) async fn with_plugin(kind: Kind, plugin: PathBuf) -> Self {
        let mut cluster = Self::on(None, plugin);
        match kind {
            Kind::Etcd => cluster.etcd = Some(Etcd::started().await),
            Kind::Postgres => cluster.database = Some(Database::direct()),
            Kind::PgBouncer => cluster.database = Some(Database::pooled()),
            Kind::Sqlite => {}
        }
        cluster
    }

    /// A cluster on this etcd, which need not run.
    pub(crate) fn on(etcd: Option<Etcd>, plugin: PathBuf) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        fs::create_dir(folder.path().join("plugins")).expect("a folder");
        let web_at = at(own_address(), 3000);
        let web = Web::new(web_at);
        let (hosts, ttl, supervised) = (BTreeMap::new(), CALM_TTL, false);
        let (database, store) = (None, None);
        Self { folder, etcd, database, web_at, web, hosts, ttl, supervised, plugin, store }
    }

    /// A cluster without hosts on the store at `url`, whose web action is `i-am-server`.
    pub(crate) fn at(url: String, ttl: Duration) -> Self {
        let plugin = plugins().join("i-am-server.wasm");
        Self { store: Some(url), ttl, ..Self::on(None, plugin) }
    }

    /// The same cluster with another web action.
    pub(crate) fn running(self, plugin: PathBuf) -> Self {
        Self { plugin, ..self }
    }

    /// The URL of the store.
    pub(crate) fn store_url(&self) -> String {
        match (&self.store, &self.etcd, &self.database) {
            (Some(store), ..) => store.clone(),
            (None, Some(etcd), _) => format!("etcd://{}", etcd.endpoint()),
            (None, None, Some(database)) => database.url(),
            (None, None, None) => {
                format!("sqlite:{}", self.folder.path().join("soloist.db").display())
            }
        }
    }

    /// Has the hosts that are started from now on use another store.
    pub(crate) fn use_store(&mut self, url: String) {
        self.store = Some(url);
    }

    /// The settings that all hosts share, followed by `more`.
    pub(crate) fn configuration(&self, more: &str) -> String {
        let store = self.store_url();
        let (ttl, web, plugin) = (self.ttl.as_secs(), self.web_at, self.plugin.display());
        // The default stop time-out leaves a TTL of 1 s no room for a lost renewal.
        let stop = if ttl < 2 { "stop_timeout = \"300ms\"\n" } else { "" };
        format!(
            "cluster = \"test\"\nstore = \"{store}\"\n[lease]\nttl = \"{ttl}s\"\n{stop}\
             [action.web]\nplugin = \"{plugin}\"\nlisten = \"{web}\"\n{more}"
        )
    }

    /// The command that runs host `name` with the shared settings and `more`.
    pub(crate) fn command(&self, name: &str, more: &str) -> Command {
        self.command_from(name, &self.configuration(more))
    }

    /// The command that runs host `name` with exactly these settings.
    pub(crate) fn command_from(&self, name: &str, settings: &str) -> Command {
        let file = self.folder.path().join(format!("{name}.toml"));
        fs::write(&file, settings).expect("a file");
        let mut command = soloist();
        if self.supervised {
            command.env_remove(NO_SUPERVISOR);
        }
        command
            .current_dir(self.folder.path())
            .args(["run", "--log-format", "json", "--log", "info,soloist_leadership=debug"])
            .args(["--listen", "127.0.0.1:0", "--name", name])
            .arg("--config")
            .arg(file);
        command
    }

    /// Starts a host, and waits for nothing.
    pub(crate) fn start(&mut self, name: &'static str) {
        self.start_with(name, "");
    }

    /// Starts a host with more settings.
    pub(crate) fn start_with(&mut self, name: &'static str, more: &str) {
        self.start_from(name, &self.configuration(more));
    }

    /// Starts a host with more settings, in this environment.
    pub(crate) fn start_in(
        &mut self,
        name: &'static str,
        more: &str,
        environment: Vec<(String, String)>,
    ) {
        let mut command = self.command(name, more);
        self.hosts.insert(name, Process::start(command.envs(environment)));
    }

    /// Starts a host with exactly these settings.
    pub(crate) fn start_from(&mut self, name: &'static str, settings: &str) {
        let process = Process::start(&mut self.command_from(name, settings));
        self.hosts.insert(name, process);
    }

    /// Starts a host with this address of the store, and waits until it stands or leads.
    pub(crate) async fn join_by(&mut self, name: &'static str, store: String) {
        let shared = self.store.replace(store);
        self.join(name).await;
        self.store = shared;
    }

    /// Starts a host, and waits until it stands or leads.
    pub(crate) async fn join(&mut self, name: &'static str) {
        self.join_with(name, "").await;
    }

    /// The same, with more settings.
    pub(crate) async fn join_with(&mut self, name: &'static str, more: &str) {
        self.start_with(name, more);
        self.stands(name).await;
    }

    /// Waits until `name` reports that it stands or leads. It has read that in the store, so hosts
    /// that stand later are behind it.
    pub(crate) async fn stands(&self, name: &str) {
        let host = self.host(name);
        host.log.event(0, "standby").await;
        let stands = |group: &Value| {
            let standbys = group["standbys"].as_array();
            group["leader"] == name || standbys.is_some_and(|all| all.iter().any(|by| by == name))
        };
        agrees(host, |status| {
            let groups = status["groups"].as_object().expect("groups").values();
            groups.filter(|group| group["role"] != "out").all(stands)
        })
        .await;
    }

    /// The same cluster with a short TTL, so that a lost host is replaced soon.
    pub(crate) fn brief(self) -> Self {
        Self { ttl: TTL, ..self }
    }

    /// A cluster of `a`, which leads, and `b` and `c`, which stand by in this order.
    pub(crate) async fn of_three(kind: Kind) -> Self {
        Self::new(kind).await.with_three().await
    }

    /// Starts these three hosts.
    pub(crate) async fn with_three(self) -> Self {
        self.with_three_like("").await
    }

    /// The same, with more settings.
    pub(crate) async fn with_three_like(mut self, more: &str) -> Self {
        self.join_with("a", more).await;
        self.leading("a").await;
        self.join_with("b", more).await;
        self.join_with("c", more).await;
        for name in ["a", "b", "c"] {
            self.waiting(name, &["b", "c"]).await;
        }
        self
    }

    /// Waits until `name` sees these standbys of `main`, in this order.
    pub(crate) async fn waiting(&self, name: &str, standbys: &[&str]) {
        let seen = |status: &Value| status["groups"]["main"]["standbys"] == json!(standbys);
        agrees(self.host(name), seen).await;
    }

    pub(crate) fn host(&self, name: &str) -> &Process {
        &self.hosts[name]
    }

    /// Waits for the log line that says that `name` leads.
    pub(crate) async fn leading(&self, name: &str) -> Value {
        self.leads(name, "main").await
    }

    /// Waits for the log line that says that `name` leads `group`.
    pub(crate) async fn leads(&self, name: &str, group: &str) -> Value {
        let leads = |line: &Value| line["event"] == "leading" && line["group"] == group;
        self.host(name).log.find(0, &format!("leading of {group}"), leads).await
    }

    pub(crate) fn signal(&self, name: &str, signal: Signal) {
        self.host(name).signal(signal);
    }

    /// Freezes the process right after a renewal. In the middle of a write to the embedded store,
    /// it would hold up all hosts.
    pub(crate) async fn freeze(&self, name: &str) {
        let host = self.host(name);
        loop {
            host.log.event(host.log.len(), "renewed").await;
            host.freeze();
            if self.file_is_free() {
                return;
            }
            host.signal(Signal::CONT);
        }
    }

    /// Whether the embedded store's lock is free.
    pub(crate) fn file_is_free(&self) -> bool {
        if self.etcd.is_some() || self.database.is_some() {
            return true;
        }
        let file = self.file(Duration::ZERO);
        file.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok()
    }

    fn file(&self, patience: Duration) -> rusqlite::Connection {
        let file = rusqlite::Connection::open(self.folder.path().join("soloist.db"));
        let file = file.expect("a store");
        file.busy_timeout(patience).expect("a setting");
        file
    }

    /// Makes the store unresponsive, until the result is passed to [`Self::release_store`].
    pub(crate) fn hold_store(&self) -> HeldStore {
        if let Some(etcd) = &self.etcd {
            etcd.freeze();
            return HeldStore::Etcd;
        }
        if let Some(database) = &self.database {
            return HeldStore::Postgres(database.hold());
        }
        let held = self.file(super::PATIENCE);
        held.execute_batch("BEGIN IMMEDIATE").expect("the lock");
        HeldStore::Sqlite(held)
    }

    /// Makes the store responsive again.
    pub(crate) fn release_store(&self, held: HeldStore) {
        if let (HeldStore::Etcd, Some(etcd)) = (&held, &self.etcd) {
            etcd.signal(Signal::CONT);
        }
        drop(held);
    }

    /// The current length of each host's log.
    pub(crate) fn lengths(&self) -> BTreeMap<&'static str, usize> {
        self.hosts.iter().map(|(name, host)| (*name, host.log.len())).collect()
    }

    /// Waits until a host other than `name` leads, by the log lines after `seen`.
    pub(crate) async fn another_leads(&self, name: &str, seen: &BTreeMap<&'static str, usize>) {
        let others = self.hosts.iter().filter(|(other, _)| **other != name);
        let leads = others.map(|(other, host)| Box::pin(host.log.event(seen[other], "leading")));
        select_all(leads).await;
    }

    pub(crate) async fn kill(&mut self, name: &str) {
        self.hosts.remove(name).expect("a host").kill().await;
    }

    /// Stops a host gracefully and returns its log.
    pub(crate) async fn terminate(&mut self, name: &str) -> super::log::Log {
        let mut host = self.hosts.remove(name).expect("a host");
        let status = host.terminate().await;
        assert!(status.success(), "{name} ended with {status}:\n{}", host.log);
        host.log
    }
}
