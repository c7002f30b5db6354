//! Operators change the cluster's keys by hand.

use std::fs;

use anyhow::{Context, Result};

use crate::clock;
use crate::cluster::TestCluster;
use crate::injected_fault::{InjectedFault, Observation, Rebased};
use crate::plan::Fault;
use crate::settings::PREFIX;

/// Deletes all keys of the cluster, including the register.
pub(super) fn delete_all(cluster: &mut TestCluster, fault: &Fault) -> Result<InjectedFault> {
    let node = cluster.members[fault.choice % cluster.members.len()].node;
    let target = format!("all, by {}", node.name);
    let mut injected = InjectedFault::begin(fault.kind, target, &cluster.clients.view());
    let deleted = cluster.etcdctl.json(node, &["del", "--prefix", PREFIX])?;
    let revision = deleted["header"]["revision"].as_u64().context("etcd has no revision")?;
    let during = (injected.at, clock::now());
    injected.rebased = Some(Rebased::Emptied { revision, during });
    cluster.wait_for_newer(injected.fencing_token)?;
    injected.observations.push(lists_all(cluster)?);
    injected.heal();
    Ok(injected)
}

/// Waits until all hosts list all hosts again.
pub(super) fn lists_all(cluster: &mut TestCluster) -> Result<Observation> {
    cluster.observe("all list all hosts again", cluster.ttl * 3, |host, _| {
        let status = host.status().unwrap_or_default();
        (status.hosts.len() != HOSTS).then(|| format!("{status:?}"))
    })
}

/// The number of hosts.
const HOSTS: usize = 5;

/// Puts a key that belongs to no host into the queue: at its end, or in place of all hosts' keys.
/// In that case the hosts join again behind it.
pub(super) fn put_a_stranger(cluster: &mut TestCluster, fault: &Fault) -> Result<InjectedFault> {
    let node = cluster.members[fault.choice % cluster.members.len()].node;
    let queue = format!("{PREFIX}election/main/");
    let key = format!("{queue}stranger");
    let mut put = format!("put {key} by-hand");
    if fault.choice.is_multiple_of(2) {
        put +=
            &format!(" --lease={}", lease(&cluster.etcdctl.at(node, &["lease", "grant", "120"])?)?);
    }
    let place = if fault.wide { "heads the queue" } else { "ends the queue" };
    let mut injected = InjectedFault::begin(fault.kind, place.to_owned(), &cluster.clients.view());
    // The names of hosts' keys are hexadecimal, so this deletes no other keys.
    let delete = format!("del {queue}0 {queue}g\n");
    let all = if fault.wide { delete } else { String::new() };
    let transaction = cluster.folder.join("transaction");
    fs::write(&transaction, format!("\n{all}{put}\n\n\n"))?;
    let is_done = cluster.etcdctl.takes(node, &["txn"], &transaction)?;
    anyhow::ensure!(is_done, "etcd has not taken the stranger");
    // Two TTLs, and the time that a check takes.
    let within = cluster.ttl * 5 / 2;
    let observation = if fault.wide {
        cluster.observe("all say that nobody leads, and why", within, |host, _| {
            let status = host.status().unwrap_or_default();
            let is_right = status.leader.is_none()
                && status.leaderless.as_ref().is_some_and(|why| why.contains(&key))
                && removes(&status.removals, &key)
                && host.leaderless_seconds().is_some_and(|seconds| seconds > 0.0);
            (!is_right).then(|| format!("{status:?}"))
        })?
    } else {
        cluster.observe("all name the stranger", within, |host, _| {
            let status = host.status().unwrap_or_default();
            let is_right = removes(&status.removals, &key);
            (!is_right).then(|| format!("{status:?}"))
        })?
    };
    injected.observations.push(observation);
    cluster.pause(fault.hold)?;
    let view = cluster.clients.view();
    let failed =
        (view.fencing_token != injected.fencing_token).then(|| format!("{} leads", view.host));
    let what = "nobody comes to lead past a stranger".to_owned();
    injected.observations.push(Observation { what, failed: failed.into_iter().collect() });
    injected.follow(&view);
    cluster.etcdctl.at(node, &["del", &key])?;
    injected.heal();
    if fault.wide {
        cluster.wait_for_newer(injected.fencing_token)?;
    }
    Ok(injected)
}

/// Whether the only command that is shown removes `key`.
fn removes(shown: &[String], key: &str) -> bool {
    matches!(shown, [command] if command.ends_with(&format!(" del {key}")))
}

/// The lease in the output of `etcdctl lease grant`.
fn lease(said: &str) -> Result<&str> {
    said.split(' ').nth(1).with_context(|| format!("etcd grants no lease: {said}"))
}
