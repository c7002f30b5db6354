//! The leader's action at every host: requests are forwarded, redirected, or held for the next
//! leader.

mod answers;
mod hand_over;
mod losses;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use reqwest::{Client, Response};

use crate::harness::{
    PATIENCE, at,
    cluster::{Cluster, Kind},
    own_address,
};

/// Hosts that each have their own address for the web action.
pub(crate) struct Forwarding {
    pub(crate) cluster: Cluster,
    pub(crate) addresses: BTreeMap<&'static str, SocketAddr>,
    /// Settings of the action, in addition to its plugin and its address.
    pub(crate) settings: String,
    client: Client,
}

impl Forwarding {
    /// A cluster without hosts.
    pub(crate) async fn new(kind: Kind, plugin: PathBuf, settings: &str) -> Self {
        let cluster = Cluster::with_plugin(kind, plugin).await.brief();
        let follow = reqwest::redirect::Policy::none();
        let client = Client::builder().timeout(PATIENCE).redirect(follow).build().unwrap();
        let (addresses, settings) = (BTreeMap::new(), settings.to_owned());
        Self { cluster, addresses, settings, client }
    }

    /// Starts `a`, which leads, and then the others, which stand by.
    async fn of(kind: Kind, plugin: PathBuf, settings: &str, names: &[&'static str]) -> Self {
        let mut all = Self::new(kind, plugin, settings).await;
        for name in names {
            all.join(name).await;
            all.cluster.leading("a").await;
        }
        all
    }

    /// Starts a host, for the first time or again, and waits until it stands or leads.
    pub(crate) async fn join(&mut self, name: &'static str) {
        let address = *self.addresses.entry(name).or_insert_with(|| at(own_address(), 3000));
        self.cluster.web_at = address;
        self.cluster.start_with(name, &self.settings);
        self.cluster.stands(name).await;
    }

    /// The URL of `path` at the action's address on this host.
    fn web(&self, name: &str, path: &str) -> String {
        format!("http://{}{path}", self.addresses[name])
    }

    /// The URL of `path` at the control address of this host.
    async fn control(&self, name: &str, path: &str) -> String {
        format!("http://{}{path}", self.cluster.host(name).api().await)
    }

    pub(crate) async fn get(&self, url: String) -> Response {
        self.client.get(url).send().await.expect("an answer")
    }

    /// The value of a metric of the web action on this host.
    async fn counted(&self, name: &str, metric: &str) -> u64 {
        let metrics = self.get(self.control(name, "/metrics").await).await.text().await.unwrap();
        let wanted = format!("soloist_relay_{metric}_total{{action=\"web\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&wanted));
        line.map_or(0, |count| count.trim().parse().expect("a number"))
    }
}

/// The status, the host that answered, and the text.
async fn told(response: Response) -> (u16, String, String) {
    let host = response.headers().get("soloist-host").map(|host| host.to_str().unwrap().to_owned());
    (response.status().as_u16(), host.unwrap_or_default(), response.text().await.unwrap())
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

/// The remaining pieces of the body, and whether it was complete.
async fn rest(mut response: Response) -> (Vec<bytes::Bytes>, bool) {
    let mut pieces = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(piece)) => pieces.push(piece),
            Ok(None) => return (pieces, true),
            Err(_) => return (pieces, false),
        }
    }
}
