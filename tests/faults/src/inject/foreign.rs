//! An etcd member that has lost its data and was started alone: it is another etcd, at an address
//! that all hosts know.

use anyhow::{Context, Result};

use super::space::make_room;
use crate::bed::Bed;
use crate::injected::{Injected, Look};
use crate::member::State;
use crate::net::Node;
use crate::plan::Fault;
use crate::settings::PREFIX;

/// Turns a member into another etcd for a while, and restarts a host during that time.
pub(super) fn run(bed: &mut Bed, fault: &Fault) -> Result<Injected> {
    let place = fault.choice % bed.members.len();
    let (stranger, other) = (bed.members[place].node, bed.members[(place + 1) % 3].node);
    let comes_back_empty = fault.choice.is_multiple_of(2);
    let as_what = if fault.wide { ", that takes the hosts' login" } else { "" };
    let how = if comes_back_empty { "added anew" } else { "with its old data" };
    let target = format!("{}{as_what}, {how}", stranger.name);
    let mut injected = Injected::begin(fault.kind, target, &bed.clients.view());
    bed.members[place].kill()?;
    bed.members[place].start_alone()?;
    let leads = |bed: &mut Bed| Ok(bed.members[place].state() == Some(State::Leads));
    bed.wait_until("the stranger serves", leads)?;
    if fault.wide {
        bed.etcdctl.guard(stranger, PREFIX)?;
    }
    start_a_standby(bed, fault.choice)?;
    let look = bed.look("all go by the etcd of most members", bed.ttl * 4, |host, view| {
        let status = host.status().unwrap_or_default();
        let is_right = status.leader.as_deref() == Some(&view.host)
            && status.token == Some(view.token)
            && status.leads == (host.node.name == view.host);
        (!is_right).then(|| format!("{status:?}"))
    })?;
    injected.looks.push(look);
    bed.pause(fault.hold)?;
    injected.looks.push(is_untouched(bed, stranger)?);
    injected.heal();
    bed.members[place].kill()?;
    if !comes_back_empty {
        bed.members[place].start_as_before()?;
        return Ok(injected);
    }
    let (url, name) = (bed.members[place].peer_url(), stranger.name);
    let is_in = |bed: &mut Bed| {
        let state = bed.members[(place + 1) % 3].state();
        Ok(matches!(state, Some(State::Leads | State::Follows)))
    };
    bed.wait_until("the other members have a leader", is_in)?;
    bed.etcdctl.at(other, &["member", "remove", &id(bed, other, name)?])?;
    bed.etcdctl.at(other, &["member", "add", name, "--peer-urls", &url])?;
    bed.members[place].start_added()?;
    bed.wait_until("the new member is in", Bed::are_members_in)?;
    // The member replays what was written and deleted since the last snapshot of its log. This may
    // exceed its quota and raise an alarm, under which no member is healthy.
    make_room(bed, other)?;
    bed.wait_until("etcd serves", Bed::is_store_whole)?;
    Ok(injected)
}

/// Kills a standby and starts it again: a host that starts knows nothing about the store yet.
fn start_a_standby(bed: &mut Bed, choice: usize) -> Result<()> {
    let leader = bed.leader()?.node;
    let standbys: Vec<_> = bed.hosts.iter().map(|host| host.node).collect();
    let standbys: Vec<_> = standbys.into_iter().filter(|node| *node != leader).collect();
    let host = bed.host(standbys[choice % standbys.len()])?;
    host.kill()?;
    host.restart()
}

/// Checks that no host has written to the other etcd.
fn is_untouched(bed: &Bed, stranger: Node) -> Result<Look> {
    let keys = bed.etcdctl.at(stranger, &["get", "--prefix", PREFIX, "--keys-only"])?;
    let keys = keys.lines().filter(|line| !line.is_empty());
    let failed = keys.map(|key| format!("it has the key {key}")).collect();
    Ok(Look { what: "nobody writes to a stranger".to_owned(), failed })
}

/// The id of a member, as etcd lists it.
fn id(bed: &Bed, by: Node, name: &str) -> Result<String> {
    let list = bed.etcdctl.json(by, &["member", "list"])?;
    let members = list["members"].as_array().context("etcd lists no members")?;
    let member = members.iter().find(|member| member["name"] == name);
    let id = member.and_then(|member| member["ID"].as_u64());
    Ok(format!("{:x}", id.with_context(|| format!("etcd does not list {name}: {list}"))?))
}
