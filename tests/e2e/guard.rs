//! Access to the control API: for people by tokens or certificates, and among hosts.

mod greed;
mod held;
mod hosts;
mod limits;
mod people;
mod secure;

use std::{collections::BTreeMap, fs, net::SocketAddr, path::PathBuf, time::Duration};

use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::harness::{
    PATIENCE, at,
    cluster::{Cluster, Kind},
    own_address,
    process::{Ended, run, soloist},
};

/// A cluster whose control API requires credentials, and a client that may have some.
struct Guarded {
    cluster: Cluster,
    /// The client's credentials, as environment variables.
    shown: Vec<(&'static str, String)>,
    scheme: &'static str,
    /// The address of the web action on each host.
    addresses: BTreeMap<&'static str, SocketAddr>,
    /// The TLS settings of the hosts' control API.
    tls: String,
}

impl Guarded {
    async fn new(kind: Kind) -> Self {
        let (shown, addresses, tls) = (Vec::new(), BTreeMap::new(), String::new());
        Self { cluster: Cluster::new(kind).await, shown, scheme: "http", addresses, tls }
    }

    /// A file in the cluster's folder.
    fn file(&self, name: &str) -> PathBuf {
        self.cluster.folder.path().join(name)
    }

    /// The client uses the token of this file from now on.
    fn show(&mut self, name: &str) {
        self.shown.push(("SOLOIST_TOKEN_FILE", self.file(name).display().to_string()));
    }

    /// Makes a token, and returns its line for the settings.
    async fn token(&self, name: &str, role: &str) -> String {
        let file = self.file(&format!("{name}.token"));
        let mut command = soloist();
        command.args(["token", "new", name, "--role", role, "--file"]).arg(&file);
        let Ended { status, output } = run(&mut command).await;
        assert!(status.success(), "{output}");
        let token = fs::read_to_string(&file).unwrap();
        assert!(!output.contains(token.trim()), "it is in the file alone:\n{output}");
        // The line comes first, on stdout.
        output.lines().next().unwrap().to_owned()
    }

    /// Starts a host whose web action has its own address, and forwards.
    fn start(&mut self, name: &'static str, more: &str) {
        let address = *self.addresses.entry(name).or_insert_with(|| at(own_address(), 3000));
        self.cluster.web_at = address;
        let host = format!("[host]\nlabels = {{ at = \"{name}\" }}\n{}", self.tls);
        self.cluster.start_with(name, &format!("standby = \"forward\"\n{more}{host}"));
    }

    /// The URL of a host's control API.
    async fn url(&self, host: &str) -> String {
        format!("{}://{}", self.scheme, self.cluster.host(host).api().await)
    }

    /// Runs `soloist` with `args` against a host, with exactly these credentials.
    async fn ask_as(&self, shown: &[(&str, String)], host: &str, args: &[&str]) -> Ended {
        let mut command = soloist();
        command.args(args).env("SOLOIST_URL", self.url(host).await);
        run(command.envs(shown.iter().map(|(name, value)| (*name, value)))).await
    }

    async fn ask(&self, host: &str, args: &[&str]) -> Ended {
        self.ask_as(&self.shown, host, args).await
    }

    async fn done(&self, host: &str, args: &[&str], words: &str) {
        let Ended { status, output } = self.ask(host, args).await;
        assert!(status.success() && output.contains(words), "{args:?}: {status}\n{output}");
    }

    /// Waits until `wanted` accepts the status of `host`.
    async fn agrees(&self, host: &str, wanted: impl Fn(&Value) -> bool) {
        let mut last = String::new();
        let seen = timeout(PATIENCE, async {
            loop {
                let Ended { status, output } = self.ask(host, &["status", "--json"]).await;
                if status.success() && serde_json::from_str(&output).is_ok_and(|it| wanted(&it)) {
                    return;
                }
                last = output;
                sleep(Duration::from_millis(50)).await;
            }
        });
        let seen = seen.await;
        assert!(seen.is_ok(), "no such status: {last}\n{}", self.cluster.host(host).log);
    }

    /// Starts `a`, which leads, and `b`, which stands by, and waits until both know it.
    async fn pair(&mut self, settings: &str) {
        self.start("a", settings);
        self.cluster.leading("a").await;
        self.start("b", settings);
        for host in ["a", "b"] {
            let standbys = |status: &Value| status["groups"]["main"]["standbys"][0] == "b";
            self.agrees(host, standbys).await;
        }
    }
}

/// The status and the text of a host's answer.
async fn told(request: reqwest::RequestBuilder) -> (u16, String) {
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}
