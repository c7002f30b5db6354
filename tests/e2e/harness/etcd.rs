//! A real etcd with one member, in a folder of its own.

use std::{env, net::Ipv4Addr, process::Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

use super::{PATIENCE, own_address};

/// One etcd; killed when dropped.
pub(crate) struct Etcd {
    address: Ipv4Addr,
    folder: TempDir,
    child: Option<Child>,
}

impl Etcd {
    /// An etcd that has its address, but does not run yet.
    pub(crate) fn stopped() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        Self { address: own_address(), folder, child: None }
    }

    pub(crate) async fn started() -> Self {
        let mut etcd = Self::stopped();
        etcd.start().await;
        etcd
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("{}:2379", self.address)
    }

    /// Starts it, with the data that it has, and waits until it serves.
    pub(crate) async fn start(&mut self) {
        let binary = env::var_os("SOLOIST_TEST_ETCD").unwrap_or_else(|| "etcd".into());
        let client = format!("http://{}", self.endpoint());
        let peer = format!("http://{}:2380", self.address);
        let mut command = Command::new(binary);
        command
            .args(["--name", "only", "--log-level", "error", "--data-dir"])
            .arg(self.folder.path())
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("only={peer}")])
            .env_remove("ETCD_UNSUPPORTED_ARCH")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        self.child = Some(command.spawn().expect("etcd starts: `cargo xtask test` installs it"));
        timeout(PATIENCE, self.healthy()).await.expect("etcd serves");
    }

    async fn healthy(&self) {
        let url = format!("http://{}/health", self.endpoint());
        // etcd says nothing that could be awaited.
        while !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
            sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.child.as_ref().and_then(Child::id).expect("it runs");
        kill_process(Pid::from_raw(id.cast_signed()).expect("a pid"), signal).expect("a signal");
    }

    /// Kills it; its data stay.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("it can be killed");
        }
    }
}
