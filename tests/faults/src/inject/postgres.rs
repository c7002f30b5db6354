//! PostgreSQL goes back, loses its rows, or has no room.

use anyhow::{Context, Result};

use super::hands::lists_all;
use super::restore::{hand_over, noticed, observe, restart_all};
use crate::clock;
use crate::cluster::TestCluster;
use crate::injected_fault::{InjectedFault, Rebased};
use crate::plan::Fault;

/// Puts a copy of the data back, and restarts all hosts after they have noticed.
pub(super) fn put_back(cluster: &mut TestCluster, fault: &Fault) -> Result<InjectedFault> {
    let begun = clock::now();
    cluster.postgres()?.copy()?;
    let saved = (begun, clock::now());
    if fault.wide {
        hand_over(cluster)?;
    }
    let then = if fault.wide { ", after a hand-over" } else { "" };
    let target = format!("to a copy{then}");
    let mut injected = InjectedFault::begin(fault.kind, target, &cluster.clients.view());
    let noticed = noticed(cluster);
    let server = cluster.postgres()?;
    server.kill()?;
    server.put_copy_back()?;
    server.restart()?;
    cluster.wait_until("the store serves", TestCluster::is_store_whole)?;
    let observation = observe(cluster, true, &noticed)?;
    injected.observations.push(observation);
    injected.heal();
    // A host may lead again before it is restarted.
    let at = restart_all(cluster)?;
    injected.rebased = Some(Rebased::Restored { saved, held: at, at });
    cluster.wait_for_newer(0)?;
    Ok(injected)
}

/// Deletes all rows of the cluster, including the register, as somebody may who wants to clean up.
/// What counts changes stays.
pub(super) fn delete_all(cluster: &mut TestCluster, fault: &Fault) -> Result<InjectedFault> {
    const SQL: &str = "
        UPDATE soloist.rosters SET revision = revision + 1;
        DELETE FROM soloist.leases;
        DELETE FROM soloist.notes;
        DELETE FROM soloist.state;
        DELETE FROM soloist.queued_calls;
        SELECT max(revision) FROM soloist.rosters";
    let mut injected =
        InjectedFault::begin(fault.kind, "all rows".to_owned(), &cluster.clients.view());
    let revision = cluster.postgres()?.sql(SQL)?;
    let revision = revision.parse().with_context(|| format!("no revision: {revision:?}"))?;
    injected.rebased = Some(Rebased::Emptied { revision, during: (injected.at, clock::now()) });
    cluster.wait_for_newer(injected.fencing_token)?;
    injected.observations.push(lists_all(cluster)?);
    injected.heal();
    Ok(injected)
}

/// Fills the disk. The server writes into files that it has, and ends when its log needs another.
pub(super) fn fill_disk(cluster: &mut TestCluster, fault: &Fault) -> Result<InjectedFault> {
    let server = cluster.postgres()?;
    let target = server.node.name.to_owned();
    let mut injected = InjectedFault::begin(fault.kind, target, &cluster.clients.view());
    let server = cluster.postgres()?;
    server.disk.fill()?;
    if fault.wide {
        while server.sql("SELECT pg_switch_wal()").is_ok() {}
        let observation =
            cluster.observe("all say that they are not ready", cluster.ttl * 2, |host, _| {
                host.why_not_ready().is_none().then(|| format!("{:?}", host.status()))
            })?;
        injected.observations.push(observation);
    }
    cluster.pause(fault.hold)?;
    let server = cluster.postgres()?;
    server.disk.free()?;
    if fault.wide {
        server.kill()?;
        server.restart()?;
    }
    injected.heal();
    cluster.wait_until("the store serves", TestCluster::is_store_whole)?;
    Ok(injected)
}
