//! etcd has no room: its quota or its disks are full.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::clock;
use crate::cluster::{PATIENCE, TestCluster};
use crate::injected_fault::InjectedFault;
use crate::net::Node;
use crate::plan::Fault;

/// The key that fills the quota.
const FILLER: &str = "filler";
/// etcd accepts at most 1.5 MiB in one request.
const PIECE: usize = 1_000_000;

/// Fills etcd up to its quota. It then refuses writes until an operator makes room.
pub(super) fn run_out(cluster: &mut TestCluster, fault: &Fault) -> Result<InjectedFault> {
    let node = cluster.members[fault.choice % cluster.members.len()].node;
    let target = format!("etcd, by {}", node.name);
    let mut injected = InjectedFault::begin(fault.kind, target, &cluster.clients.view());
    let deadline = clock::now() + clock::ns(PATIENCE);
    // A write may also be refused for another reason.
    while put(cluster, node)? || cluster.etcdctl.at(node, &["alarm", "list"])?.is_empty() {
        if clock::now() > deadline {
            bail!("etcd has taken everything for {} s", PATIENCE.as_secs());
        }
    }
    let observation = cluster.observe(
        "all say that etcd is full, and are not ready",
        cluster.ttl * 4,
        |host, _| {
            let says = |text: Option<String>, words| text.is_some_and(|text| text.contains(words));
            let status = host.status().unwrap_or_default();
            let is_right = says(host.why_not_ready(), "is full")
                && says(status.store_error.clone(), "etcdctl alarm disarm");
            (!is_right).then(|| format!("{status:?}"))
        },
    )?;
    injected.observations.push(observation);
    cluster.pause(fault.hold)?;
    make_room(cluster, node)?;
    injected.heal();
    Ok(injected)
}

/// Fills the disk of etcd's leader, or of all members.
pub(super) fn fill_disks(cluster: &mut TestCluster, fault: &Fault) -> Result<InjectedFault> {
    let leader = cluster.etcd_leader()?;
    let hit = if fault.wide { 0..cluster.members.len() } else { leader..leader + 1 };
    let names: Vec<_> = cluster.members[hit.clone()].iter().map(|it| it.node.name).collect();
    let mut injected = InjectedFault::begin(fault.kind, names.join(", "), &cluster.clients.view());
    for member in &cluster.members[hit.clone()] {
        member.disk.fill()?;
    }
    // Existing files still have some room. etcd ends when that is used up.
    while put(cluster, cluster.members[leader].node)? {}
    if fault.wide {
        let observation =
            cluster.observe("all say that they are not ready", cluster.ttl * 2, |host, _| {
                host.why_not_ready().is_none().then(|| format!("{:?}", host.status()))
            })?;
        injected.observations.push(observation);
    }
    cluster.pause(fault.hold)?;
    for member in &mut cluster.members[hit] {
        member.disk.free()?;
        // Most members have ended by themselves. One that has not is in no better state.
        member.kill()?;
        member.restart()?;
    }
    injected.heal();
    cluster.wait_until("etcd serves", TestCluster::is_store_whole)?;
    make_room(cluster, cluster.members[leader].node)?;
    Ok(injected)
}

/// Writes a large value to etcd; returns whether etcd accepted it.
fn put(cluster: &TestCluster, node: Node) -> Result<bool> {
    let file = cluster.folder.join(FILLER);
    if !file.exists() {
        fs::write(&file, "x".repeat(PIECE))?;
    }
    cluster.etcdctl.takes(node, &["put", FILLER], &file)
}

/// Makes room in the way that docs/operations.md describes.
pub(super) fn make_room(cluster: &TestCluster, node: Node) -> Result<()> {
    let etcdctl = &cluster.etcdctl;
    let deleted = etcdctl.json(node, &["del", FILLER])?;
    let revision = deleted["header"]["revision"].as_u64().context("etcd has no revision")?;
    etcdctl.at(node, &["compact", &revision.to_string(), "--physical"])?;
    for member in &cluster.members {
        etcdctl.at(member.node, &["defrag"])?;
    }
    etcdctl.at(node, &["alarm", "disarm"]).map(drop)
}
