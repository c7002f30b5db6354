//! Starts servers for a benchmark or a test.

// Clients measure time here; no deadline of soloist depends on it.
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

/// A child process, which is killed when this is dropped.
pub struct Running {
    name: String,
    child: Child,
}

impl Running {
    /// Starts `command`. Its output goes to a file (see [`log`]), which errors name.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let log = log(name)?;
        command.stdout(File::options().append(true).create(true).open(&log)?);
        command.stderr(File::options().append(true).create(true).open(&log)?);
        Self::start_as_is(name, command)
    }

    /// Starts `command` with the output that the caller has set.
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

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the process.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal)
            .with_context(|| format!("cannot send a signal to {}", self.name))
    }

    /// Sends a signal to the process and to its children.
    pub fn signal_family(&self, signal: Signal) -> Result<()> {
        let before = self.children()?;
        self.signal(signal)?;
        // Those that it has started in the meantime; if it was killed, it has none any more.
        let since = self.children().unwrap_or_default();
        for child in before.into_iter().chain(since) {
            // It may have ended by now.
            let _ = kill_process(child, signal);
        }
        Ok(())
    }

    /// The process's child; an error unless there is exactly one.
    pub fn only_child(&self) -> Result<Pid> {
        let children = self.children()?;
        let [child] = children[..] else { bail!("{} has not one child: {children:?}", self.name) };
        Ok(child)
    }

    fn children(&self) -> Result<Vec<Pid>> {
        let pid = self.child.id();
        let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        Ok(list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect())
    }

    /// Waits for the process to end by itself.
    pub fn join(&mut self) -> Result<()> {
        self.child.wait()?;
        Ok(())
    }

    /// Waits until `ready` returns true, at most [`PATIENCE`]; `what` describes that state in
    /// errors.
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

/// How long a benchmark waits for anything before it gives up.
pub const PATIENCE: Duration = Duration::from_secs(30);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The log file of the process with this name.
pub fn log(name: &str) -> Result<PathBuf> {
    let folder = paths::target().join("bench");
    fs::create_dir_all(&folder)?;
    Ok(folder.join(format!("{name}.log")))
}

/// A free address on this machine.
pub fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}
