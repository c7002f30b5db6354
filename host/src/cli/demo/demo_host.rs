//! A host of the demo, which is a child process.

use std::{io, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{self, ChildStdin, Command},
    task::JoinSet,
};

use super::{demo_host_config::DemoHostConfig, demo_output::DemoOutput};
use crate::cli::{ExitError, terminal::COLOR_VARIABLE};

/// Environment variables that are meant for one host only, or for another store.
const OTHERS: [&str; 4] =
    ["SOLOIST_ADVERTISE", "SOLOIST_STORE_CA", "SOLOIST_STORE_CERT", "SOLOIST_STORE_KEY"];

/// A running host. Its output is shown until it ends.
pub(super) struct DemoHost {
    process: process::Child,
    /// The pipe to its stdin; the host stops when this closes. Kept outside of `process`, whose
    /// `wait` would close it.
    stdin: Option<ChildStdin>,
    lines: JoinSet<()>,
}

impl DemoHost {
    /// Starts the host that `part` describes.
    pub(super) fn start(host: &DemoHostConfig, show: DemoOutput) -> Result<Self, ExitError> {
        let failed =
            |error| ExitError::internal(format!("cannot start host {}", host.name), &error);
        let mut process = command(host, show).and_then(|mut it| it.spawn()).map_err(failed)?;
        let mut lines = JoinSet::new();
        if let Some(stdout) = process.stdout.take() {
            lines.spawn(pass_on(stdout, host.clone(), show));
        }
        if let Some(stderr) = process.stderr.take() {
            lines.spawn(pass_on(stderr, host.clone(), show));
        }
        Ok(Self { stdin: process.stdin.take(), process, lines })
    }

    /// Its process id, for killing it by hand.
    pub(super) fn pid(&self) -> u32 {
        self.process.id().unwrap_or_default()
    }

    /// Waits for the process to end, and describes how it ended. May be dropped and called again.
    pub(super) async fn wait(&mut self) -> String {
        let end = self.process.wait().await;
        while self.lines.join_next().await.is_some() {}
        end.map_or_else(|error| error.to_string(), |status| status.to_string())
    }

    /// Kills the process, which is like a power failure.
    pub(super) async fn kill(&mut self) {
        let _ = self.process.start_kill();
        self.wait().await;
    }

    /// Asks the process to stop; kills it after `patience`.
    pub(super) async fn stop(&mut self, patience: Duration) {
        drop(self.stdin.take());
        if tokio::time::timeout(patience, self.wait()).await.is_err() {
            self.kill().await;
        }
    }
}

/// The command line of the host that `part` describes.
fn command(host: &DemoHostConfig, show: DemoOutput) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["run", "--no-supervisor", "--exit-with-parent", "--name", host.name]);
    command.args(["--store", &host.store]);
    command.arg("--listen").arg(format!("127.0.0.1:{}", host.port));
    command.arg("--config").arg(&host.settings).arg("--plugins").arg(&host.plugins);
    for variable in OTHERS {
        command.env_remove(variable);
    }
    if show.is_coloured() {
        command.env(COLOR_VARIABLE, "always");
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A process group of its own: Ctrl-C in the terminal goes to the demo only, which then stops
    // its hosts.
    command.process_group(0).kill_on_drop(true);
    Ok(command)
}

/// Shows every line of `stream` as output of this host.
async fn pass_on(stream: impl AsyncRead + Unpin, host: DemoHostConfig, show: DemoOutput) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    while stream.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
        show.line(&host, String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}
