//! A real `soloist` process.

use std::{
    fs,
    net::SocketAddr,
    os::fd::OwnedFd,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{
        Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, pidfd_send_signal, waitpid,
    },
};
use serde_json::Value;
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

use super::{PATIENCE, log::Log};

/// The unit of CPU times in `/proc` (`USER_HZ`: 100, except on Alpha and IA-64).
const TICK: Duration = Duration::from_millis(10);

/// A running `soloist`; it is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) log: Log,
}

/// The result of a process that has ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) output: String,
}

/// The variable that makes the started process the host itself, without a supervisor.
pub(crate) const NO_SUPERVISOR: &str = "SOLOIST_NO_SUPERVISOR";

/// The `soloist` under test, without the variables of the tester's environment, and without a
/// supervisor.
pub(crate) fn soloist() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_soloist"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SOLOIST_") {
            command.env_remove(name);
        }
    }
    command.env("NO_COLOR", "1").env(NO_SUPERVISOR, "1").stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs `soloist` until it ends.
pub(crate) async fn run(command: &mut Command) -> Ended {
    run_within(PATIENCE, command).await
}

/// The same, with another time limit.
pub(crate) async fn run_within(patience: Duration, command: &mut Command) -> Ended {
    let output = timeout(patience, command.output()).await.expect("it ends").expect("it starts");
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
        kill_process(self.pid(), signal).expect("it takes signals");
    }

    /// Freezes the process.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
        // Until its last thread is stopped, it may still answer.
        waitpid(Some(self.pid()), WaitOptions::UNTRACED).expect("it stops");
    }

    pub(crate) fn pid(&self) -> Pid {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        pid.expect("it runs")
    }

    /// Kills it as a power failure would, and waits for its end.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    /// Asks it to stop, and waits for its end.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("it goes on:\n{}", self.log)).expect("it can be awaited")
    }

    /// The host that this supervisor runs, according to its log from `from` on.
    pub(crate) async fn supervised(&self, from: usize) -> Supervised {
        let line = self.log.event(from, "supervising").await;
        let pid = line["pid"].as_i64().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        Supervised(pidfd_open(pid.expect("a pid"), PidfdFlags::empty()).expect("it runs"))
    }

    /// Its resident memory in bytes (proc(5): `VmRSS`).
    pub(crate) fn memory(&self) -> u64 {
        self.of_status("VmRSS:") << 10
    }

    /// Its private memory in bytes. This leaves out the pages of the program, whose number depends
    /// on the build, and which the kernel can drop (proc(5): `RssAnon`).
    pub(crate) fn own_memory(&self) -> u64 {
        self.of_status("RssAnon:") << 10
    }

    /// Its peak memory in bytes (proc(5): `VmHWM`).
    pub(crate) fn peak_memory(&self) -> u64 {
        self.of_status("VmHWM:") << 10
    }

    /// The number of its threads.
    pub(crate) fn threads(&self) -> u64 {
        self.of_status("Threads:")
    }

    /// The number of its open files and sockets.
    pub(crate) fn files(&self) -> usize {
        fs::read_dir(self.in_proc("fd")).expect("a process of ours").count()
    }

    /// Its CPU time since it started (proc(5): `utime` and `stime`).
    pub(crate) fn computed(&self) -> Duration {
        let stat = fs::read_to_string(self.in_proc("stat")).expect("it runs");
        // The name of the program is in brackets and may contain anything.
        let (_, fields) = stat.rsplit_once(") ").expect("a name");
        let times = fields.split(' ').skip(11).take(2);
        let ticks: u32 = times.map(|ticks| ticks.parse::<u32>().expect("a number")).sum();
        TICK * ticks
    }

    /// The number in this line of `/proc/PID/status`.
    fn of_status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(self.in_proc("status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    fn in_proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id().expect("it runs"))
    }

    /// The address of its control API.
    pub(crate) async fn api(&self) -> SocketAddr {
        let line = self.log.event(0, "listening").await;
        line["listen"].as_str().and_then(|l| l.parse().ok()).expect("an address")
    }

    /// The answer of `GET /v1/status`.
    pub(crate) async fn status(&self) -> Value {
        let url = format!("http://{}/v1/status", self.api().await);
        reqwest::get(url).await.expect("an answer").json().await.expect("JSON")
    }
}

/// The first status of a host that `wanted` accepts. What a host knows of others comes from the
/// store, so it may take a moment.
pub(crate) async fn agrees(host: &Process, wanted: impl Fn(&Value) -> bool) -> Value {
    let found = timeout(PATIENCE, async {
        loop {
            let status = host.status().await;
            if wanted(&status) {
                return status;
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    match found.await {
        Ok(status) => status,
        Err(_) => panic!("no such status: {:#}\n{}", host.status().await, host.log),
    }
}

/// Whether a host's `GET /readyz` says that it is ready, and the text.
pub(crate) async fn readiness(host: &Process) -> (bool, String) {
    let url = format!("http://{}/readyz", host.api().await);
    let answer = reqwest::get(url).await.expect("the process lives");
    (answer.status().is_success(), answer.text().await.expect("a reason"))
}

/// Waits until a host is ready, or is not ready for a reason that contains `words`.
pub(crate) async fn until_readiness(host: &Process, ready: bool, words: &str) {
    let found = timeout(PATIENCE, async {
        loop {
            let (is, why) = readiness(host).await;
            if is == ready && why.contains(words) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    if found.await.is_err() {
        panic!("ready is not {ready} for {words:?}: {:?}\n{}", readiness(host).await, host.log);
    }
}

/// A host that runs under a supervisor.
pub(crate) struct Supervised(OwnedFd);

impl Supervised {
    pub(crate) fn signal(&self, signal: Signal) {
        pidfd_send_signal(&self.0, signal).expect("it runs");
    }

    /// Waits until it is dead.
    pub(crate) async fn gone(self) {
        let patience = Timespec::try_from(PATIENCE).expect("a time");
        let wait = move || poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&patience));
        let dead = tokio::task::spawn_blocking(wait).await.expect("no panic");
        assert_eq!(dead, Ok(1), "it goes on");
    }
}
