//! Requests a second of a plugin, beside a bare hyper server that gives the same
//! answer: what the sandbox costs.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::figures::median;
use super::process::{Running, free_address};
use super::{Bed, web};
use crate::cargo::cargo;
use crate::packages::Package;
use crate::{cmd, paths};

const WRK: Package =
    Package { program: "wrk", apt: &[&["wrk"]], dnf: &[&["wrk"]], brew: &[&["wrk"]] };

const ROUNDS: usize = 3;

pub(super) fn run(bed: &Bed) -> Result<()> {
    let wrk = WRK.ensure()?;
    let (_hyper, hyper) = start_hyper()?;
    let (_soloist, soloist) = start_soloist(bed)?;
    let (mut bare, mut plugin) = (Vec::new(), Vec::new());
    // Alternating, so that whatever else the machine does disturbs both alike.
    for round in 1..=ROUNDS {
        bare.push(measure(&wrk, hyper, round, "bare hyper")?);
        plugin.push(measure(&wrk, soloist, round, "soloist")?);
    }
    let (bare, plugin) = (median(&bare), median(&plugin));
    println!(
        "\nmedians: bare hyper {bare:.0}/s, soloist {plugin:.0}/s, which is {:.0} %",
        plugin / bare * 100.0
    );
    Ok(())
}

fn start_hyper() -> Result<(Running, SocketAddr)> {
    let mut build = cargo("build");
    build.args(["--release", "--locked", "--package", "xtask"]);
    cmd::run(build.args(["--features", "bare-hyper", "--bin", "bare-hyper"]))?;
    let address = free_address()?;
    let mut command = Command::new(paths::target().join("release/bare-hyper"));
    command.arg(address.to_string());
    let mut server = Running::start("bare-hyper", &mut command)?;
    server.wait_until("serving", || web::is_ok(address, "/"))?;
    Ok((server, address))
}

fn start_soloist(bed: &Bed) -> Result<(Running, SocketAddr)> {
    let address = free_address()?;
    let mut command = bed.soloist();
    command
        .arg("--config")
        .arg(bed.configure(address)?)
        .args(["--name", "a", "--store", "sqlite:soloist.db"])
        .args(["--listen", &free_address()?.to_string()]);
    let mut server = Running::start("soloist", &mut command)?;
    server.wait_until("leading", || web::is_ok(address, "/"))?;
    Ok((server, address))
}

/// One round of load; returns requests a second.
fn measure(wrk: &Path, address: SocketAddr, round: usize, name: &str) -> Result<f64> {
    let mut command = Command::new(wrk);
    command.args(["-t1", "-c32", "-d5s", "--latency"]);
    let report = cmd::output(command.arg(format!("http://{address}/")))?;
    if let Some(trouble) =
        report.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors"))
    {
        bail!("{name} does not answer every request: {}", trouble.trim());
    }
    let field = |label: &str| {
        let line = report.lines().find_map(|line| line.trim().strip_prefix(label));
        line.map(str::trim)
            .with_context(|| format!("wrk's report has no line {label:?}:\n{report}"))
    };
    let (rate, p99) = (field("Requests/sec:")?, field("99%")?);
    println!("round {round}  {name:10}  {rate:>10} requests/s  p99 {p99}");
    Ok(rate.parse()?)
}
