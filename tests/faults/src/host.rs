//! A soloist host on its own node, with or without a supervisor.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde_json::{Value, json};
use soloist_devtools::process::Running;

use super::checker::{EPOCH, HostLog};
use super::net::Node;
use super::settings::Settings;

/// The port of the control API.
pub(super) const PORT: u16 = 4000;

/// A host, running or not.
pub(super) struct Host {
    pub(super) node: Node,
    program: PathBuf,
    config: PathBuf,
    plugins: PathBuf,
    log: PathBuf,
    process: Option<Running>,
}

impl Host {
    /// Starts a host; its log goes to `folder`.
    pub(super) fn start(
        program: &Path,
        node: Node,
        settings: &Settings,
        folder: &Path,
    ) -> Result<Self> {
        let mut host = Self {
            node,
            program: program.to_owned(),
            config: settings.config.clone(),
            plugins: settings.plugins.clone(),
            log: folder.join(format!("{}.log", node.name)),
            process: None,
        };
        host.restart()?;
        Ok(host)
    }

    /// Starts it again.
    pub(super) fn restart(&mut self) -> Result<()> {
        let log = File::options().append(true).create(true).open(&self.log)?;
        let mut command = self.node.command(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SOLOIST_") {
                command.env_remove(name);
            }
        }
        command
            .args(["run", "--log-format", "json", "--name", self.node.name])
            .arg("--config")
            .arg(&self.config)
            .arg("--plugins")
            .arg(&self.plugins)
            .args(["--listen", &self.node.client(PORT).to_string()])
            // No other machine can reach its network.
            .arg("--insecure")
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        self.process = Some(Running::start_as_is(self.node.name, &mut command)?);
        Ok(())
    }

    /// Marks in its log that another history of the store begins.
    pub(super) fn note_epoch(&self) -> Result<()> {
        let mut log = File::options().append(true).open(&self.log)?;
        writeln!(log, "{}", json!({ "event": EPOCH })).context("cannot write a log")
    }

    /// Sends a signal to the process that was started: the supervisor, if there is one.
    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        self.running()?.signal(signal)
    }

    /// Sends a signal to the process that runs the actions.
    pub(super) fn signal_performer(&self, signal: Signal) -> Result<()> {
        match self.supervised() {
            Some(pid) => kill_process(pid, signal).with_context(|| {
                format!("cannot send a signal to the process of {}", self.node.name)
            }),
            None => self.signal(signal),
        }
    }

    /// The supervisor's child, if there is a supervisor; read from the log.
    pub(super) fn supervised(&self) -> Option<Pid> {
        let log = fs::read_to_string(&self.log).ok()?;
        let own = i64::from(self.process.as_ref()?.id());
        let mut pid = None;
        for line in log.lines().filter(|line| line.contains("supervising")) {
            let entry: Value = serde_json::from_str(line).unwrap_or_default();
            if entry["event"] == "supervising" {
                pid = entry["pid"].as_i64();
            }
        }
        let pid = pid.filter(|pid| *pid != own)?;
        Pid::from_raw(i32::try_from(pid).ok()?)
    }

    /// Waits for the end of a process that was asked to stop.
    pub(super) fn join(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.join(),
            None => bail!("{} does not run", self.node.name),
        }
    }

    /// Kills the supervisor and its child, as a power failure would.
    pub(super) fn kill(&mut self) -> Result<()> {
        let performer = self.supervised();
        // The supervisor first: it must not see its child die.
        self.signal(Signal::KILL)?;
        if let Some(pid) = performer {
            // This fails if the child has died with its supervisor.
            let _ = kill_process(pid, Signal::KILL);
        }
        self.join()?;
        if let Some(pid) = performer {
            // This process is the first one of its namespace, so it inherits orphans.
            let _ = waitpid(Some(pid), WaitOptions::empty());
        }
        Ok(())
    }

    /// Whether the process has ended by itself.
    pub(super) fn has_ended(&mut self) -> Result<bool> {
        match &mut self.process {
            Some(process) => Ok(process.child().try_wait()?.is_some()),
            None => Ok(false),
        }
    }

    /// How often it has logged an event.
    pub(super) fn count_events(&self, event: &str) -> usize {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.matches(&format!("\"event\":\"{event}\"")).count()
    }

    /// The relevant content of its log.
    pub(super) fn read_log(&self) -> HostLog {
        let log = fs::read(&self.log).unwrap_or_default();
        HostLog::read(self.node.name, &String::from_utf8_lossy(&log))
    }

    fn running(&self) -> Result<&Running> {
        self.process.as_ref().with_context(|| format!("{} does not run", self.node.name))
    }
}
