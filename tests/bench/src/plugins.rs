//! What many plugins cost: at the start, in memory, and in a take-over.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::Value;
use soloist_devtools::process::{PATIENCE, Running, free_address, log};
use soloist_devtools::times::{Times, ms};

use super::figures::median;
use super::{BenchContext, web};

/// The numbers of plugins that a host is started with.
const COUNTS: [usize; 5] = [1, 10, 50, 100, 200];
/// How often a host is started with each number.
const STARTS: usize = 5;
/// The number of plugins in the take-overs, and the number of take-overs.
const TAKEN_OVER: usize = 10;
const TAKE_OVERS: usize = 40;
/// The pause between two requests.
const PAUSE: Duration = Duration::from_micros(100);

pub(super) fn run(context: &BenchContext) -> Result<()> {
    println!(
        "one host with copies of i-am-server, compiled before; from its start to its first word:"
    );
    let mut rows = Vec::new();
    for count in COUNTS {
        let folder = Folder::of(context, count)?;
        // The first start compiles the plugins; it is not measured.
        drop(folder.start("a")?);
        let mut times = Times::default();
        let mut memory = Vec::new();
        for _ in 0..STARTS {
            let (host, took, resident) = folder.start("a")?;
            drop(host);
            times.add(took);
            memory.push(resident);
        }
        let memory = median(&memory);
        println!("{count:4} plugins  start {times}  resident {memory:6.1} MiB");
        rows.push((count, ms(times.percentile(50)), memory));
    }
    if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
        let more = (last.0 - first.0) as f64;
        println!(
            "each further plugin: {:.2} ms, {:.2} MiB",
            (last.1 - first.1) / more,
            (last.2 - first.2) / more
        );
    }
    take_over(context)
}

/// Hands over between two hosts. Measured is the time from the new leader's log line `leading` to
/// the first good answer of each plugin.
fn take_over(context: &BenchContext) -> Result<()> {
    let folder = Folder::of(context, TAKEN_OVER)?;
    let mut hosts = [("a", folder.start("a")?.0), ("b", folder.launch("b")?)];
    folder.wait_for_standby("b")?;
    let mut times = Times::default();
    for round in 0..TAKE_OVERS {
        let (old, new) = (round % 2, (round + 1) % 2);
        let name = hosts[new].0;
        hosts[old].1.signal(Signal::TERM)?;
        let answered = folder.first_answer_of(name)?;
        times.add(answered.saturating_sub(folder.leading_since(name)?));
        hosts[old].1.join()?;
        hosts[old].1 = folder.launch(hosts[old].0)?;
        folder.wait_for_standby(hosts[old].0)?;
    }
    println!(
        "\n{TAKE_OVERS} take-overs with {TAKEN_OVER} plugins, from winning to the first good answer:"
    );
    println!("soloist  {times}");
    Ok(())
}

/// A plugins folder with copies of one plugin, all at one address, and a store.
struct Folder<'a> {
    context: &'a BenchContext,
    folder: PathBuf,
    web: SocketAddr,
    first: String,
}

impl<'a> Folder<'a> {
    fn of(context: &'a BenchContext, count: usize) -> Result<Self> {
        let folder = context.scratch.join(format!("with-{count}-plugins"));
        let plugins = folder.join("plugins");
        fs::create_dir_all(&plugins)?;
        let web = free_address()?;
        for number in 0..count {
            let name = format!("p{number:03}");
            fs::copy(
                context.plugins.join("i-am-server.wasm"),
                plugins.join(format!("{name}.wasm")),
            )?;
            let settings = format!("listen = \"{web}\"\npath = \"/{name}\"\n");
            fs::write(plugins.join(format!("{name}.toml")), settings)?;
        }
        Ok(Self { context, folder, web, first: "/p000".to_owned() })
    }

    fn launch(&self, name: &str) -> Result<Running> {
        let _ = fs::remove_file(log(name)?);
        let mut command = self.context.soloist(&self.folder.join("plugins"));
        // Without a supervisor the host is a single process, which is easier to measure, and else
        // the same.
        command
            .current_dir(&self.folder)
            .args(["--no-supervisor", "--log-format", "json", "--name", name])
            .args(["--store", "sqlite:soloist.db", "--listen", "127.0.0.1:0"]);
        Running::start(name, &mut command)
    }

    /// Starts a host; returns the time until it listened, and its memory in MiB once its plugins
    /// answer.
    fn start(&self, name: &str) -> Result<(Running, Duration, f64)> {
        let _ = fs::remove_file(self.folder.join("soloist.db"));
        let began = Instant::now();
        let host = self.launch(name)?;
        wait("it to listen", || self.logged(name, "listening").is_some())?;
        let took = began.elapsed();
        wait("an answer", || web::is_ok(self.web, &self.first))?;
        let resident = resident(host.id())?;
        Ok((host, took, resident))
    }

    fn wait_for_standby(&self, name: &str) -> Result<()> {
        wait("it to stand by", || self.logged(name, "following").is_some())
    }

    /// When `name` answered for the first time, as a time since the Unix epoch.
    fn first_answer_of(&self, name: &str) -> Result<Duration> {
        wait("the next leader", || {
            let answer = web::get(self.web, &self.first).filter(|answer| answer.status == 200);
            answer.is_some_and(|answer| answer.header("soloist-host") == Some(name))
        })?;
        Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
    }

    /// When `name` logged that it leads, as a time since the Unix epoch. The log has milliseconds,
    /// rounded down.
    fn leading_since(&self, name: &str) -> Result<Duration> {
        // The log may be written a moment later.
        wait("it to say that it leads", || self.logged(name, "leading").is_some())?;
        let line = self.logged(name, "leading").context("it does not say that it leads")?;
        let time = line["time"].as_str().context("a line without a time")?;
        humantime::parse_rfc3339(time)?.duration_since(UNIX_EPOCH).map_err(Into::into)
    }

    fn logged(&self, name: &str, event: &str) -> Option<Value> {
        let text = fs::read_to_string(log(name).ok()?).ok()?;
        text.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|line| line["event"] == event)
    }
}

fn wait(what: &str, done: impl Fn() -> bool) -> Result<()> {
    let began = Instant::now();
    while !done() {
        anyhow::ensure!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// The resident memory of a process in MiB (proc(5): `VmRSS`).
fn resident(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}
