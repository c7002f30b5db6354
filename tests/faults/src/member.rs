//! A member of the etcd cluster, on its own node and disk.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use soloist_devtools::process::Running;
use soloist_devtools::{cmd, http};

use super::disk::Disk;
use super::etcdctl::Etcdctl;
use super::net::Node;

/// The port for clients.
pub(super) const PORT: u16 = 2379;
/// The port for other members.
const PEER_PORT: u16 = 2380;

/// How long etcd keeps an unused login, in seconds. As with etcd's default of 300 s, that is longer
/// than the interval of a host's rehearsals, and shorter than state, jobs and queued calls may be
/// idle.
const LOGIN_SECONDS: u64 = 6;

/// Ten times as long as a read takes, and much shorter than the steps of a TCP retransmission.
const PROMPT: Duration = Duration::from_millis(50);

/// More than the cluster needs, and quickly filled.
const QUOTA_BYTES: u32 = 16_000_000;

/// The folder with the member's data.
const DATA: &str = "data";
/// The folder for data that was put aside.
const ASIDE: &str = "aside";
/// The folder for data that was restored from a snapshot.
const RESTORED: &str = "restored";

/// A member of etcd.
pub(super) struct Member {
    pub(super) node: Node,
    // Before the disk: a process that writes to the disk must end before it is unmounted, and can
    // end only after it is thawed.
    process: Option<Running>,
    pub(super) disk: Disk,
    etcd: PathBuf,
    /// All members, in the form of `--initial-cluster`.
    cluster: String,
    log: PathBuf,
}

/// How a member without data starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MemberStart {
    /// With the others, in a new cluster.
    Together,
    /// In a new cluster of its own.
    Alone,
    /// In an existing cluster to which it was added.
    Added,
}

impl Member {
    /// Starts a member on `node`; its log goes to `folder`.
    pub(super) fn start(etcd: &Path, node: Node, all: &[Node], folder: &Path) -> Result<Self> {
        let mut member = Self {
            node,
            process: None,
            disk: Disk::make(folder, node.name)?,
            etcd: etcd.to_owned(),
            cluster: all.iter().map(|node| itself(*node)).collect::<Vec<_>>().join(","),
            log: folder.join(format!("{}.log", node.name)),
        };
        member.restart()?;
        Ok(member)
    }

    /// Starts its process again, with its data.
    pub(super) fn restart(&mut self) -> Result<()> {
        self.begin(MemberStart::Together)
    }

    /// Starts it without its data, as an etcd of its own. The data is put aside.
    pub(super) fn start_alone(&mut self) -> Result<()> {
        fs::rename(self.place(DATA), self.place(ASIDE)).context("cannot put data aside")?;
        self.begin(MemberStart::Alone)
    }

    /// Starts it with the data that was put aside.
    pub(super) fn start_as_before(&mut self) -> Result<()> {
        self.replace_by(ASIDE)?;
        self.restart()
    }

    /// Starts it without data, in a cluster to which it was added again.
    pub(super) fn start_added(&mut self) -> Result<()> {
        for data in [DATA, ASIDE] {
            fs::remove_dir_all(self.place(data)).context("cannot remove data")?;
        }
        self.begin(MemberStart::Added)
    }

    /// Creates data from a snapshot, for [`Member::start_restored`]. The member may run meanwhile.
    pub(super) fn restore(&self, etcdctl: &Etcdctl, snapshot: &Path, name: &str) -> Result<()> {
        let mut command = etcdctl.offline();
        command.args(["snapshot", "restore"]).arg(snapshot);
        command.arg("--data-dir").arg(self.place(RESTORED));
        command.args(["--name", self.node.name, "--initial-cluster", &self.cluster]);
        command.args(["--initial-cluster-token", name]);
        command.args(["--initial-advertise-peer-urls", &peer(self.node)]);
        cmd::output(&mut command).map(drop)
    }

    /// Starts it with the restored data.
    pub(super) fn start_restored(&mut self) -> Result<()> {
        self.replace_by(RESTORED)?;
        self.restart()
    }

    /// Kills its process, unless it has ended by itself.
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

