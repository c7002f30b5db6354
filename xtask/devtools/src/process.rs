//! Servers that run while something is measured or tested.

// Time as a client sees it; no deadline of soloist depends on it.
#![allow(clippy::disallowed_types)]

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::paths;

/// A process that does not outlive its benchmark.
pub struct Running {
    name: String,
    child: Child,
}

impl Running {
    /// Starts `command`. What it prints goes to a file, which errors name.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let log = log(name)?;
        command.stdout(File::options().append(true).create(true).open(&log)?);
        command.stderr(File::options().append(true).create(true).open(&log)?);
        Self::start_as_is(name, command)
    }

    /// Starts `command` with its output where the caller wants it.
    pub fn start_as_is(name: &str, command: &mut Command) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
        let name = name.to_owned();
        Ok(Self { name, child })
    }

    /// The handle of the process.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the process.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal)
            .with_context(|| format!("cannot send a signal to {}", self.name))
    }

    /// The one process that this one has started.
    pub fn only_child(&self) -> Result<Pid> {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let child = children.trim().parse().ok().and_then(Pid::from_raw);
        child.with_context(|| format!("{} has not one child: {children:?}", self.name))
    }

    /// Waits for the process to end by itself.
    pub fn join(&mut self) -> Result<()> {
        self.child.wait()?;
        Ok(())
    }

    /// Waits until `ready` says so, for a limited time.
    pub fn wait_until(&mut self, what: &str, ready: impl Fn() -> bool) -> Result<()> {
        let started = Instant::now();
        while !ready() {
            let log = log(&self.name)?;
            if let Some(status) = self.child.try_wait()? {
                bail!("{} has ended ({status}): see {}", self.name, log.display());
            }
            if started.elapsed() > PATIENCE {
                bail!("{} is not {what} yet: see {}", self.name, log.display());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

/// How long anything may take before a benchmark gives up.
pub const PATIENCE: Duration = Duration::from_secs(30);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a process of this name prints.
pub fn log(name: &str) -> Result<PathBuf> {
    let folder = paths::target().join("bench");
    fs::create_dir_all(&folder)?;
    Ok(folder.join(format!("{name}.log")))
}

/// An address on this machine that nobody listens on.
pub fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}
