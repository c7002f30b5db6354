//! Faults that hit a host or etcd members, last for a while, and are taken back.

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::bed::Bed;
use crate::injected::Injected;
use crate::kind::Kind;
use crate::links::Link;
use crate::member::Member;
use crate::net::Node;
use crate::plan::Fault;

const CUT: Link = Link { cut: true, loss: 0, delay: None };

/// Injects the fault, and takes it back after its time, or when another host leads.
pub(super) fn run(bed: &mut Bed, fault: &Fault) -> Result<Injected> {
    let hit = Hit::choose(bed, fault)?;
    let mut injected = Injected::begin(fault.kind, hit.target.clone(), &bed.clients.view());
    hit.inject(bed, fault)?;
    match fault.kind {
        Kind::HandOver | Kind::Crash | Kind::MachineCrash => bed.wait_for_newer(injected.token),
        _ => bed.pause(fault.hold),
    }
    .with_context(|| hit.target.clone())?;
    injected.heal();
    hit.heal(bed, fault.kind).with_context(|| format!("cannot heal {}", hit.target))?;
    Ok(injected)
}

/// What a fault hits.
struct Hit {
    /// The leading host.
    leader: Node,
    /// The positions of etcd members.
    members: Vec<usize>,
    /// Whether the supervisor is frozen together with its child.
    wide: bool,
    /// A description of the target.
    target: String,
}

impl Hit {
    fn choose(bed: &mut Bed, fault: &Fault) -> Result<Self> {
        let leader = bed.leader()?.node;
        let etcd = bed.etcd_leader()?;
        let all = 0..bed.members.len();
        let members: Vec<_> = match fault.kind {
            Kind::MemberIsolated => {
                let followers: Vec<_> = all.filter(|member| *member != etcd).collect();
                followers.get(fault.choice % followers.len().max(1)).copied().into_iter().collect()
            }
            Kind::EtcdLeaderIsolated | Kind::EtcdLeaderStopped => vec![etcd],
            Kind::MemberKilled => vec![fault.choice % all.len()],
            Kind::EtcdDown => all.collect(),
            Kind::DiskStall if fault.wide => all.collect(),
            Kind::DiskStall => vec![etcd],
            _ => Vec::new(),
        };
        let names = |members: &[usize]| {
            let names = members.iter().filter_map(|member| bed.members.get(*member));
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
            Kind::MemberKilled if members.contains(&etcd) => format!("{} (leads)", names(&members)),
            _ if members.is_empty() => leader.name.to_owned(),
            _ => names(&members),
        };
        Ok(Self { leader, members, wide, target })
    }

    fn inject(&self, bed: &mut Bed, fault: &Fault) -> Result<()> {
        match fault.kind {
            Kind::HandOver => bed.leader()?.signal(Signal::TERM),
            Kind::Crash => bed.leader()?.signal_performer(Signal::KILL),
            Kind::MachineCrash => bed.host(self.leader)?.kill(),
            Kind::Freeze => self.freeze(bed, Signal::STOP),
            Kind::PartitionStore => {
                self.link_leader(bed, CUT, CUT);
                Ok(())
            }
            Kind::PartitionAll => {
                self.link_leader(bed, CUT, CUT);
                self.leader.set_connected(false)
            }
            Kind::OneWayOut => {
                self.link_leader(bed, CUT, Link::default());
                Ok(())
            }
            Kind::OneWayIn => {
                self.link_leader(bed, Link::default(), CUT);
                Ok(())
            }
            Kind::MemberIsolated | Kind::EtcdLeaderIsolated => {
                self.isolate(bed);
                Ok(())
            }
            Kind::EtcdLeaderStopped => self.each(bed, |member| member.signal(Signal::STOP)),
            Kind::MemberKilled | Kind::EtcdDown => self.each(bed, Member::kill),
            Kind::Delay | Kind::Loss => {
                self.disturb(bed, fault);
                Ok(())
            }
            Kind::DiskStall => self.each(bed, |member| member.disk.freeze()),
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

    fn heal(&self, bed: &mut Bed, kind: Kind) -> Result<()> {
        bed.switch.heal();
        match kind {
            Kind::HandOver => {
                bed.wait_for_end(self.leader)?;
                bed.host(self.leader)?.restart()
            }
            Kind::MachineCrash => bed.host(self.leader)?.restart(),
            Kind::Freeze => self.freeze(bed, Signal::CONT),
            Kind::PartitionAll => self.leader.set_connected(true),
            Kind::EtcdLeaderStopped => self.each(bed, |member| member.signal(Signal::CONT)),
            Kind::MemberKilled | Kind::EtcdDown => self.each(bed, Member::restart),
            Kind::DiskStall => self.each(bed, |member| member.disk.thaw()),
            // After a crash the supervisor restarts the host; everything else is healed by the
            // switch.
            _ => Ok(()),
        }
    }

    fn each(&self, bed: &mut Bed, act: impl Fn(&mut Member) -> Result<()>) -> Result<()> {
        for &position in &self.members {
            act(bed.members.get_mut(position).context("no such member")?)?;
        }
        Ok(())
    }

    /// Freezes the process that runs the actions, or lets it continue.
    fn freeze(&self, bed: &mut Bed, signal: Signal) -> Result<()> {
        let host = bed.host(self.leader)?;
        if self.wide {
            host.signal(signal)?;
        }
        host.signal_performer(signal)
    }

    /// Sets the links from the leader to etcd and back.
    fn link_leader(&self, bed: &Bed, out: Link, back: Link) {
        for member in &bed.members {
            bed.switch.set(self.leader, member.node, out);
            bed.switch.set(member.node, self.leader, back);
        }
    }

    fn isolate(&self, bed: &Bed) {
        for &position in &self.members {
            let Some(member) = bed.members.get(position) else { continue };
            let peers = bed.members.iter().map(|peer| peer.node);
            let hosts = bed.hosts.iter().map(|host| host.node).filter(|_| self.wide);
            for other in peers.chain(hosts) {
                bed.switch.set(member.node, other, CUT);
                bed.switch.set(other, member.node, CUT);
            }
        }
    }

    fn disturb(&self, bed: &Bed, fault: &Fault) {
        let link = match fault.kind {
            // Half of it is jitter.
            Kind::Delay => Link {
                delay: Some((fault.strength - fault.strength / 2, fault.strength)),
                ..Link::default()
            },
            _ => Link { loss: u8::try_from(fault.strength).unwrap_or(100), ..Link::default() },
        };
        if !fault.wide {
            return self.link_leader(bed, link, link);
        }
        let members = bed.members.iter().map(|member| member.node);
        let nodes: Vec<_> = members.chain(bed.hosts.iter().map(|host| host.node)).collect();
        for from in &nodes {
            for to in &nodes {
                bed.switch.set(*from, *to, link);
            }
        }
    }
}
