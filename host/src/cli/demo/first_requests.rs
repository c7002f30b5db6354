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
    parts: &[DemoHostConfig],
    programme: &DemoSettings,
    show: DemoOutput,
) -> Result<std::convert::Infallible, ExitError> {
    let asker = DemoClient::new(parts)?;
    if programme.has("uptime") {
        for part in parts {
            let url = format!("{}/livez", part.url());
            asker
                .ask(Method::PUT, &["uptime", "checks", part.name], Some(("every", "2")), url)
                .await;
        }
        show.note("uptime checks the three hosts");
    }
    if programme.has("leader-dns") {
        let record = record(parts, &programme.neighbour());
        asker.ask(Method::PUT, &["leader-dns", "record"], None, record).await;
    }
    if !programme.has("webhook-relay") {
        return std::future::pending().await;
    }
    let inbox = format!("{}/inbox", programme.neighbour());
    asker.ask(Method::PUT, &["webhook-relay", "greetings", "target"], None, inbox).await;
    for number in 1.. {
        let body = json!({ "hello": number }).to_string();
        asker.ask(Method::POST, &["webhook-relay", "greetings"], None, body).await;
        sleep(WEBHOOKS).await;
    }
    std::future::pending().await
}

/// The DNS record that leader-dns should send.
fn record(parts: &[DemoHostConfig], neighbour: &str) -> String {
    let url = format!("{neighbour}/registry/{{group}}");
    let addresses: serde_json::Map<_, _> =
        parts.iter().map(|part| (part.name.to_owned(), part.url().into())).collect();
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
    fn new(parts: &[DemoHostConfig]) -> Result<Self, ExitError> {
        let client =
            |part: &DemoHostConfig| ApiClient::new(&part.url(), &PeerCredentials::default());
        parts.iter().map(client).collect::<Result<_, _>>().map(Self)
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
