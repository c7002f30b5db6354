//! The cluster under test: networks, the store, hosts and their clients.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::clients::{Clients, LeaderView};
use super::clock;
use super::disk::Disk;
use super::etcdctl::Etcdctl;
use super::history::Action;
use super::host::Host;
use super::kind::StoreKind;
use super::member::{Member, MemberRole};
use super::net::{self, Node};
use super::postgres::Postgres;
use super::settings::{PREFIX, Settings, store_url};
use super::switch::Switch;

const MEMBERS: [Node; 3] = [
    Node { name: "etcd-1", id: 1 },
    Node { name: "etcd-2", id: 2 },
    Node { name: "etcd-3", id: 3 },
];

const POSTGRES: Node = Node { name: "postgres", id: 4 };

const HOSTS: [Node; 5] = [
    Node { name: "a", id: 11 },
    Node { name: "b", id: 12 },
    Node { name: "c", id: 13 },
    Node { name: "d", id: 14 },
    Node { name: "e", id: 15 },
];

/// How long the cluster may take to recover from anything.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// How long it may take to recover before the trouble is printed.
const WORD: Duration = Duration::from_secs(3);
/// The interval of polling.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// How long etcd must have kept its leader and been prompt to count as settled. A member that wants
/// another leader shows it sooner.
const REST: Duration = Duration::from_millis(1500);
/// The highest age of the last good answer.
const FRESH: Duration = Duration::from_millis(200);

/// The programs and parameters of a cluster.
pub(super) struct ClusterParts {
    pub(super) soloist: PathBuf,
    pub(super) store: StoreKind,
    /// The program of the store's server.
    pub(super) server: PathBuf,
    /// The actions of every host, each with its plugin.
    pub(super) plugins: Vec<(Action, PathBuf)>,
    pub(super) ttl: Duration,
    pub(super) seed: u64,
    /// The folder for logs and histories.
    pub(super) folder: PathBuf,
}

/// A running cluster. Everything ends when it is dropped.
pub(super) struct TestCluster {
    // Dropped before the clients, which wait for answers as long as a host runs.
    pub(super) hosts: Vec<Host>,
    pub(super) clients: Clients,
    /// The members of etcd; none if the store is a PostgreSQL.
    pub(super) members: Vec<Member>,
    postgres: Option<Postgres>,
    pub(super) switch: Switch,
    pub(super) etcdctl: Etcdctl,
    /// etcd's `--initial-cluster-token`. A cluster with another fencing token is another etcd.
    pub(super) etcd_name: String,
    pub(super) ttl: Duration,
    /// A folder for what faults need.
    pub(super) folder: PathBuf,
    /// The folder that the action `files` reads.
    pub(super) files: PathBuf,
    /// The number of leader changes that each etcd member has counted, and since when these numbers
    /// stay the same.
    changes: (Vec<Option<u64>>, u64),
    /// The hosts whose process has ended by itself, once for each time.
    pub(super) ended: Vec<&'static str>,
    interrupted: Arc<AtomicBool>,
}

impl TestCluster {
    /// Starts everything, and waits until one host leads and all others stand by.
    pub(super) fn start(parts: &ClusterParts, interrupted: Arc<AtomicBool>) -> Result<Self> {
        let (folder, server, ttl) = (&parts.folder, &parts.server, parts.ttl);
        let nodes = match parts.store {
            StoreKind::Etcd => &MEMBERS[..],
            StoreKind::Postgres => &[POSTGRES],
        };
        net::build(&[nodes, &HOSTS[..]].concat())?;
        let switch = Switch::start(parts.seed)?;
        let (members, postgres) = match parts.store {
            StoreKind::Etcd => {
                let start = |node: &Node| Member::start(server, *node, &MEMBERS, folder);
                (MEMBERS.iter().map(start).collect::<Result<Vec<_>>>()?, None)
            }
            StoreKind::Postgres => (Vec::new(), Some(Postgres::start(server, POSTGRES, folder)?)),
        };
        let etcdctl = Etcdctl::sibling(server);
        let store = store_url(parts.store, nodes);
        let settings = Settings::write(folder, &parts.plugins, &store, ttl.as_secs())?;
        let actions = parts.plugins.iter().map(|(action, _)| *action);
        let actions: Vec<_> = actions.filter(|action| *action != Action::Files).collect();
        let patience = ttl * 3 + Duration::from_secs(4);
        let clients = Clients::start(&HOSTS, &actions, &folder.join("history.jsonl"), patience)?;
        let mut cluster = Self {
            hosts: Vec::new(),
            clients,
            members,
            postgres,
            switch,
            etcdctl,
            // etcd's default.
            etcd_name: "etcd-cluster".to_owned(),
            ttl,
            folder: folder.clone(),
            files: settings.files.clone(),
            changes: (Vec::new(), 0),
            ended: Vec::new(),
            interrupted,
        };
        cluster.wait_until("the store serves", Self::is_store_whole)?;
        match parts.store {
            StoreKind::Etcd => cluster.etcdctl.guard(MEMBERS[0], PREFIX)?,
            StoreKind::Postgres => {
                let is_up = |cluster: &mut Self| Ok(cluster.postgres()?.is_up());
                cluster.wait_until("PostgreSQL has started", is_up)?;
                cluster.postgres()?.let_hosts_in()?;
            }
        }
        for node in HOSTS {
            cluster.hosts.push(Host::start(&parts.soloist, node, &settings, folder)?);
        }
        cluster.wait_until_steady()?;
        Ok(cluster)
    }

