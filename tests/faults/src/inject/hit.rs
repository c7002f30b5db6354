//! Faults that hit a host or the store's servers, last for a while, and are taken back.

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::cluster::TestCluster;
use crate::injected_fault::InjectedFault;
use crate::kind::Kind;
use crate::links::Link;
use crate::member::Member;
use crate::net::Node;
use crate::plan::Fault;

const CUT: Link = Link { cut: true, loss: 0, delay: None };

/// Injects the fault, and takes it back after its time, or when another host leads.
pub(super) fn run(cluster: &mut TestCluster, fault: &Fault) -> Result<InjectedFault> {
    let hit = FaultTarget::choose(cluster, fault)?;
    let mut injected =
        InjectedFault::begin(fault.kind, hit.target.clone(), &cluster.clients.view());
    hit.inject(cluster, fault)?;
    match fault.kind {
        Kind::HandOver | Kind::Crash | Kind::MachineCrash => {
            cluster.wait_for_newer(injected.fencing_token)
        }
        Kind::LockedTable => cluster.postgres()?.lock("leases", fault.hold),
        _ => cluster.pause(fault.hold),
    }
    .with_context(|| hit.target.clone())?;
    injected.heal();
    hit.heal(cluster, fault.kind).with_context(|| format!("cannot heal {}", hit.target))?;
    Ok(injected)
}

/// What a fault hits.
struct FaultTarget {
    /// The leading host.
    leader: Node,
    /// The positions of etcd members.
    members: Vec<usize>,
    /// Whether the supervisor is frozen together with its child.
    wide: bool,
    /// A description of the target.
    target: String,
}

impl FaultTarget {
    fn choose(cluster: &mut TestCluster, fault: &Fault) -> Result<Self> {
        let leader = cluster.leader()?.node;
        let all = 0..cluster.members.len();
        // A PostgreSQL has no members.
        let etcd = if all.is_empty() { None } else { Some(cluster.etcd_leader()?) };
        let members: Vec<_> = match fault.kind {
            Kind::MemberIsolated => {
                let followers: Vec<_> = all.filter(|member| Some(*member) != etcd).collect();
                followers.get(fault.choice % followers.len().max(1)).copied().into_iter().collect()
            }
            Kind::EtcdLeaderIsolated | Kind::EtcdLeaderStopped => etcd.into_iter().collect(),
            Kind::MemberKilled => vec![fault.choice % all.len()],
            Kind::EtcdDown => all.collect(),
            Kind::DiskStall if fault.wide => all.collect(),
            Kind::DiskStall => etcd.into_iter().collect(),
            _ => Vec::new(),
        };
        let names = |members: &[usize]| {
            let names = members.iter().filter_map(|member| cluster.members.get(*member));
            names.map(|member| member.node.name).collect::<Vec<_>>().join(", ")
        };
        let wide = fault.wide;
        let target = match fault.kind {
            Kind::Freeze if wide => format!("{} and its supervisor", leader.name),
            Kind::MemberIsolated | Kind::EtcdLeaderIsolated if wide => {
                format!("{}, from the hosts too", names(&members))
            }
            Kind::Delay if wide => format!("all links, {} ms", fault.strength),
            Kind::Delay => format!("{}, {} ms", leader.name, fault.strength),
            Kind::Loss if wide => format!("all links, {} %", fault.strength),
            Kind::Loss => format!("{}, {} %", leader.name, fault.strength),
            Kind::MemberKilled if etcd.is_some_and(|etcd| members.contains(&etcd)) => {
                format!("{} (leads)", names(&members))
            }
            Kind::ServerRestarted
            | Kind::ServerFrozen
            | Kind::ServerKilled
            | Kind::LockedTable
            | Kind::DiskStall
                if members.is_empty() =>
            {
                cluster.postgres()?.node.name.to_owned()
            }
            _ if members.is_empty() => leader.name.to_owned(),
            _ => names(&members),
        };
        Ok(Self { leader, members, wide, target })
    }

