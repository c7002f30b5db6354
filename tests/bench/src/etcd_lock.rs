//! The same hand-over between two `etcdctl lock`, as one would write it in a shell script. Measured
//! is the time from the signal that ends the holder to the line that the next one prints.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use soloist_devtools::process::Running;
use soloist_devtools::times::Times;

/// The next one needs time to join the queue, and prints nothing when it has.
const SETTLE: Duration = Duration::from_millis(300);

pub(super) fn measure(etcdctl: &Path, endpoint: SocketAddr, runs: usize) -> Result<Times> {
    let mut times = Times::default();
    let mut holder = Lock::start(etcdctl, endpoint)?;
    holder.wait()?;
    for _ in 0..runs {
        let mut next = Lock::start(etcdctl, endpoint)?;
        thread::sleep(SETTLE);
        let signalled = Instant::now();
        holder.process.signal(Signal::INT)?;
        next.wait()?;
        times.add(signalled.elapsed());
        holder.process.join()?;
        holder = next;
    }
    Ok(times)
}

struct Lock {
    process: Running,
    lines: BufReader<ChildStdout>,
}

impl Lock {
    fn start(etcdctl: &Path, endpoint: SocketAddr) -> Result<Self> {
        let mut command = Command::new(etcdctl);
        command
            .arg(format!("--endpoints={endpoint}"))
            .args(["lock", "soloist-bench"])
            .env("ETCDCTL_API", "3")
            .stdout(Stdio::piped());
        let mut process = Running::start_as_is("etcdctl", &mut command)?;
        let lines = process.child().stdout.take().context("etcdctl has no output")?;
        let lines = BufReader::new(lines);
        Ok(Self { process, lines })
    }

    /// Waits for the key that `etcdctl` prints once it holds the lock.
    fn wait(&mut self) -> Result<()> {
        let mut key = String::new();
        if self.lines.read_line(&mut key)? == 0 {
            bail!("`etcdctl lock` has ended without the lock");
        }
        Ok(())
    }
}