    /// Waits until one host leads and answers, all others stand by, and the store is whole. If that
    /// takes long, the trouble is printed.
    pub(super) fn wait_until_steady(&mut self) -> Result<LeaderView> {
        let deadline = clock::now() + clock::ns(PATIENCE);
        let mut next_word = clock::now() + clock::ns(WORD);
        loop {
            self.revive()?;
            let Some(trouble) = self.trouble() else {
                return Ok(self.clients.view());
            };
            if clock::now() > deadline {
                bail!("not well again after {} s: {trouble}", PATIENCE.as_secs());
            }
            if clock::now() > next_word {
                println!("      {trouble}");
                next_word += clock::ns(WORD);
            }
            self.pause(POLL_INTERVAL)?;
        }
    }

    /// Restarts hosts whose process has ended by itself: a host that cannot end its term in time
    /// aborts.
    fn revive(&mut self) -> Result<()> {
        for host in &mut self.hosts {
            if host.has_ended()? {
                self.ended.push(host.node.name);
                host.restart()?;
            }
        }
        Ok(())
    }

    /// Takes back every kind of fault, as far as possible, so that nothing waits in vain
    /// afterwards.
    pub(super) fn calm(&mut self) {
        self.switch.heal();
        for host in &self.hosts {
            let _ = host.node.set_connected(true);
            let _ = host.signal(Signal::CONT);
            let _ = host.signal_performer(Signal::CONT);
        }
        for member in &mut self.members {
            let _ = member.signal(Signal::CONT);
        }
        if let Some(server) = &self.postgres {
            let _ = server.thaw();
        }
        for disk in self.disks() {
            let _ = disk.thaw();
            let _ = disk.free();
        }
    }

    /// The PostgreSQL, if that is the store.
    pub(super) fn postgres(&mut self) -> Result<&mut Postgres> {
        self.postgres.as_mut().context("the store is no PostgreSQL")
    }

    /// The disks of the store.
    pub(super) fn disks(&mut self) -> impl Iterator<Item = &mut Disk> {
        let postgres = self.postgres.iter_mut().map(|server| &mut server.disk);
        self.members.iter_mut().map(|member| &mut member.disk).chain(postgres)
    }

    /// The nodes of the store.
    pub(super) fn store_nodes(&self) -> Vec<Node> {
        let postgres = self.postgres.iter().map(|server| server.node);
        self.members.iter().map(|member| member.node).chain(postgres).collect()
    }

    /// Waits until the process of a host that was asked to stop has ended.
    pub(super) fn wait_for_end(&mut self, node: Node) -> Result<()> {
        self.wait_until(&format!("{} has ended", node.name), |cluster| {
            cluster.host(node)?.has_ended()
        })
    }

    /// Waits until a host answers under a newer fencing token than `fencing_token`.
    pub(super) fn wait_for_newer(&mut self, fencing_token: u64) -> Result<()> {
        self.wait_until("another host leads", |cluster| {
            Ok(cluster.clients.view().fencing_token > fencing_token)
        })
    }

