//! A real `soloist` process.

use std::{
    net::SocketAddr,
    process::{ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use super::{PATIENCE, log::Log};

/// A running `soloist`; killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) log: Log,
}

/// What a process left behind.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) output: String,
}

/// A command that runs the `soloist` under test, with nothing of the tester's environment.
pub(crate) fn soloist() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_soloist"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SOLOIST_") {
            command.env_remove(name);
        }
    }
    command.env("NO_COLOR", "1").stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs `soloist` to its end.
pub(crate) async fn run(command: &mut Command) -> Ended {
    let output = timeout(PATIENCE, command.output()).await.expect("it ends").expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ended { status: output.status, output: text(output.stdout) + &text(output.stderr) }
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("soloist starts");
        let log = Log::default();
        log.read(child.stdout.take().expect("piped"));
        log.read(child.stderr.take().expect("piped"));
        Self { child, log }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        kill_process(pid.expect("it runs"), signal).expect("it takes signals");
    }

    /// Kills it as a power cut would, and waits until it is gone.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    /// Asks it to stop and waits until it has.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("it goes on:\n{}", self.log)).expect("it can be awaited")
    }

    /// Where its control API answers.
    pub(crate) async fn api(&self) -> SocketAddr {
        let line = self.log.event(0, "listening").await;
        line["listen"].as_str().and_then(|l| l.parse().ok()).expect("an address")
    }

    /// Its `GET /v1/status`.
    pub(crate) async fn status(&self) -> Value {
        let url = format!("http://{}/v1/status", self.api().await);
        reqwest::get(url).await.expect("an answer").json().await.expect("JSON")
    }
}
