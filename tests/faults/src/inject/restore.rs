//! The store is restored to an earlier state within the TTL.
//!
//! A host that has seen more of the store's history leads nothing until it is restarted. So all
//! hosts are restarted, as docs/operations.md says. This loses what was written after the snapshot,
//! and tokens come again: another history begins at a moment when no host runs.

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::bed::Bed;
use crate::clock;
use crate::injected::{Injected, Rebased};
use crate::plan::Fault;

/// The minimum number of revisions that the snapshot is behind: more than hosts write before the
/// last of them has noticed.
const BEHIND: usize = 30;

/// Restores a snapshot, and restarts all hosts after they have noticed.
pub(super) fn run(bed: &mut Bed, fault: &Fault) -> Result<Injected> {
    // Restored under the same name, it is the same etcd; under another name it is another one.
    let is_same = fault.choice.is_multiple_of(2);
    let saved = prepare(bed, fault, is_same)?;
    let as_what = if is_same { "as the same etcd" } else { "as another etcd" };
    let then = if fault.wide { ", after a hand-over" } else { "" };
    let target = format!("{as_what}{then}");
    let mut injected = Injected::begin(fault.kind, target, &bed.clients.view());
    for member in &mut bed.members {
        member.kill()?;
    }
    for member in &mut bed.members {
        member.start_restored()?;
    }
    bed.wait_until("etcd serves", Bed::is_store_whole)?;
    let words = if is_same { "went back from" } else { "is a member of another etcd" };
    let look = bed.look("all say what has become of etcd", bed.ttl * 4, |host, _| {
        let status = host.status().unwrap_or_default();
        let says = |text: &Option<String>| text.as_ref().is_some_and(|it| it.contains(words));
        let is_told = says(&status.obstacle) || says(&status.store_error);
        let is_right = is_told && !status.leads && host.why_not_ready().is_some();
        (!is_right).then(|| format!("{status:?}"))
    })?;
    injected.looks.push(look);
    let held = clock::now();
    injected.heal();
    let at = restart_all(bed)?;
    injected.rebased = Some(Rebased::Restored { saved, held, at });
    bed.wait_for_newer(0)?;
    Ok(injected)
}

/// Makes a snapshot, lets the store advance, and creates restored data for each member. Returns
/// when the snapshot was begun and when it was complete.
fn prepare(bed: &mut Bed, fault: &Fault, is_same: bool) -> Result<(u64, u64)> {
    let node = bed.members[fault.choice % bed.members.len()].node;
    let snapshot = bed.folder.join("snapshot");
    let file = snapshot.to_str().context("the folder has an odd name")?;
    let begun = clock::now();
    bed.etcdctl.at(node, &["snapshot", "save", file])?;
    let done = clock::now();
    for round in 0..BEHIND {
        bed.etcdctl.at(node, &["put", "later", &round.to_string()])?;
    }
    if fault.wide {
        hand_over(bed)?;
    }
    if !is_same {
        bed.etcd_name = format!("restored-{begun}");
    }
    for member in &bed.members {
        member.restore(&bed.etcdctl, &snapshot, &bed.etcd_name)?;
    }
    Ok((begun, done))
}

/// Stops the leader, and starts it again when another host leads, under a token that the snapshot
/// does not contain.
fn hand_over(bed: &mut Bed) -> Result<()> {
    let (leader, token) = (bed.leader()?.node, bed.clients.view().token);
    bed.host(leader)?.signal(Signal::TERM)?;
    bed.wait_for_newer(token)?;
    bed.wait_for_end(leader)?;
    bed.host(leader)?.restart()?;
    bed.wait_until_steady().map(drop)
}

/// Restarts all hosts; returns a moment when none of them ran.
fn restart_all(bed: &mut Bed) -> Result<u64> {
    let nodes: Vec<_> = bed.hosts.iter().map(|host| host.node).collect();
    for host in &bed.hosts {
        host.signal(Signal::TERM)?;
    }
    for node in &nodes {
        bed.wait_for_end(*node)?;
    }
    let at = clock::now();
    bed.clients.rebase(at);
    for host in &mut bed.hosts {
        host.note_epoch()?;
        host.restart()?;
    }
    Ok(at)
}
