//! A member of the etcd cluster, on a node and a disk of its own.

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

/// How long etcd honours a login that is not used, in seconds: longer than from one rehearsal of
/// a host's to the next, as etcd's 300 are, and shorter than state, jobs and casts are idle.
const LOGIN_SECONDS: u64 = 6;

/// Ten times what a read takes, and much less than the steps of a TCP that repeats itself.
const PROMPT: Duration = Duration::from_millis(50);

/// More than the cluster comes to, and soon filled.
const QUOTA_BYTES: u32 = 16_000_000;

/// The data that a member has.
const DATA: &str = "data";
/// Those that it has put aside.
const ASIDE: &str = "aside";
/// Those that were restored, and that it is to have.
const RESTORED: &str = "restored";

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

/// How a member without data begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begins {
    /// With the others, in an etcd that is new as well.
    Together,
    /// In an etcd of its own.
    Alone,
    /// In an etcd that there is, and that waits for it.
    Added,
}

impl Member {
    /// Starts a member on `node`; what it says goes to `folder`.
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

    /// Starts its process again, on the data that it has.
    pub(super) fn restart(&mut self) -> Result<()> {
        self.begin(Begins::Together)
    }

    /// Starts it without its data, as an etcd of its own. They are put aside.
    pub(super) fn start_alone(&mut self) -> Result<()> {
        fs::rename(self.place(DATA), self.place(ASIDE)).context("cannot put data aside")?;
        self.begin(Begins::Alone)
    }

    /// Starts it with the data that it had before it was alone.
    pub(super) fn start_as_before(&mut self) -> Result<()> {
        self.replace_by(ASIDE)?;
        self.restart()
    }

    /// Starts it without any data, in an etcd to which it was added anew.
    pub(super) fn start_added(&mut self) -> Result<()> {
        for data in [DATA, ASIDE] {
            fs::remove_dir_all(self.place(data)).context("cannot remove data")?;
        }
        self.begin(Begins::Added)
    }

    /// Makes data of a snapshot, for [`Member::start_restored`]. It may run meanwhile.
    pub(super) fn restore(&self, etcdctl: &Etcdctl, snapshot: &Path, name: &str) -> Result<()> {
        let mut command = etcdctl.offline();
        command.args(["snapshot", "restore"]).arg(snapshot);
        command.arg("--data-dir").arg(self.place(RESTORED));
        command.args(["--name", self.node.name, "--initial-cluster", &self.cluster]);
        command.args(["--initial-cluster-token", name]);
        command.args(["--initial-advertise-peer-urls", &peer(self.node)]);
        cmd::output(&mut command).map(drop)
    }

    /// Starts it with restored data.
    pub(super) fn start_restored(&mut self) -> Result<()> {
        self.replace_by(RESTORED)?;
        self.restart()
    }

    /// Ends its process with no notice, if it has not ended by itself.
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
        let metrics = http::get(self.node.client(PORT), "/metrics", Duration::from_millis(500))?;
        let is = |name: &str| metrics.body.lines().any(|line| line == format!("{name} 1"));
        if is("etcd_server_is_leader") {
            Some(State::Leads)
        } else if is("etcd_server_has_leader") {
            Some(State::Follows)
        } else {
            Some(State::Alone)
        }
    }

    /// How often it has seen etcd change its leader.
    pub(super) fn leader_changes(&self) -> Option<u64> {
        let metrics = http::get(self.node.client(PORT), "/metrics", Duration::from_millis(500))?;
        let name = "etcd_server_leader_changes_seen_total ";
        let count = metrics.body.lines().find_map(|line| line.strip_prefix(name))?;
        count.trim().parse().ok()
    }

    /// Whether it serves: it asks itself for what all members must agree on (etcd:
    /// `etcdhttp.checkV3Health`).
    pub(super) fn is_healthy(&self) -> bool {
        self.is_healthy_within(Duration::from_secs(2))
    }

    /// Whether it serves as fast as it does when nothing is wrong. One that was cut off can take
    /// seconds to hear from the others again at once, long after it follows them.
    pub(super) fn is_prompt(&self) -> bool {
        self.is_healthy_within(PROMPT)
    }

    fn is_healthy_within(&self, time: Duration) -> bool {
        let health = http::get(self.node.client(PORT), "/health", time);
        health.is_some_and(|health| health.body.contains("\"health\":\"true\""))
    }

    /// Where others that belong to its etcd reach it.
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

    /// Where it has data, it goes by them.
    fn begin(&mut self, how: Begins) -> Result<()> {
        let (peer, client) = (peer(self.node), format!("http://{}", self.node.store(PORT)));
        let state = if how == Begins::Added { "existing" } else { "new" };
        let cluster = if how == Begins::Alone { itself(self.node) } else { self.cluster.clone() };
        let log = File::options().append(true).create(true).open(&self.log)?;
        let mut command = self.node.command(&self.etcd);
        command
            .args(["--name", self.node.name, "--logger", "zap"])
            .arg("--data-dir")
            .arg(self.place(DATA))
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            // On every address, as the bench asks it beside the store network.
            .args(["--listen-client-urls", &format!("http://0.0.0.0:{PORT}")])
            .args(["--advertise-client-urls", &client])
            .args(["--initial-cluster", &cluster, "--initial-cluster-state", state])
            .args(["--quota-backend-bytes", &QUOTA_BYTES.to_string()])
            // Or a long run would come to the quota by itself.
            .args(["--auto-compaction-retention", "1m"])
            // Two of three that run suffice to take another one in, whatever they have
            // just been through.
            .arg("--strict-reconfig-check=false")
            .args(["--auth-token-ttl", &LOGIN_SECONDS.to_string()])
            // A login costs etcd much time, so that nobody guesses passwords.
            .args(["--bcrypt-cost", "4"])
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C is the bench's alone.
            .process_group(0);
        self.process = Some(Running::start_as_is(self.node.name, &mut command)?);
        Ok(())
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

fn itself(node: Node) -> String {
    format!("{}={}", node.name, peer(node))
}

impl Drop for Member {
    fn drop(&mut self) {
        // A process that waits for its disk does not end before that is thawed.
        if let Err(error) = self.disk.thaw() {
            eprintln!("{error:#}");
        }
    }
}
