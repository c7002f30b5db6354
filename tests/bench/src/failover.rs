//! How long the web address is without an answer, when the leader is stopped or its process is
//! killed under its supervisor.
//!
//! Three hosts share one web address and a store. Each run sends the leader a signal and measures
//! the time from there to the first good answer of another host. Each request has a new connection.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, kill_process};
use serde_json::Value;
use soloist_devtools::cmd;
use soloist_devtools::process::{PATIENCE, Running, free_address};
use soloist_devtools::times::{Times, ms};

use super::store::{BenchStore, RunningStore};
use super::{BenchContext, etcd_lock, web};

/// The pause between two requests. A much shorter one would keep a core from the hosts.
const PAUSE: Duration = Duration::from_micros(200);

/// A candidate that has just joined may hear of its predecessor's end up to 100 ms late: etcd
/// updates new watchers ten times a second.
const SETTLE: Duration = Duration::from_millis(300);

/// How the leader is lost.
#[derive(Clone, Copy)]
pub(super) enum Loss {
    /// It gets SIGTERM and hands over.
    Planned,
    /// Its process gets SIGKILL; its supervisor lives.
    Crash,
    /// Both get SIGKILL.
    MachineCrash,
}

/// What is measured.
pub(super) struct FailoverPlan {
    pub(super) runs: usize,
    pub(super) loss: Loss,
    pub(super) store: BenchStore,
    /// The lease, in seconds.
    pub(super) ttl: u64,
}

pub(super) fn run(context: &BenchContext, plan: &FailoverPlan) -> Result<()> {
    let FailoverPlan { runs, loss, store, ttl } = *plan;
    let server = RunningStore::start(store, context)?;
    let mut cluster = FailoverCluster::start(context, &server.url, ttl)?;
    let mut times = Times::default();
    for run in 1..=runs {
        let (leader, time) = cluster.lose_leader(loss)?;
        println!("{run:3}  {leader} gone, {:7.2} ms", ms(time));
        times.add(time);
        cluster.restart(&leader)?;
    }
    drop(cluster);
    let what = match loss {
        Loss::Planned => "planned hand-overs",
        Loss::Crash => "crashes (kill -9)",
        Loss::MachineCrash => "crashes of a machine (kill -9 of supervisor and process)",
    };
    println!("\n{runs} {what}, leases of {ttl} s, from the signal to the next good answer:");
    println!("soloist       {times}");
    match (loss, server.etcd) {
        (Loss::Planned, Some(endpoint)) => compare(endpoint, runs),
        _ => Ok(()),
    }
}

/// Prints the hand-overs of `etcdctl lock` to compare with.
fn compare(endpoint: SocketAddr, runs: usize) -> Result<()> {
    match cmd::find("etcdctl") {
        Some(etcdctl) => {
            let locks = etcd_lock::measure(&etcdctl, endpoint, runs)?;
            println!("etcdctl lock  {locks}");
        }
        None => println!("etcdctl is not on PATH: nothing to compare with"),
    }
    Ok(())
}

/// Three hosts with the same web address.
struct FailoverCluster {
    hosts: Vec<FailoverHost>,
    web: SocketAddr,
}

impl FailoverCluster {
    fn start(context: &BenchContext, store: &str, ttl: u64) -> Result<Self> {
        let web = free_address()?;
        let config = context.configure(web)?;
        // The default stop time-out leaves a TTL of 1 s no room for a lost renewal.
        let stop = if ttl < 2 { "stop_timeout = \"300ms\"\n" } else { "" };
        let settings = fs::read_to_string(&config)?;
        fs::write(&config, format!("{settings}[lease]\nttl = \"{ttl}s\"\n{stop}"))?;
        let mut hosts = Vec::new();
        for name in ["a", "b", "c"] {
            hosts.push(FailoverHost::start(name, context, &config, store)?);
        }
        for host in &mut hosts {
            host.wait_until_ready()?;
        }
        let mut cluster = Self { hosts, web };
        let leader = cluster.leader()?;
        for host in cluster.hosts.iter_mut().filter(|host| host.name != leader) {
            host.wait_until_standby()?;
        }
        Ok(cluster)
    }

    fn leader(&self) -> Result<String> {
        self.answering("").context("no host has become the leader")
    }

    /// The name of the host that answers, once it is not `old`.
    fn answering(&self, old: &str) -> Option<String> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Some(answer) = web::get(self.web, "/").filter(|answer| answer.status == 200)
                && let Some(host) = answer.header("soloist-host")
                && host != old
            {
                return Some(host.to_owned());
            }
            thread::sleep(PAUSE);
        }
        None
    }

    /// Ends the leader; returns its name and the time until another host answered.
    fn lose_leader(&mut self, loss: Loss) -> Result<(String, Duration)> {
        let leader = self.leader()?;
        thread::sleep(SETTLE);
        let process = &self.host(&leader)?.process;
        let crashing = process.only_child();
        let signalled = Instant::now();
        match loss {
            Loss::Planned => process.signal(Signal::TERM)?,
            Loss::Crash => kill_process(crashing?, Signal::KILL)?,
            Loss::MachineCrash => process.signal_family(Signal::KILL)?,
        }
        let next = self.answering(&leader);
        let time = signalled.elapsed();
        if next.is_none() {
            bail!("no other host has followed {leader}");
        }
        Ok((leader, time))
    }

    fn restart(&mut self, name: &str) -> Result<()> {
        let host = self.host(name)?;
        // After several crashes, a supervisor waits longer and longer before it restarts its host.
        let _ = host.process.signal(Signal::TERM);
        host.process.join()?;
        host.process = Running::start(name, &mut host.command)?;
        host.wait_until_standby()
    }

    fn host(&mut self, name: &str) -> Result<&mut FailoverHost> {
        let host = self.hosts.iter_mut().find(|host| host.name == name);
        host.with_context(|| format!("an unknown host answers: {name}"))
    }
}

struct FailoverHost {
    name: &'static str,
    control: SocketAddr,
    command: Command,
    process: Running,
}

impl FailoverHost {
    fn start(
        name: &'static str,
        context: &BenchContext,
        config: &Path,
        store: &str,
    ) -> Result<Self> {
        let control = free_address()?;
        let mut command = context.soloist(&context.plugins);
        command
            .arg("--config")
            .arg(config)
            .args(["--name", name])
            .args(["--store", store])
            .args(["--listen", &control.to_string()]);
        Ok(Self { name, control, process: Running::start(name, &mut command)?, command })
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let control = self.control;
        self.process.wait_until("ready", || web::is_ok(control, "/readyz"))
    }

    fn wait_until_standby(&mut self) -> Result<()> {
        self.wait_until_ready()?;
        let control = self.control;
        self.process.wait_until("a standby", || {
            matches!(role(control).as_deref(), Some("standby" | "next"))
        })
    }
}

/// The role of a host in the web action's group. `control` is its control address.
fn role(control: SocketAddr) -> Option<String> {
    let answer = web::get(control, "/v1/status")?;
    let status: Value = serde_json::from_str(answer.body()).ok()?;
    Some(status["groups"]["main"]["role"].as_str()?.to_owned())
}