    fn inject(&self, cluster: &mut TestCluster, fault: &Fault) -> Result<()> {
        match fault.kind {
            Kind::HandOver => cluster.leader()?.signal(Signal::TERM),
            Kind::Crash => cluster.leader()?.signal_performer(Signal::KILL),
            Kind::MachineCrash => cluster.host(self.leader)?.kill(),
            Kind::Freeze => self.freeze(cluster, Signal::STOP),
            Kind::PartitionStore => {
                self.link_leader(cluster, CUT, CUT);
                Ok(())
            }
            Kind::PartitionAll => {
                self.link_leader(cluster, CUT, CUT);
                self.leader.set_connected(false)
            }
            Kind::OneWayOut => {
                self.link_leader(cluster, CUT, Link::default());
                Ok(())
            }
            Kind::OneWayIn => {
                self.link_leader(cluster, Link::default(), CUT);
                Ok(())
            }
            Kind::MemberIsolated | Kind::EtcdLeaderIsolated => {
                self.isolate(cluster);
                Ok(())
            }
            Kind::EtcdLeaderStopped => self.each(cluster, |member| member.signal(Signal::STOP)),
            Kind::MemberKilled | Kind::EtcdDown => self.each(cluster, Member::kill),
            Kind::Delay | Kind::Loss => {
                self.disturb(cluster, fault);
                Ok(())
            }
            Kind::DiskStall if self.members.is_empty() => cluster.postgres()?.disk.freeze(),
            Kind::DiskStall => self.each(cluster, |member| member.disk.freeze()),
            Kind::ServerRestarted => cluster.postgres()?.stop_and_start(),
            Kind::ServerFrozen => cluster.postgres()?.freeze(),
            Kind::ServerKilled => cluster.postgres()?.kill(),
            // It is locked for as long as the statement takes.
            Kind::LockedTable => Ok(()),
            Kind::LoginExpiry
            | Kind::ForeignMember
            | Kind::Restore
            | Kind::NoSpace
            | Kind::DeletedPrefix
            | Kind::Stranger
            | Kind::HungFile
            | Kind::FullDisk => bail!("it is a story of its own"),
        }
    }

    fn heal(&self, cluster: &mut TestCluster, kind: Kind) -> Result<()> {
        cluster.switch.heal();
        match kind {
            Kind::HandOver => {
                cluster.wait_for_end(self.leader)?;
                cluster.host(self.leader)?.restart()
            }
            Kind::MachineCrash => cluster.host(self.leader)?.restart(),
            Kind::Freeze => self.freeze(cluster, Signal::CONT),
            Kind::PartitionAll => self.leader.set_connected(true),
            Kind::EtcdLeaderStopped => self.each(cluster, |member| member.signal(Signal::CONT)),
            Kind::MemberKilled | Kind::EtcdDown => self.each(cluster, Member::restart),
            Kind::DiskStall if self.members.is_empty() => cluster.postgres()?.disk.thaw(),
            Kind::DiskStall => self.each(cluster, |member| member.disk.thaw()),
            Kind::ServerFrozen => cluster.postgres()?.thaw(),
            Kind::ServerKilled => cluster.postgres()?.restart(),
            // After a crash the supervisor restarts the host; everything else is healed by the
            // switch.
            _ => Ok(()),
        }
    }

    fn each(
        &self,
        cluster: &mut TestCluster,
        act: impl Fn(&mut Member) -> Result<()>,
    ) -> Result<()> {
        for &position in &self.members {
            act(cluster.members.get_mut(position).context("no such member")?)?;
        }
        Ok(())
    }

    /// Freezes the process that runs the actions, or lets it continue.
    fn freeze(&self, cluster: &mut TestCluster, signal: Signal) -> Result<()> {
        let host = cluster.host(self.leader)?;
        if self.wide {
            host.signal(signal)?;
        }
        host.signal_performer(signal)
    }

    /// Sets the links from the leader to the store and back.
    fn link_leader(&self, cluster: &TestCluster, out: Link, back: Link) {
        for server in cluster.store_nodes() {
            cluster.switch.set(self.leader, server, out);
            cluster.switch.set(server, self.leader, back);
        }
    }

    fn isolate(&self, cluster: &TestCluster) {
        for &position in &self.members {
            let Some(member) = cluster.members.get(position) else { continue };
            let peers = cluster.members.iter().map(|peer| peer.node);
            let hosts = cluster.hosts.iter().map(|host| host.node).filter(|_| self.wide);
            for other in peers.chain(hosts) {
                cluster.switch.set(member.node, other, CUT);
                cluster.switch.set(other, member.node, CUT);
            }
        }
    }

    fn disturb(&self, cluster: &TestCluster, fault: &Fault) {
        let link = match fault.kind {
            // Half of it is jitter.
            Kind::Delay => Link {
                delay: Some((fault.strength - fault.strength / 2, fault.strength)),
                ..Link::default()
            },
            _ => Link { loss: u8::try_from(fault.strength).unwrap_or(100), ..Link::default() },
        };
        if !fault.wide {
            return self.link_leader(cluster, link, link);
        }
        let servers = cluster.store_nodes().into_iter();
        let nodes: Vec<_> = servers.chain(cluster.hosts.iter().map(|host| host.node)).collect();
        for from in &nodes {
            for to in &nodes {
                cluster.switch.set(*from, *to, link);
            }
        }
    }
}
