//! The store is restored to an earlier state within the TTL.
//!
//! A host that has seen more of the store's history says so, and stands again when the fencing
//! tokens are raised; if it is another etcd, it leads nothing until it is restarted. Either way all
//! hosts are restarted then, because what was written after the snapshot is lost: another history
//! begins at a moment when no host runs.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::clock;
use crate::cluster::TestCluster;
use crate::injected_fault::{InjectedFault, Observation, Rebased};
use crate::plan::Fault;

/// The minimum number of revisions that the snapshot is behind: more than hosts write before the
/// last of them has noticed.
const BEHIND: usize = 30;
/// The event that a host logs when it notices that the store went back.
const NOTICED: &str = "store-changed";

/// Restores a snapshot, and restarts all hosts after they have noticed.
pub(super) fn run(cluster: &mut TestCluster, fault: &Fault) -> Result<InjectedFault> {
    // Restored under the same name, it is the same etcd; under another name it is another one.
    let is_same = fault.choice.is_multiple_of(2);
    let saved = prepare(cluster, fault, is_same)?;
    let as_what = if is_same { "as the same etcd" } else { "as another etcd" };
    let then = if fault.wide { ", after a hand-over" } else { "" };
    let target = format!("{as_what}{then}");
    let mut injected = InjectedFault::begin(fault.kind, target, &cluster.clients.view());
    let noticed = noticed(cluster);
    for member in &mut cluster.members {
        member.kill()?;
    }
    for member in &mut cluster.members {
        member.start_restored()?;
    }
    cluster.wait_until("etcd serves", TestCluster::is_store_whole)?;
    let observation = observe(cluster, is_same, &noticed)?;
    injected.observations.push(observation);
    let all_know = clock::now();
    injected.heal();
    let at = restart_all(cluster)?;
    // In the same etcd a host may lead again before it is restarted.
    let held = if is_same { at } else { all_know };
    injected.rebased = Some(Rebased::Restored { saved, held, at });
    cluster.wait_for_newer(0)?;
    Ok(injected)
}

/// Waits until all hosts have noticed what has become of the store. `noticed` is how often each had
/// noticed such a thing before.
pub(super) fn observe(
    cluster: &mut TestCluster,
    is_same: bool,
    noticed: &BTreeMap<&'static str, usize>,
) -> Result<Observation> {
    cluster.observe("all say what has become of the store", cluster.ttl * 4, |host, _| {
        if is_same {
            let before = noticed.get(host.node.name).copied().unwrap_or_default();
            return (host.count_events(NOTICED) <= before).then(|| "no word of it".to_owned());
        }
        let status = host.status().unwrap_or_default();
        let words = "is a member of another etcd";
        let says = |text: &Option<String>| text.as_ref().is_some_and(|it| it.contains(words));
        let is_told = says(&status.obstacle) || says(&status.store_error);
        let is_right = is_told && !status.leads && host.why_not_ready().is_some();
        (!is_right).then(|| format!("{status:?}"))
    })
}

/// Makes a snapshot, lets the store advance, and creates restored data for each member. Returns
/// when the snapshot was begun and when it was complete.
fn prepare(cluster: &mut TestCluster, fault: &Fault, is_same: bool) -> Result<(u64, u64)> {
    let node = cluster.members[fault.choice % cluster.members.len()].node;
    let snapshot = cluster.folder.join("snapshot");
    let file = snapshot.to_str().context("the folder has an odd name")?;
    let begun = clock::now();
    cluster.etcdctl.at(node, &["snapshot", "save", file])?;
    let done = clock::now();
    for round in 0..BEHIND {
        cluster.etcdctl.at(node, &["put", "later", &round.to_string()])?;
    }
    if fault.wide {
        hand_over(cluster)?;
    }
    if !is_same {
        cluster.etcd_name = format!("restored-{begun}");
    }
    for member in &cluster.members {
        member.restore(&cluster.etcdctl, &snapshot, &cluster.etcd_name)?;
    }
    Ok((begun, done))
}

/// How often each host has noticed that the store went back.
pub(super) fn noticed(cluster: &TestCluster) -> BTreeMap<&'static str, usize> {
    cluster.hosts.iter().map(|host| (host.node.name, host.count_events(NOTICED))).collect()
}

/// Stops the leader, and starts it again when another host leads, under a fencing token that the
/// snapshot does not contain.
pub(super) fn hand_over(cluster: &mut TestCluster) -> Result<()> {
    let (leader, fencing_token) = (cluster.leader()?.node, cluster.clients.view().fencing_token);
    cluster.host(leader)?.signal(Signal::TERM)?;
    cluster.wait_for_newer(fencing_token)?;
    cluster.wait_for_end(leader)?;
    cluster.host(leader)?.restart()?;
    cluster.wait_until_steady().map(drop)
}

/// Restarts all hosts; returns a moment when none of them ran.
pub(super) fn restart_all(cluster: &mut TestCluster) -> Result<u64> {
    let nodes: Vec<_> = cluster.hosts.iter().map(|host| host.node).collect();
    for host in &cluster.hosts {
        host.signal(Signal::TERM)?;
    }
    for node in &nodes {
        cluster.wait_for_end(*node)?;
    }
    let at = clock::now();
    cluster.clients.rebase(at);
    for host in &mut cluster.hosts {
        host.note_epoch()?;
        host.restart()?;
    }
    Ok(at)
}
