//! etcd has no room: its quota or its disks are full.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::bed::{Bed, PATIENCE};
use crate::clock;
use crate::injected::Injected;
use crate::net::Node;
use crate::plan::Fault;

/// The key that fills the quota.
const FILLER: &str = "filler";
/// etcd accepts at most 1.5 MiB in one request.
const PIECE: usize = 1_000_000;

/// Fills etcd up to its quota. It then refuses writes until an operator makes room.
pub(super) fn run_out(bed: &mut Bed, fault: &Fault) -> Result<Injected> {
    let node = bed.members[fault.choice % bed.members.len()].node;
    let target = format!("etcd, by {}", node.name);
    let mut injected = Injected::begin(fault.kind, target, &bed.clients.view());
    let deadline = clock::now() + clock::ns(PATIENCE);
    // A write may also be refused for another reason.
    while put(bed, node)? || bed.etcdctl.at(node, &["alarm", "list"])?.is_empty() {
        if clock::now() > deadline {
            bail!("etcd has taken everything for {} s", PATIENCE.as_secs());
        }
    }
    let look =
        bed.look("all say that etcd is full, and are not ready", bed.ttl * 4, |host, _| {
            let says = |text: Option<String>, words| text.is_some_and(|text| text.contains(words));
            let status = host.status().unwrap_or_default();
            let is_right = says(host.why_not_ready(), "is full")
                && says(status.store_error.clone(), "etcdctl alarm disarm");
            (!is_right).then(|| format!("{status:?}"))
        })?;
    injected.looks.push(look);
    bed.pause(fault.hold)?;
    make_room(bed, node)?;
    injected.heal();
    Ok(injected)
}

/// Fills the disk of etcd's leader, or of all members.
pub(super) fn fill_disks(bed: &mut Bed, fault: &Fault) -> Result<Injected> {
    let leader = bed.etcd_leader()?;
    let hit = if fault.wide { 0..bed.members.len() } else { leader..leader + 1 };
    let names: Vec<_> = bed.members[hit.clone()].iter().map(|it| it.node.name).collect();
    let mut injected = Injected::begin(fault.kind, names.join(", "), &bed.clients.view());
    for member in &bed.members[hit.clone()] {
        member.disk.fill()?;
    }
    // Existing files still have some room. etcd ends when that is used up.
    while put(bed, bed.members[leader].node)? {}
    if fault.wide {
        let look = bed.look("all say that they are not ready", bed.ttl * 2, |host, _| {
            host.why_not_ready().is_none().then(|| format!("{:?}", host.status()))
        })?;
        injected.looks.push(look);
    }
    bed.pause(fault.hold)?;
    for member in &mut bed.members[hit] {
        member.disk.free()?;
        // Most members have ended by themselves. One that has not is in no better state.
        member.kill()?;
        member.restart()?;
    }
    injected.heal();
    bed.wait_until("etcd serves", Bed::is_store_whole)?;
    make_room(bed, bed.members[leader].node)?;
    Ok(injected)
}

/// Writes a large value to etcd; returns whether etcd accepted it.
fn put(bed: &Bed, node: Node) -> Result<bool> {
    let file = bed.folder.join(FILLER);
    if !file.exists() {
        fs::write(&file, "x".repeat(PIECE))?;
    }
    bed.etcdctl.takes(node, &["put", FILLER], &file)
}

/// Makes room in the way that docs/operations.md describes.
pub(super) fn make_room(bed: &Bed, node: Node) -> Result<()> {
    let etcdctl = &bed.etcdctl;
    let deleted = etcdctl.json(node, &["del", FILLER])?;
    let revision = deleted["header"]["revision"].as_u64().context("etcd has no revision")?;
    etcdctl.at(node, &["compact", &revision.to_string(), "--physical"])?;
    for member in &bed.members {
        etcdctl.at(member.node, &["defrag"])?;
    }
    etcdctl.at(node, &["alarm", "disarm"]).map(drop)
}
