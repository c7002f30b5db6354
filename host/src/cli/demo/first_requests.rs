//! The first requests of a demo: those that people would send to the bundled plugins. They make
//! sure that there is something to see.

use std::time::Duration;

use http::Method;
use serde_json::json;
use tokio::time::sleep;

use super::{
    demo_host_config::DemoHostConfig, demo_output::DemoOutput, demo_settings::DemoSettings,
};
use crate::{
    cli::{ExitError, api_client::ApiClient},
    cluster::PeerCredentials,
};

/// The pause between attempts. Nothing answers until there is a leader.
const PAUSE: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause between webhooks.
const WEBHOOKS: Duration = Duration::from_secs(20);

/// Sends all requests once, and then webhooks until it is dropped.
pub(super) async fn send_all(
    hosts: &[DemoHostConfig],
    settings: &DemoSettings,
    show: DemoOutput,
) -> Result<std::convert::Infallible, ExitError> {
    let asker = DemoClient::new(hosts)?;
    if settings.has("uptime") {
        for host in hosts {
            let url = format!("{}/livez", host.url());
            asker
                .ask(Method::PUT, &["uptime", "checks", host.name], Some(("every", "2")), url)
                .await;
        }
        show.note("uptime checks the three hosts");
    }
    if settings.has("leader-dns") {
        let record = record(hosts, &settings.neighbour());
        asker.ask(Method::PUT, &["leader-dns", "record"], None, record).await;
    }
    if !settings.has("webhook-relay") {
        return std::future::pending().await;
    }
    let inbox = format!("{}/inbox", settings.neighbour());
    asker.ask(Method::PUT, &["webhook-relay", "greetings", "target"], None, inbox).await;
    for number in 1.. {
        let body = json!({ "hello": number }).to_string();
        asker.ask(Method::POST, &["webhook-relay", "greetings"], None, body).await;
        sleep(WEBHOOKS).await;
    }
    std::future::pending().await
}

/// The DNS record that leader-dns should send.
fn record(hosts: &[DemoHostConfig], neighbour: &str) -> String {
    let url = format!("{neighbour}/registry/{{group}}");
    let addresses: serde_json::Map<_, _> =
        hosts.iter().map(|host| (host.name.to_owned(), host.url().into())).collect();
    json!({
        "register": { "method": "PUT", "url": url, "body": "{host} at {address}" },
        "remove": { "method": "DELETE", "url": url },
        "addresses": addresses,
    })
    .to_string()
}

/// Sends requests to the leader's actions, through any host.
struct DemoClient(Vec<ApiClient>);

impl DemoClient {
    fn new(hosts: &[DemoHostConfig]) -> Result<Self, ExitError> {
        let client =
            |host: &DemoHostConfig| ApiClient::new([&*host.url()], &PeerCredentials::default());
        hosts.iter().map(client).collect::<Result<_, _>>().map(Self)
    }

    /// Repeats a request until it succeeds: a demo starts without a leader, and its leaders get
    /// killed.
    async fn ask(&self, method: Method, path: &[&str], option: Option<(&str, &str)>, body: String) {
        let steps: Vec<_> = ["leader"].into_iter().chain(path.iter().copied()).collect();
        for client in self.0.iter().cycle() {
            let mut question = client.request(method.clone(), &steps);
            if let Some((name, value)) = option {
                question = question.option(name, value);
            }
            let asked = async { question.body(body.clone(), None)?.send(PATIENCE).await };
            if asked.await.is_ok() {
                return;
            }
            sleep(PAUSE).await;
        }
    }
}
