//! What groups cost: renewals, and all requests to etcd, of five hosts that stand in 1, 100 and
//! 1,000 groups, while nothing changes.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use soloist_devtools::process::{Running, free_address};
use soloist_devtools::{etcd, guests};

use super::store::start_etcd;
use super::{BenchContext, web};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const COUNTS: [usize; 3] = [1, 100, 1000];
/// The requests that follow an election (proclamations, ledgers) are over by then.
const SETTLE: Duration = Duration::from_secs(5);
const TIME: Duration = Duration::from_secs(20);

pub(super) fn run(context: &BenchContext) -> Result<()> {
    let plugins = context.scratch.join("groups");
    fs::create_dir_all(&plugins)?;
    fs::copy(guests::plugins()?.join("job-runner.wasm"), plugins.join("job-runner.wasm"))?;
    println!("groups  leases  renewals/s  keep-alives/s at etcd  all calls/s at etcd");
    for count in COUNTS {
        measure(context, &plugins, count)?;
    }
    Ok(())
}

fn measure(context: &BenchContext, plugins: &Path, count: usize) -> Result<()> {
    let data = format!("etcd-{count}");
    let (_etcd, etcd) = start_etcd(&etcd::ensure()?, context, &data)?;
    let mut hosts = start(context, plugins, etcd, count)?;
    for (process, control) in &mut hosts {
        let control = *control;
        process.wait_until("knowing a leader of each group", || led(control) == Some(count))?;
    }
    thread::sleep(SETTLE);
    let (before, began) = (Sample::of(&hosts, etcd)?, Instant::now());
    thread::sleep(TIME);
    let (after, took) = (Sample::of(&hosts, etcd)?, began.elapsed().as_secs_f64());
    println!(
        "{count:6}  {:6.0}  {:10.2}  {:21.2}  {:19.2}",
        after.leases,
        (after.renewals - before.renewals) / took,
        (after.keep_alives - before.keep_alives) / took,
        (after.calls - before.calls) / took,
    );
    Ok(())
}

/// Starts the hosts. Each group has one job, which runs only on demand.
fn start(
    context: &BenchContext,
    plugins: &Path,
    etcd: SocketAddr,
    count: usize,
) -> Result<Vec<(Running, SocketAddr)>> {
    let config = context.scratch.join("groups.toml");
    let action = |number| {
        format!(
            "[action.j{number}]\nplugin = \"job-runner.wasm\"\nschedule = \"none\"\ngroup = \"g{number}\"\n"
        )
    };
    fs::write(&config, (0..count).map(action).collect::<String>())?;
    let start = |name: &&str| {
        let control = free_address()?;
        let mut command = context.soloist(plugins);
        command.args(["--name", name, "--listen", &control.to_string(), "--config"]).arg(&config);
        command.args(["--store", &format!("etcd://{etcd}")]);
        Ok((Running::start(&format!("groups-{name}"), &mut command)?, control))
    };
    NAMES.iter().map(start).collect()
}

/// The number of groups with a leader, as one host reports it.
fn led(control: SocketAddr) -> Option<usize> {
    let status: Value = serde_json::from_str(web::get(control, "/v1/status")?.body()).ok()?;
    let groups = status["groups"].as_object()?;
    Some(groups.values().filter(|group| group["leader"].is_string()).count())
}

/// The values of the counters at one moment.
struct Sample {
    leases: f64,
    renewals: f64,
    keep_alives: f64,
    calls: f64,
}

impl Sample {
    fn of(hosts: &[(Running, SocketAddr)], etcd: SocketAddr) -> Result<Self> {
        let etcd = metrics(etcd)?;
        let mut renewals = 0.0;
        for (_, control) in hosts {
            renewals +=
                sum(&metrics(*control)?, "soloist_lease_renewal_duration_seconds_count", "");
        }
        let leases = |what| sum(&etcd, &format!("etcd_debugging_lease_{what}_total"), "");
        let messages = "grpc_server_msg_received_total";
        Ok(Self {
            leases: leases("granted") - leases("revoked") - leases("expired"),
            renewals,
            keep_alives: sum(&etcd, messages, "LeaseKeepAlive"),
            calls: sum(&etcd, messages, ""),
        })
    }
}

fn metrics(address: SocketAddr) -> Result<String> {
    let answer = web::get(address, "/metrics");
    Ok(answer.with_context(|| format!("{address} has no metrics"))?.body().to_owned())
}

/// The sum of the metric `name` over all lines whose labels contain `with`.
fn sum(metrics: &str, name: &str, with: &str) -> f64 {
    let samples = metrics.lines().filter_map(|line| {
        let (series, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
        let named = series.is_empty() || series.starts_with('{');
        (named && series.contains(with)).then(|| value.parse::<f64>().ok()).flatten()
    });
    samples.sum()
}
