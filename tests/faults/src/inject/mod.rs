//! Injects one fault, and heals it.
//!
//! Most faults are injected and taken back ([`hit`]); those with more steps have their own files.
//! Each returns the healed fault.

mod foreign;
mod hands;
mod hit;
mod hung;
mod logins;
mod postgres;
mod restore;
mod space;

use anyhow::{Context, Result};

use super::clock;
use super::cluster::TestCluster;
use super::injected_fault::InjectedFault;
use super::kind::Kind;
use super::plan::Fault;

/// Injects `fault`, heals it, and waits until the cluster has recovered.
pub(super) fn run(cluster: &mut TestCluster, fault: &Fault) -> Result<InjectedFault> {
    let name = fault.kind.name();
    cluster.wait_until_steady().with_context(|| format!("before {name}"))?;
    let is_on_postgres = cluster.members.is_empty();
    let inject = match fault.kind {
        Kind::Restore if is_on_postgres => postgres::put_back,
        Kind::FullDisk if is_on_postgres => postgres::fill_disk,
        Kind::DeletedPrefix if is_on_postgres => postgres::delete_all,
        Kind::LoginExpiry => logins::run,
        Kind::ForeignMember => foreign::run,
        Kind::Restore => restore::run,
        Kind::NoSpace => space::run_out,
        Kind::FullDisk => space::fill_disks,
        Kind::DeletedPrefix => hands::delete_all,
        Kind::Stranger => hands::put_a_stranger,
        Kind::HungFile => hung::run,
        _ => hit::run,
    };
    let mut injected = inject(cluster, fault).with_context(|| format!("cannot inject {name}"))?;
    cluster.wait_until_steady().with_context(|| format!("{name}, {}", injected.target))?;
    injected.steady = clock::now();
    Ok(injected)
}
