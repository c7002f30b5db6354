//! One run: one fault after another until the time is up, then the verdict.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGINT, SIGTERM};
use soloist_devtools::{cmd, http};

use super::checker::{self, Histories, Promise, Violation};
use super::clients::LeaderView;
use super::clock;
use super::cluster::{ClusterParts, TestCluster};
use super::history::{Action, read_write};
use super::inject;
use super::injected_fault::{InjectedFault, Rebased};
use super::kind::{Kind, StoreKind};
use super::plan::Plan;
use super::postgres;
use super::report::{self, RunSummary};

/// The parameters of a run.
pub(super) struct Run {
    pub(super) parts: ClusterParts,
    pub(super) seeds: Vec<u64>,
    pub(super) lasts: Duration,
    pub(super) kinds: Vec<Kind>,
    /// The file for the report.
    pub(super) report: PathBuf,
}

impl Run {
    /// Runs the plan, checks the histories, and writes the report. Fails if a promise was broken.
    pub(super) fn run(&self) -> Result<()> {
        let interrupted = Arc::<AtomicBool>::default();
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
        }
        let mut cluster = TestCluster::start(&self.parts, Arc::clone(&interrupted))?;
        let left_out = self.left_out(&mut cluster)?;
        let is_possible = |kind: &Kind| left_out.iter().all(|(other, _)| other != kind);
        let kinds: Vec<_> = self.kinds.iter().copied().filter(is_possible).collect();
        let began = clock::now();
        let mut faults = Vec::new();
        let ended = self.inject(&mut cluster, &kinds, &mut faults);
        let about = RunSummary {
            seeds: self.seeds.clone(),
            lasted: Duration::from_nanos(clock::now() - began),
            ttl: self.parts.ttl,
            store: self.store()?,
            left_out,
            ended: cluster.ended.clone(),
        };
        if let Err(error) = &ended {
            eprintln!("ending early: {error:#}");
            cluster.calm();
        }
        let histories = self.histories(cluster, faults, ended.is_ok())?;
        let mut verdict = checker::check(histories, self.parts.ttl);
        if let Err(error) = &ended
            && !interrupted.load(Ordering::Relaxed)
        {
            let text = format!("the run ended early: {error:#}");
            verdict.violations.push(Violation::new(Promise::Recovers, text));
        }
        let page = report::markdown(&about, &verdict);
        fs::write(&self.report, &page).context("cannot write the report")?;
        println!("\n{page}");
        if !verdict.violations.is_empty() {
            bail!(
                "{} promises were broken; all histories are in {}",
                verdict.violations.len(),
                self.parts.folder.display()
            );
        }
        ended
    }

    /// The kinds of faults that are impossible on this machine, and why.
    fn left_out(&self, cluster: &mut TestCluster) -> Result<Vec<(Kind, String)>> {
        let mut left_out = Vec::new();
        if self.kinds.contains(&Kind::Crash) && cluster.leader()?.supervised().is_none() {
            left_out.push((Kind::Crash, "the hosts have no supervisor".to_owned()));
        }
        if self.kinds.contains(&Kind::DiskStall)
            && let Some(disk) = cluster.disks().next()
            && let Err(error) = disk.freeze().and_then(|()| disk.thaw())
        {
            left_out.push((Kind::DiskStall, format!("{error:#}")));
        }
        Ok(left_out)
    }

    /// Injects faults. Each seed gets an equal share of the time.
    fn inject(
        &self,
        cluster: &mut TestCluster,
        kinds: &[Kind],
        faults: &mut Vec<InjectedFault>,
    ) -> Result<()> {
        let share = clock::ns(self.lasts) / self.seeds.len().max(1) as u64;
        let began = clock::now();
        for (position, seed) in self.seeds.iter().enumerate() {
            println!("seed {seed}");
            let mut plan = Plan::new(*seed, kinds, self.parts.ttl);
            let until = began + share * (position as u64 + 1);
            while clock::now() < until {
                let fault = plan.next().context("no kind of fault is left to inject")?;
                cluster.pause(fault.pause)?;
                let injected = inject::run(cluster, &fault)?;
                let since = Duration::from_nanos(injected.at - began);
                announce(faults.len() + 1, since, &injected, &cluster.clients.view());
                faults.push(injected);
            }
        }
        Ok(())
    }

    /// Stops the cluster, and collects all histories. `is_whole` says that no fault is left in it.
    fn histories(
        &self,
        mut cluster: TestCluster,
        faults: Vec<InjectedFault>,
        is_whole: bool,
    ) -> Result<Histories> {
        let lines: Vec<_> = faults.iter().map(|fault| fault.line().to_string() + "\n").collect();
        fs::write(self.parts.folder.join("faults.jsonl"), lines.concat())?;
        // After a fault that was not healed, there may be no leader.
        let last_host = if is_whole { Some(cluster.leader()?.node) } else { None };
        let (records, unreached) = cluster.clients.finish()?;
        let register = match last_host {
            Some(host) if self.has_register() => Some(last_value(host)?),
            _ => None,
        };
        let hosts = cluster.hosts.iter().map(super::host::Host::read_log).collect();
        Ok(Histories { records, unreached, register, faults, hosts })
    }

    fn has_register(&self) -> bool {
        self.parts.plugins.iter().any(|(action, _)| *action == Action::Register)
    }

    /// The store and its version.
    fn store(&self) -> Result<String> {
        let server = &self.parts.server;
        if self.parts.store == StoreKind::Postgres {
            return Ok(format!("one PostgreSQL {}", postgres::version(server)?));
        }
        let text = cmd::output(Command::new(server).arg("--version"))?;
        let version = text.lines().next().and_then(|line| line.split(": ").nth(1));
        Ok(format!("three members of etcd {}", version.unwrap_or("of an unknown version")))
    }
}

/// One last request to the register, after all clients have stopped.
fn last_value(host: super::net::Node) -> Result<u64> {
    let answer = http::get(host.client(Action::Register.port()), "/", Duration::from_secs(5))
        .context("nobody answers what the register is at the end")?;
    let (_, value) = read_write(&answer)
        .with_context(|| format!("at the end, the register answers {answer:?}"))?;
    Ok(value)
}

/// Prints a line of progress.
fn announce(number: usize, since: Duration, fault: &InjectedFault, view: &LeaderView) {
    let seconds = since.as_secs();
    let whole = clock::ms(fault.steady - fault.at) / 1000.0;
    let is_restored = matches!(fault.rebased, Some(Rebased::Restored { .. }));
    let outcome = if is_restored || view.fencing_token > fault.fencing_token {
        let took = clock::ms(view.since.saturating_sub(fault.since));
        format!("{} after {took:.0} ms", view.host)
    } else {
        "the term went on".to_owned()
    };
    println!(
        "{number:4}  {:2}:{:02}  {:20} {:28} {outcome:20} well again after {whole:.1} s",
        seconds / 60,
        seconds % 60,
        fault.kind.name(),
        fault.target,
    );
    for broken in fault.failed_observations() {
        println!("      {broken}");
    }
}
