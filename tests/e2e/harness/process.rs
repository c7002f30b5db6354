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

/// In which the kernel tells processes their times (`USER_HZ`: 100, but on Alpha and IA-64).
const TICK: Duration = Duration::from_millis(10);

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

/// The switch that makes the process that a test starts the host itself.
pub(crate) const NO_SUPERVISOR: &str = "SOLOIST_NO_SUPERVISOR";

/// A command that runs the `soloist` under test, with nothing of the tester's
/// environment, and a host as this very process.
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

/// Runs `soloist` to its end.
pub(crate) async fn run(command: &mut Command) -> Ended {
    run_within(PATIENCE, command).await
}

/// The same, where it may take as long as this.
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

    /// Stops it where it stands.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
        // Until the last of its threads has stopped, it may still answer.
        waitpid(Some(self.pid()), WaitOptions::UNTRACED).expect("it stops");
    }

    pub(crate) fn pid(&self) -> Pid {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        pid.expect("it runs")
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

    /// The host that this supervisor runs, by what it logged at or after `from`.
    pub(crate) async fn supervised(&self, from: usize) -> Supervised {
        let line = self.log.event(from, "supervising").await;
        let pid = line["pid"].as_i64().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        Supervised(pidfd_open(pid.expect("a pid"), PidfdFlags::empty()).expect("it runs"))
    }

    /// How much memory it holds, in bytes (proc(5): `VmRSS`).
    pub(crate) fn memory(&self) -> u64 {
        self.of_status("VmRSS:") << 10
    }

    /// The same without the pages of its program, which are as many as that was built large, and
    /// are given back when others need the room (proc(5): `RssAnon`).
    pub(crate) fn own_memory(&self) -> u64 {
        self.of_status("RssAnon:") << 10
    }

    /// The most that it ever held (proc(5): `VmHWM`).
    pub(crate) fn peak_memory(&self) -> u64 {
        self.of_status("VmHWM:") << 10
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> u64 {
        self.of_status("Threads:")
    }

    /// How many files, sockets and the like it has open.
    pub(crate) fn files(&self) -> usize {
        fs::read_dir(self.in_proc("fd")).expect("a process of ours").count()
    }

    /// For how long it has computed, since it began (proc(5): `utime` and `stime`).
    pub(crate) fn computed(&self) -> Duration {
        let stat = fs::read_to_string(self.in_proc("stat")).expect("it runs");
        // The name of the program, in brackets, may hold anything.
        let (_, fields) = stat.rsplit_once(") ").expect("a name");
        let times = fields.split(' ').skip(11).take(2);
        let ticks: u32 = times.map(|ticks| ticks.parse::<u32>().expect("a number")).sum();
        TICK * ticks
    }

    /// What a line of its status says, as a number.
    fn of_status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(self.in_proc("status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    fn in_proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id().expect("it runs"))
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

/// The first status that `wanted` likes: what a host knows of others comes by the store.
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

/// What a host's `GET /readyz` says, and whether it is ready.
pub(crate) async fn readiness(host: &Process) -> (bool, String) {
    let url = format!("http://{}/readyz", host.api().await);
    let answer = reqwest::get(url).await.expect("the process lives");
    (answer.status().is_success(), answer.text().await.expect("a reason"))
}

/// Awaits that a host is ready, or is not for a reason that has these words.
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

/// A host that is the child of a supervisor.
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
