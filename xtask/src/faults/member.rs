//! A member of the etcd cluster, on a node and a disk of its own.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::disk::Disk;
use super::net::Node;
use super::wire;
use crate::bench::process::Running;

/// The port for clients.
pub(super) const PORT: u16 = 2379;
/// The port for other members.
const PEER_PORT: u16 = 2380;

/// One of the members of the store.
pub(super) struct Member {
    pub(super) node: Node,
    // Before the disk: whoever writes to it must end first, and can end only
    // when it is thawed.
    process: Option<Running>,
    pub(super) disk: Disk,
    etcd: PathBuf,
    /// All members, as etcd wants to be told of them.
    cluster: String,
    log: PathBuf,
}

impl Member {
    /// Starts a member on `node`; what it says goes to `folder`.
    pub(super) fn start(etcd: &Path, node: Node, all: &[Node], folder: &Path) -> Result<Self> {
        let cluster: Vec<_> =
            all.iter().map(|node| format!("{}={}", node.name, peer(*node))).collect();
        let mut member = Self {
            node,
            process: None,
            disk: Disk::make(folder, node.name)?,
            etcd: etcd.to_owned(),
            cluster: cluster.join(","),
            log: folder.join(format!("{}.log", node.name)),
        };
        member.restart()?;
        Ok(member)
    }

    /// Starts its process again, on the data that it has.
    pub(super) fn restart(&mut self) -> Result<()> {
        let (peer, client) = (peer(self.node), format!("http://{}", self.node.store(PORT)));
        let log = File::options().append(true).create(true).open(&self.log)?;
        let mut command = self.node.command(&self.etcd);
        command
            .args(["--name", self.node.name, "--logger", "zap"])
            .arg("--data-dir")
            .arg(self.disk.place().join("data"))
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            // On every address, as the bench asks it beside the store network.
            .args(["--listen-client-urls", &format!("http://0.0.0.0:{PORT}")])
            .args(["--advertise-client-urls", &client])
            .args(["--initial-cluster", &self.cluster])
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C is the bench's alone.
            .process_group(0);
        self.process = Some(Running::start_as_is(self.node.name, &mut command)?);
        Ok(())
    }

    /// Ends its process with no notice.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.process.take().context("it does not run")?.join()
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        self.process
            .as_ref()
            .with_context(|| format!("{} does not run", self.node.name))?
            .signal(signal)
    }

    /// Whether it leads etcd, or knows who does; none if it does not answer.
    pub(super) fn state(&self) -> Option<State> {
        let metrics = wire::get(self.node.client(PORT), "/metrics", Duration::from_millis(500))?;
        let is = |name: &str| metrics.body.lines().any(|line| line == format!("{name} 1"));
        if is("etcd_server_is_leader") {
            Some(State::Leads)
        } else if is("etcd_server_has_leader") {
            Some(State::Follows)
        } else {
            Some(State::Alone)
        }
    }
}

/// A member's part in etcd's own cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Leads,
    Follows,
    Alone,
}

fn peer(node: Node) -> String {
    format!("http://{}", node.store(PEER_PORT))
}

impl Drop for Member {
    fn drop(&mut self) {
        // A process that waits for its disk does not end before that is thawed.
        if let Err(error) = self.disk.thaw() {
            eprintln!("{error:#}");
        }
    }
}
