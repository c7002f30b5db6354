//! Injecting one fault, and healing it.
//!
//! Most faults hit and are taken back ([`hit`]); those that are a story of their own have
//! a file each. All of them return what they were, healed.

mod foreign;
mod hands;
mod hit;
mod hung;
mod logins;
mod restore;
mod space;

use anyhow::{Context, Result};

use super::bed::Bed;
use super::clock;
use super::injected::Injected;
use super::kind::Kind;
use super::plan::Fault;

/// Injects `fault`, heals it, and waits until all is well again.
pub(super) fn run(bed: &mut Bed, fault: &Fault) -> Result<Injected> {
    let name = fault.kind.name();
    bed.wait_until_steady().with_context(|| format!("before {name}"))?;
    let inject = match fault.kind {
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
    let mut injected = inject(bed, fault).with_context(|| format!("cannot inject {name}"))?;
    bed.wait_until_steady().with_context(|| format!("{name}, {}", injected.target))?;
    injected.steady = clock::now();
    Ok(injected)
}