    /// Whether it leads etcd, or knows the leader. None if it does not answer.
    pub(super) fn state(&self) -> Option<MemberRole> {
        let metrics = http::get(self.node.client(PORT), "/metrics", Duration::from_millis(500))?;
        let is = |name: &str| metrics.body.lines().any(|line| line == format!("{name} 1"));
        if is("etcd_server_is_leader") {
            Some(MemberRole::Leads)
        } else if is("etcd_server_has_leader") {
            Some(MemberRole::Follows)
        } else {
            Some(MemberRole::Alone)
        }
    }

    /// How many changes of etcd's leader it has counted.
    pub(super) fn leader_changes(&self) -> Option<u64> {
        let metrics = http::get(self.node.client(PORT), "/metrics", Duration::from_millis(500))?;
        let name = "etcd_server_leader_changes_seen_total ";
        let count = metrics.body.lines().find_map(|line| line.strip_prefix(name))?;
        count.trim().parse().ok()
    }

    /// Whether it serves: its health check is a read that all members must agree on (etcd:
    /// `etcdhttp.checkV3Health`).
    pub(super) fn is_healthy(&self) -> bool {
        self.is_healthy_within(Duration::from_secs(2))
    }

    /// Whether it serves as fast as in normal times. After it was cut off, a member may take
    /// seconds until its connections to the others are fast again, long after it follows them.
    pub(super) fn is_prompt(&self) -> bool {
        self.is_healthy_within(PROMPT)
    }

    fn is_healthy_within(&self, time: Duration) -> bool {
        let health = http::get(self.node.client(PORT), "/health", time);
        health.is_some_and(|health| health.body.contains("\"health\":\"true\""))
    }

    /// The address for other members.
    pub(super) fn peer_url(&self) -> String {
        peer(self.node)
    }

    fn place(&self, data: &str) -> PathBuf {
        self.disk.place().join(data)
    }

    fn replace_by(&self, data: &str) -> Result<()> {
        fs::remove_dir_all(self.place(DATA)).context("cannot remove data")?;
        fs::rename(self.place(data), self.place(DATA)).context("cannot put data in place")
    }

    /// Starts its process. If it has data, that decides, and not `how`.
    fn begin(&mut self, how: MemberStart) -> Result<()> {
        let (peer, client) = (peer(self.node), format!("http://{}", self.node.store(PORT)));
        let state = if how == MemberStart::Added { "existing" } else { "new" };
        let cluster =
            if how == MemberStart::Alone { itself(self.node) } else { self.cluster.clone() };
        let log = File::options().append(true).create(true).open(&self.log)?;
        let mut command = self.node.command(&self.etcd);
        command
            .args(["--name", self.node.name, "--logger", "zap"])
            .arg("--data-dir")
            .arg(self.place(DATA))
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            // On every address, since the bench does not use the store network.
            .args(["--listen-client-urls", &format!("http://0.0.0.0:{PORT}")])
            .args(["--advertise-client-urls", &client])
            .args(["--initial-cluster", &cluster, "--initial-cluster-state", state])
            .args(["--quota-backend-bytes", &QUOTA_BYTES.to_string()])
            // Else a long run would fill the quota by itself.
            .args(["--auto-compaction-retention", "1m"])
            // Allows another member to be added while two of three run, whatever they have just
            // been through.
            .arg("--strict-reconfig-check=false")
            .args(["--auth-token-ttl", &LOGIN_SECONDS.to_string()])
            // etcd makes logins expensive to keep passwords from being guessed; this is the
            // cheapest.
            .args(["--bcrypt-cost", "4"])
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C must reach the bench alone.
            .process_group(0);
        self.process = Some(Running::start_as_is(self.node.name, &mut command)?);
        Ok(())
    }
}

/// A member's role in etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberRole {
    Leads,
    Follows,
    Alone,
}

fn peer(node: Node) -> String {
    format!("http://{}", node.store(PEER_PORT))
}

fn itself(node: Node) -> String {
    format!("{}={}", node.name, peer(node))
}

impl Drop for Member {
    fn drop(&mut self) {
        // A process that waits for its disk does not end before the disk is thawed.
        if let Err(error) = self.disk.thaw() {
            eprintln!("{error:#}");
        }
    }
}
