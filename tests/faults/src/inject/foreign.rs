//! An etcd member that has lost its data and was started alone: it is another etcd, at an address
//! that all hosts know.

use anyhow::{Context, Result};

use super::space::make_room;
use crate::cluster::TestCluster;
use crate::injected_fault::{InjectedFault, Observation};
use crate::member::MemberRole;
use crate::net::Node;
use crate::plan::Fault;
use crate::settings::PREFIX;

/// Turns a member into another etcd for a while, and restarts a host during that time.
pub(super) fn run(cluster: &mut TestCluster, fault: &Fault) -> Result<InjectedFault> {
    let place = fault.choice % cluster.members.len();
    let (stranger, other) = (cluster.members[place].node, cluster.members[(place + 1) % 3].node);
    let comes_back_empty = fault.choice.is_multiple_of(2);
    let as_what = if fault.wide { ", that takes the hosts' login" } else { "" };
    let how = if comes_back_empty { "added again" } else { "with its old data" };
    let target = format!("{}{as_what}, {how}", stranger.name);
    let mut injected = InjectedFault::begin(fault.kind, target, &cluster.clients.view());
    cluster.members[place].kill()?;
    cluster.members[place].start_alone()?;
    let leads =
        |cluster: &mut TestCluster| Ok(cluster.members[place].state() == Some(MemberRole::Leads));
    cluster.wait_until("the stranger serves", leads)?;
    if fault.wide {
        cluster.etcdctl.guard(stranger, PREFIX)?;
    }
    start_a_standby(cluster, fault.choice)?;
    let observation =
        cluster.observe("all go by the etcd of most members", cluster.ttl * 4, |host, view| {
            let status = host.status().unwrap_or_default();
            let is_right = status.leader.as_deref() == Some(&view.host)
                && status.fencing_token == Some(view.fencing_token)
                && status.leads == (host.node.name == view.host);
            (!is_right).then(|| format!("{status:?}"))
        })?;
    injected.observations.push(observation);
    cluster.pause(fault.hold)?;
    injected.observations.push(is_untouched(cluster, stranger)?);
    injected.heal();
    cluster.members[place].kill()?;
    if !comes_back_empty {
        cluster.members[place].start_as_before()?;
        return Ok(injected);
    }
    let (url, name) = (cluster.members[place].peer_url(), stranger.name);
    let is_in = |cluster: &mut TestCluster| {
        let state = cluster.members[(place + 1) % 3].state();
        Ok(matches!(state, Some(MemberRole::Leads | MemberRole::Follows)))
    };
    cluster.wait_until("the other members have a leader", is_in)?;
    cluster.etcdctl.at(other, &["member", "remove", &id(cluster, other, name)?])?;
    cluster.etcdctl.at(other, &["member", "add", name, "--peer-urls", &url])?;
    cluster.members[place].start_added()?;
    cluster.wait_until("the new member is in", TestCluster::are_members_in)?;
    // The member replays what was written and deleted since the last snapshot of its log. This may
    // exceed its quota and raise an alarm, under which no member is healthy.
    make_room(cluster, other)?;
    cluster.wait_until("etcd serves", TestCluster::is_store_whole)?;
    Ok(injected)
}

/// Kills a standby and starts it again: a host that starts knows nothing about the store yet.
fn start_a_standby(cluster: &mut TestCluster, choice: usize) -> Result<()> {
    let leader = cluster.leader()?.node;
    let standbys: Vec<_> = cluster.hosts.iter().map(|host| host.node).collect();
    let standbys: Vec<_> = standbys.into_iter().filter(|node| *node != leader).collect();
    let host = cluster.host(standbys[choice % standbys.len()])?;
    host.kill()?;
    host.restart()
}

/// Checks that no host has written to the other etcd.
fn is_untouched(cluster: &TestCluster, stranger: Node) -> Result<Observation> {
    let keys = cluster.etcdctl.at(stranger, &["get", "--prefix", PREFIX, "--keys-only"])?;
    let keys = keys.lines().filter(|line| !line.is_empty());
    let failed = keys.map(|key| format!("it has the key {key}")).collect();
    Ok(Observation { what: "nobody writes to a stranger".to_owned(), failed })
}

/// The id of a member, as etcd lists it.
fn id(cluster: &TestCluster, by: Node, name: &str) -> Result<String> {
    let list = cluster.etcdctl.json(by, &["member", "list"])?;
    let members = list["members"].as_array().context("etcd lists no members")?;
    let member = members.iter().find(|member| member["name"] == name);
    let id = member.and_then(|member| member["ID"].as_u64());
    Ok(format!("{:x}", id.with_context(|| format!("etcd does not list {name}: {list}"))?))
}
