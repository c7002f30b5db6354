//! What forwarding costs: requests a second at the leader's address and at a standby's, which
//! forwards them; and the longest pause for a client of the standby while the leader is stopped.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use soloist_devtools::process::{PATIENCE, Running, free_address};
use soloist_devtools::times::{Times, ms};

use super::figures::median;
use super::http::wrk::{self, Load};
use super::{BenchContext, web};

const NAMES: [&str; 3] = ["a", "b", "c"];
const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_secs(3);
/// The pause between two requests. A much shorter one would keep a core from the hosts.
const PAUSE: Duration = Duration::from_micros(200);

pub(super) fn run(context: &BenchContext, runs: usize) -> Result<()> {
    let wrk = wrk::ensure()?;
    let mut cluster = RelayCluster::start(context)?;
    let leader = cluster.leader()?;
    let standby = cluster.other(&leader)?;
    let (mut straight, mut around) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        straight.push(wrk::measure(&wrk, cluster.web(&leader)?, Load::Full, TIME)?.rate);
        around.push(wrk::measure(&wrk, cluster.web(&standby)?, Load::Full, TIME)?.rate);
    }
    let (straight, around) = (median(&straight), median(&around));
    println!("\nrequests a second, medians of {ROUNDS} rounds:");
    println!("at the leader   {straight:9.0}");
    println!("by a standby    {around:9.0}   {:.2} of that", around / straight);

    let mut times = Times::default();
    for run in 1..=runs {
        let (leader, pause) = cluster.hand_over()?;
        println!("{run:3}  {leader} gone, {:7.2} ms", ms(pause));
        times.add(pause);
        cluster.restart(&leader)?;
    }
    println!("\n{runs} planned hand-overs, the longest pause of a client of a standby:");
    println!("{times}");
    Ok(())
}

/// Three hosts with the embedded store, each with its own web address.
struct RelayCluster<'a> {
    context: &'a BenchContext,
    hosts: Vec<RelayHost>,
}

struct RelayHost {
    name: &'static str,
    web: SocketAddr,
    control: SocketAddr,
    process: Running,
}

impl<'a> RelayCluster<'a> {
    fn start(context: &'a BenchContext) -> Result<Self> {
        let mut hosts = Vec::new();
        for name in NAMES {
            let (web, control) = (free_address()?, free_address()?);
            hosts.push(RelayHost {
                name,
                web,
                control,
                process: start(context, name, web, control)?,
            });
        }
        for host in &mut hosts {
            let web = host.web;
            host.process.wait_until("answering", || web::is_ok(web, "/"))?;
        }
        Ok(Self { context, hosts })
    }

    /// The leader, which every host names.
    fn leader(&self) -> Result<String> {
        let host = self.hosts.first().context("there is a host")?;
        let answer = web::get(host.web, "/").context("nobody answers")?;
        Ok(answer.header("soloist-host").context("nobody leads")?.to_owned())
    }

    fn other(&self, than: &str) -> Result<String> {
        let other = self.hosts.iter().find(|host| host.name != than);
        Ok(other.context("there are others")?.name.to_owned())
    }

    fn host(&mut self, name: &str) -> Result<&mut RelayHost> {
        let host = self.hosts.iter_mut().find(|host| host.name == name);
        host.with_context(|| format!("there is no host {name}"))
    }

    fn web(&self, name: &str) -> Result<SocketAddr> {
        let host = self.hosts.iter().find(|host| host.name == name);
        Ok(host.with_context(|| format!("there is no host {name}"))?.web)
    }

    /// Stops the leader, and asks a standby until another host leads. Returns the former leader,
    /// and the longest time between two good answers.
    fn hand_over(&mut self) -> Result<(String, Duration)> {
        let leader = self.leader()?;
        let standby = self.web(&self.other(&leader)?)?;
        let leading = |name: &str| {
            let answer = web::get(standby, "/").filter(|answer| answer.status == 200)?;
            Some(answer.header("soloist-host")? == name)
        };
        self.host(&leader)?.process.signal(Signal::TERM)?;
        let began = Instant::now();
        let (mut last, mut longest) = (began, Duration::ZERO);
        loop {
            if let Some(same) = leading(&leader) {
                longest = longest.max(last.elapsed());
                last = Instant::now();
                if !same {
                    return Ok((leader, longest));
                }
            }
            if began.elapsed() > PATIENCE {
                bail!("nobody took over from {leader}");
            }
            thread::sleep(PAUSE);
        }
    }

    fn restart(&mut self, name: &str) -> Result<()> {
        let context = self.context;
        let host = self.host(name)?;
        host.process.join()?;
        host.process = start(context, host.name, host.web, host.control)?;
        let web = host.web;
        host.process.wait_until("answering", || web::is_ok(web, "/"))
    }
}

fn start(
    context: &BenchContext,
    name: &str,
    web: SocketAddr,
    control: SocketAddr,
) -> Result<Running> {
    let config = context.scratch.join(format!("relay-{name}.toml"));
    let action = "[action.i-am-server]\nplugin = \"i-am-server.wasm\"\nstandby = \"forward\"";
    fs::write(&config, format!("store = \"sqlite:relay.db\"\n{action}\nlisten = \"{web}\"\n"))?;
    let mut command: Command = context.soloist(&context.plugins);
    command.args(["--name", name, "--listen", &control.to_string(), "--config"]).arg(config);
    Running::start(&format!("relay-{name}"), &mut command)
}
