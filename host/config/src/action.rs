//! The settings of one action.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use super::{
    Grants, InstancePolicy, IpNetwork, JobConfig, Kinds, Limits, RelayConfig, RestartLimit,
    TaskConfig,
    choice::{Choice, choice},
    grant_settings, instance_policy, job, kinds, limits,
    plugin_listing::PluginListing,
    problem::{Location, Problem},
    relay_config,
    resolver::{Resolver, Setting},
    restart_limit,
    settings_file::ActionTable,
    task, value,
};
use soloist_heart::Group;

pub(super) const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 3000);

/// A plugin configured to run under a term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionConfig {
    /// Its name, unique on this host and the same on every host.
    pub name: Arc<str>,
    /// The component's file (`*.wasm`).
    pub plugin: PathBuf,
    /// The SHA-256 that this file must have; `None` accepts any file.
    pub sha256: Option<[u8; 32]>,
    /// The kinds that the settings ask for; `None` where they name none.
    pub kinds: Option<Kinds>,
    /// The group (election) whose leader runs it.
    pub group: Group,
    /// Where an `http` action answers while this host leads.
    pub listen: SocketAddr,
    /// The path of that address, if the settings name one.
    pub path: Option<Arc<str>>,
    /// The certificate for TLS; `None` means plain HTTP.
    pub tls: Option<Arc<TlsFiles>>,
    /// What hosts that do not lead do with its requests.
    pub relay: RelayConfig,
    /// The proxies whose forwarding headers are trusted.
    pub trusted_proxies: Arc<[IpNetwork]>,
    /// Whether each of its requests is logged.
    pub access_log: bool,
    /// Whether each request gets a fresh instance, or instances are reused.
    pub instances: InstancePolicy,
    /// When its service is restarted after it ended; `None` where the settings do not say.
    pub restart: Option<RestartPolicy>,
    /// How many restarts are allowed before the action counts as failed.
    pub restart_limit: RestartLimit,
    /// Its schedule and rules as a job; `None` where it is no job.
    pub job: Option<JobConfig>,
    /// The limits of what it may use.
    pub limits: Limits,
    /// How calls of it are handled, if it is a task.
    pub task: TaskConfig,
    /// What it may access beyond computing.
    pub grants: Arc<Grants>,
}

impl ActionConfig {
    /// The action of a component that has no settings: everything at its default.
    #[must_use]
    pub fn with_defaults(name: &str, plugin: PathBuf) -> Self {
        let written_in = plugin.with_extension("toml").display().to_string().into();
        Self {
            name: name.into(),
            plugin,
            sha256: None,
            kinds: None,
            group: Group::main(),
            listen: DEFAULT_LISTEN,
            path: None,
            tls: None,
            relay: RelayConfig::default(),
            trusted_proxies: Arc::default(),
            access_log: false,
            instances: InstancePolicy::Fresh,
            restart: None,
            restart_limit: RestartLimit::default(),
            job: None,
            limits: Limits::default(),
            task: TaskConfig::default(),
            grants: Grants { written_in, ..Grants::default() }.into(),
        }
    }
}

/// When a service that has ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartPolicy {
    /// However it ended.
    Always,
    /// Unless it exited successfully.
    OnFailure,
    /// Never within the same term.
    Never,
}

choice! {
    RestartPolicy { Always = "always", OnFailure = "on-failure", Never = "never" },
    "restart",
    "write `always`, `on-failure` or `never`"
}

/// A TLS certificate and its private key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TlsFiles {
    /// The file of the certificate, followed by its intermediate certificates.
    pub cert: PathBuf,
    /// The file of its private key.
    pub key: PathBuf,
}

/// What the settings of an action are checked against.
pub(super) struct ActionContext<'a> {
    /// The content of the plugins folder.
    pub(super) listing: &'a PluginListing,
    /// The address of the control API, if it is known; no action may use it.
    pub(super) control: Option<SocketAddr>,
}

impl ActionContext<'_> {
    /// The action that `table` describes under `name`; `None` after reporting what is wrong.
    pub(super) fn action(
        &self,
        resolver: &mut Resolver<'_>,
        name: &Setting,
        table: ActionTable,
    ) -> Option<ActionConfig> {
        let grants = grant_settings::read(resolver, &name.text, &table);
        let instances = instance_policy::read(resolver, &table);
        let relay = relay_config::read(resolver, &table);
        let proxies = grant_settings::each(resolver, &table.trusted_proxies, IpNetwork::parse);
        let limits = limits::read(resolver, &table);
        let restart_limit = restart_limit::read(resolver, &table);
        let task = task::read(resolver, &table);
        let job = job::read(resolver, &table);
        let kinds = kinds::read(resolver, &table);
        let restart = resolver.optional(table.restart, RestartPolicy::parse);
        let plugin = resolver.written(table.plugin, &format!("{}.wasm", name.text));
        let group = resolver.written(table.group, Group::main().as_str());
        let listen = resolver.written(table.listen, &DEFAULT_LISTEN.to_string());
        let sha256 = resolver.optional(table.sha256, value::sha256);
        let file = self.plugin(resolver, name, &plugin);
        let address = resolver.read(&listen, |text| self.listen(text));
        let group = resolver.read(&group, value::name);
        let path = resolver.optional(table.path, value::mount);
        let tls = table.tls.map(|tls| {
            TlsFiles { cert: resolver.file(tls.cert), key: resolver.file(tls.key) }.into()
        });
        let name = resolver.read(name, value::name);
        Some(ActionConfig {
            name: name?.into(),
            plugin: file?,
            sha256: sha256?,
            kinds: kinds?,
            group: group?.as_str().into(),
            listen: address?,
            path: path?,
            tls,
            relay: relay?,
            trusted_proxies: proxies?.into(),
            access_log: table.access_log,
            instances: instances?,
            restart: restart?,
            restart_limit: restart_limit?,
            job: job?,
            limits: limits?,
            task: task?,
            grants: grants?.into(),
        })
    }

    fn plugin(
        &self,
        resolver: &mut Resolver<'_>,
        action: &Setting,
        plugin: &Setting,
    ) -> Option<PathBuf> {
        match self.listing.component(&plugin.text) {
            Ok(file) => Some(file),
            Err(problem) => {
                let place = plugin.place.as_ref().or(action.place.as_ref()).cloned();
                resolver.report(problem.at(place).external());
                None
            }
        }
    }

    fn listen(&self, text: &str) -> Result<SocketAddr, Problem> {
        let address = value::address(text)?;
        if self.control.is_some_and(|control| overlap(control, address)) {
            return Err(Problem::new(
                format!("`{text}` is the address of the control API already"),
                "give each an address of its own; port 0 lets the system choose one",
            ));
        }
        Ok(address)
    }
}

/// A location in short form, to be mentioned in a message about another setting.
pub(super) fn location_text(place: Option<&Location>) -> String {
    match place {
        Some(Location::File(excerpt)) => excerpt.position(),
        Some(Location::Flag(flag)) => format!("--{flag}"),
        None => "the defaults".to_owned(),
    }
}

/// Whether only one of the two addresses can be bound at a time.
pub(super) fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let same_ip = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && a.port() != 0 && same_ip
}
