//! `[host]`: the identity of this host, and how its control API answers.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc};

use super::{
    Overrides, TlsFiles,
    api_config::{self, ApiConfig, ApiRole},
    choice::Choice,
    host_pattern::is_name,
    problem::Problem,
    resolver::Resolver,
    settings_file::{ApiTable, HostTable, HostTlsTable},
    value,
};

const DEFAULT_LISTEN: &str = "127.0.0.1:4000";

/// The identity of this host.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Its name, unique in the cluster.
    pub name: Arc<str>,
    /// The address on which its control API listens.
    pub listen: SocketAddr,
    /// The URL under which other hosts reach its control API, if the settings name one.
    pub advertise: Option<String>,
    /// Further host names under which its control API may be called; in lower case.
    pub names: Vec<String>,
    /// TLS for the control API; `None` means plain HTTP.
    pub tls: Option<HostTls>,
    /// Who may use the control API.
    pub api: ApiConfig,
    /// Its labels, which strategies and tasks select by.
    pub labels: BTreeMap<String, String>,
    /// How much it is preferred by groups with the strategy `priority`; more is better.
    pub priority: i64,
}

/// TLS between hosts, and towards clients of the control API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostTls {
    /// The certificate of this host.
    pub files: Arc<TlsFiles>,
    /// The authority that signed the certificates of other hosts; by default the public ones.
    pub ca: Option<PathBuf>,
    /// The authority that signs client certificates.
    pub client_ca: Option<PathBuf>,
    /// What holders of such a certificate may do.
    pub client_role: ApiRole,
}

impl HostConfig {
    /// The URL under which other hosts reach this control API, given the address it is bound to.
    #[must_use]
    pub fn url(&self, bound: SocketAddr) -> String {
        let scheme = self.scheme();
        match &self.advertise {
            Some(url) => url.clone(),
            // Other hosts cannot call 0.0.0.0; in a container network the machine's name
            // resolves.
            None if bound.ip().is_unspecified() => {
                format!("{scheme}://{}:{}", machine_name(), bound.port())
            }
            None => format!("{scheme}://{bound}"),
        }
    }

    /// The URL scheme of the control API.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Whether clients must identify themselves.
    #[must_use]
    pub fn requires_credentials(&self) -> bool {
        self.api.requires_credentials() || self.checks_certificates()
    }

    /// Whether client certificates identify clients.
    fn checks_certificates(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some())
    }

    /// Whether this host may operate other hosts that have the same settings.
    #[must_use]
    pub fn can_operate_peers(&self) -> bool {
        let certified = self.tls.as_ref().is_some_and(|tls| tls.client_role == ApiRole::Operate);
        self.api.peer_token.is_some() || (self.checks_certificates() && certified)
    }
}

/// The settings of these tables; `None` after reporting what is wrong.
pub(super) fn read(
    resolver: &mut Resolver<'_>,
    table: HostTable,
    api: ApiTable,
    overrides: &Overrides,
) -> Option<HostConfig> {
    let name = resolver.flag_or_written("name", &overrides.name, table.name, &machine_name());
    let listen_at =
        resolver.flag_or_written("listen", &overrides.listen, table.listen, DEFAULT_LISTEN);
    let advertise =
        resolver.flag_or_written("advertise", &overrides.advertise, table.advertise, "");
    let name = resolver.read(&name, value::name);
    let listen = resolver.read(&listen_at, value::address);
    let names: Vec<_> = table
        .names
        .into_iter()
        .map(|name| {
            let name = resolver.written(Some(name), "");
            resolver.read(&name, host_name)
        })
        .collect();
    let tls = match table.tls {
        Some(table) => tls(resolver, table).map(Some),
        None => Some(None),
    };
    let advertise = match (advertise.place.is_some(), &tls) {
        (false, _) => Some(None),
        (true, tls) => {
            let secure = tls.as_ref().is_some_and(Option::is_some);
            resolver.read(&advertise, |text| advertised(text, secure)).map(Some)
        }
    };
    let priority = resolver.bounded(table.priority.as_ref(), 0);
    let api = api_config::read(resolver, api);
    let host = HostConfig {
        name: name?.into(),
        listen: listen?,
        advertise: advertise?,
        names: names.into_iter().collect::<Option<_>>()?,
        tls: tls?,
        api: api?,
        labels: table.labels,
        priority: priority?,
    };
    let insecure = table.insecure || overrides.insecure;
    resolver.read(&listen_at, |_| check_openness(&host, insecure))?;
    Some(host)
}

fn tls(resolver: &mut Resolver<'_>, table: HostTlsTable) -> Option<HostTls> {
    let file = |text| resolver.file(text);
    let files = TlsFiles { cert: file(table.cert), key: file(table.key) }.into();
    let (ca, client_ca) = (table.ca.map(file), table.client_ca.map(file));
    let client_role = resolver.written(table.client_role, "operate");
    let client_role = resolver.read(&client_role, ApiRole::parse)?;
    Some(HostTls { files, ca, client_ca, client_role })
}

fn host_name(text: &str) -> Result<String, Problem> {
    let name = text.to_ascii_lowercase();
    if is_name(&name) {
        return Ok(name);
    }
    Err(Problem::new(
        format!("`{text}` is not the name of a host"),
        "write a name without a scheme or a port, as in `soloist.example.com`; addresses need not be written",
    ))
}

fn advertised(text: &str, secure: bool) -> Result<String, Problem> {
    let url = value::url(text)?;
    if secure && !url.starts_with("https:") {
        return Err(Problem::new(
            format!(
                "`{text}` cannot be advertised: this host has `tls`, so its address begins with \
                 `https://`"
            ),
            format!("write `{}`", url.replacen("http:", "https:", 1)),
        ));
    }
    Ok(url)
}

/// Rejects an open control API: anyone who reaches it could do anything, and traffic could be
/// read on the wire.
fn check_openness(host: &HostConfig, insecure: bool) -> Result<(), Problem> {
    let listen = host.listen;
    if insecure || listen.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    let what = match (host.tls.is_some(), host.requires_credentials()) {
        (true, true) => return Ok(()),
        (true, false) => "would accept commands from anybody",
        (false, true) => "would be used without TLS, so tokens could be read on the network",
        (false, false) => "would accept commands from anybody, and without TLS",
    };
    Err(Problem::new(
        format!("the control API on {listen}, which other machines reach, {what}"),
        "give [host] `tls = { cert, key }`, and decide who has access: by `client_ca` in it, or by \
         tokens (`soloist token new NAME --role operate`); or listen on 127.0.0.1; or write \
         `insecure = true` in [host] where the network itself admits trusted clients only",
    ))
}

/// The machine's own host name.
fn machine_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