    /// Polls `is_so` until it holds; `what` describes it in errors.
    pub(super) fn wait_until(
        &mut self,
        what: &str,
        mut is_so: impl FnMut(&mut Self) -> Result<bool>,
    ) -> Result<()> {
        let deadline = clock::now() + clock::ns(PATIENCE);
        while !is_so(self)? {
            if clock::now() > deadline {
                bail!("waited in vain for {} s until {what}", PATIENCE.as_secs());
            }
            self.pause(POLL_INTERVAL)?;
        }
        Ok(())
    }

    /// Sleeps; fails if the bench was interrupted.
    pub(super) fn pause(&self, time: Duration) -> Result<()> {
        let until = clock::now() + clock::ns(time);
        while clock::now() < until {
            if self.interrupted.load(Ordering::Relaxed) {
                bail!("interrupted");
            }
            let left = Duration::from_nanos(until.saturating_sub(clock::now()));
            thread::sleep(left.min(Duration::from_millis(50)));
        }
        Ok(())
    }

    /// The host that leads, according to the clients.
    pub(super) fn leader(&mut self) -> Result<&mut Host> {
        let name = self.clients.view().host;
        let leader = self.hosts.iter_mut().find(|host| host.node.name == name);
        leader.with_context(|| format!("an unknown host answers: {name:?}"))
    }

    /// The host on `node`.
    pub(super) fn host(&mut self, node: Node) -> Result<&mut Host> {
        let host = self.hosts.iter_mut().find(|host| host.node == node);
        host.with_context(|| format!("there is no host {}", node.name))
    }

    /// Whether all members of etcd know their leader and serve, or the PostgreSQL does.
    pub(super) fn is_store_whole(&mut self) -> Result<bool> {
        let serves = self.postgres.as_ref().is_none_or(Postgres::is_prompt);
        Ok(serves && self.are_members_in()? && self.members.iter().all(Member::is_healthy))
    }

    /// Whether all members of etcd lead or follow, even under an alarm.
    pub(super) fn are_members_in(&mut self) -> Result<bool> {
        let is_in = |member: &Member| {
            matches!(member.state(), Some(MemberRole::Leads | MemberRole::Follows))
        };
        Ok(self.members.iter().all(is_in))
    }

    /// The position of etcd's leader among the members.
    pub(super) fn etcd_leader(&self) -> Result<usize> {
        let leads = |member: &Member| member.state() == Some(MemberRole::Leads);
        self.members.iter().position(leads).context("etcd has no leader")
    }

    /// Whether etcd has kept its leader for a while and has answered promptly all the time. A
    /// member that comes back may cause an election (etcd: `--pre-vote`, which 3.4 has off), and
    /// that would be a fault of its own.
    fn has_rested(&mut self) -> bool {
        if let Some(server) = &self.postgres {
            return server.is_prompt();
        }
        let changes: Vec<_> = self.members.iter().map(Member::leader_changes).collect();
        let prompt = self.members.iter().all(Member::is_prompt);
        let now = clock::now();
        if changes != self.changes.0 || !prompt {
            self.changes = (changes, now);
        }
        now - self.changes.1 > clock::ns(REST)
    }

    /// What keeps the cluster from being steady, if anything.
    fn trouble(&mut self) -> Option<String> {
        let view = self.clients.view();
        for host in &self.hosts {
            let name = host.node.name;
            let Some(status) = host.status() else {
                return Some(format!("{name} does not answer"));
            };
            if !status.stands || status.leads != (name == view.host) {
                return Some(format!("{name} is not in its place: {status:?}, {view:?}"));
            }
            if status.fencing_token != Some(view.fencing_token)
                || status.leader != Some(view.host.clone())
            {
                return Some(format!("{name} does not know the leader: {status:?}, {view:?}"));
            }
            if status.hosts.len() != self.hosts.len() || !status.removals.is_empty() {
                return Some(format!("{name} does not see all hosts, and them alone: {status:?}"));
            }
        }
        for member in &self.members {
            if !matches!(member.state(), Some(MemberRole::Leads | MemberRole::Follows)) {
                return Some(format!("{} is not in its cluster", member.node.name));
            }
        }
        if !self.has_rested() {
            return Some(
                "the store is slow, or etcd has changed its leader a moment ago".to_owned(),
            );
        }
        let since = clock::now().saturating_sub(view.last);
        (since > clock::ns(FRESH)).then(|| format!("{} does not answer its clients", view.host))
    }
}
