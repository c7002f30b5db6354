//! A real PostgreSQL server in a folder of its own, and SQL on it. Several crates' tests use this
//! file.

use std::{
    ffi::OsString,
    fs,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The user for servers when the tests run as root, as which PostgreSQL refuses to run.
pub(crate) const NOBODY: u32 = 65534;

/// The role that the tests use, which may do everything.
pub(crate) const ROLE: &str = "soloist";

/// Settings under which a server takes little and is quick to start.
const USUAL: [&str; 2] = ["max_connections=600", "shared_buffers=32MB"];

/// A server; it is killed when this is dropped.
pub(crate) struct PostgresServer {
    pub(crate) address: SocketAddr,
    folder: TempDir,
    settings: Vec<String>,
    /// Programs and arguments that every command is prefixed with.
    wrapper: Vec<OsString>,
    child: Option<Child>,
}

impl PostgresServer {
    /// A server without data, which does not run.
    pub(crate) fn without_data(address: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        give_away(folder.path());
        let settings = USUAL.map(ToOwned::to_owned).to_vec();
        Self { address, folder, settings, wrapper: Vec::new(), child: None }
    }

    /// A server without databases, which does not run.
    pub(crate) fn stopped(address: SocketAddr) -> Self {
        let server = Self::without_data(address);
        server.make_data();
        server
    }

    /// Adds settings, as in `postgresql.conf`.
    pub(crate) fn with(mut self, settings: &[&str]) -> Self {
        self.settings.extend(settings.iter().map(|setting| (*setting).to_owned()));
        self
    }

    /// Runs the server and its tools by this program with these arguments.
    pub(crate) fn wrapped(mut self, wrapper: Vec<OsString>) -> Self {
        self.wrapper = wrapper;
        self
    }

    /// Makes its data.
    pub(crate) fn make_data(&self) {
        let mut make = self.tool("initdb");
        make.args(["--pgdata=data", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]);
        output(make.arg(format!("--username={ROLE}")), "");
    }

    /// Starts it with the data that it has, and waits until it answers. Returns whether it does:
    /// another process may have its port.
    pub(crate) fn start(&mut self) -> bool {
        let SocketAddr::V4(address) = self.address else { panic!("{}", self.address) };
        let mut command = self.tool("postgres");
        command.args(["-D", "data", "-k", "", "-p", &address.port().to_string()]);
        command.args(["-c", &format!("listen_addresses={}", address.ip())]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn();
        self.child = Some(child.expect("PostgreSQL: install it, or set SOLOIST_TEST_POSTGRES"));
        self.serves()
    }

    /// Waits until it answers; returns whether it does.
    fn serves(&mut self) -> bool {
        let child = self.child.as_mut().expect("it was started");
        while child.try_wait().unwrap().is_none() {
            let mut asks = Command::new(program().with_file_name("pg_isready"));
            let (host, port) = (self.address.ip().to_string(), self.address.port().to_string());
            asks.args(["-q", "-h", &host, "-p", &port]).stdin(Stdio::null());
            if asks.status().unwrap().success() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Kills all of its processes, as a crash of its machine would; its data remains.
    pub(crate) fn kill(&mut self) {
        if self.child.is_some() {
            self.signal_all(Signal::STOP);
            self.signal_all(Signal::KILL);
            self.ended();
        }
    }

    /// Has it end all connections and stop (PostgreSQL: a fast shutdown).
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::INT);
        self.ended();
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.wait().unwrap();
        }
    }

    /// Freezes all of its processes: connections stay open, and nothing is answered.
    pub(crate) fn freeze(&self) {
        self.signal_all(Signal::STOP);
    }

    /// Ends [`Self::freeze`].
    pub(crate) fn thaw(&self) {
        self.signal_all(Signal::CONT);
    }

    /// Sends the server's first process a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// The same for all of its processes. Each has a session of its own, so there is no group.
    fn signal_all(&self, signal: Signal) {
        let pid = self.pid();
        let before = children(pid);
        self.signal(signal);
        // Those that it has started in the meantime.
        for child in before.into_iter().chain(children(pid)) {
            let _ = kill_process(child, signal);
        }
    }

    fn pid(&self) -> Pid {
        let id = self.child.as_ref().expect("it runs").id();
        Pid::from_raw(id.cast_signed()).expect("a pid")
    }

    /// The folder with its data (`data`), which only it may write to.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs SQL in a database, and returns what it returns, without any decoration.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        output(&mut self.psql(database), sql)
    }

    /// Runs SQL in a transaction that stays open until the result is dropped.
    pub(crate) fn hold(&self, database: &str, sql: &str) -> ForeignSession {
        let sql = format!("BEGIN; {sql}; SELECT 'held';");
        let mut session = self.begin(database, &sql);
        let mut from = BufReader::new(session.child.stdout.take().unwrap()).lines();
        assert!(from.any(|line| line.unwrap() == "held"), "psql ended");
        session
    }

    /// Runs SQL, and waits for nothing.
    pub(crate) fn begin(&self, database: &str, sql: &str) -> ForeignSession {
        let mut psql = self.psql(database);
        let mut child = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut to = child.stdin.take().unwrap();
        writeln!(to, "{sql}").unwrap();
        ForeignSession { child, _to: to }
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = self.tool("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", database]);
        psql
    }

    /// A program of the same version, run in the server's folder by its user. Clients find the
    /// server.
    pub(crate) fn tool(&self, name: &str) -> Command {
        let (host, port) = (self.address.ip().to_string(), self.address.port().to_string());
        let mut tool = self.command(program().with_file_name(name));
        tool.env("PGHOST", host).env("PGPORT", port).env("PGUSER", ROLE);
        tool
    }

    /// Any program, run where the server runs.
    pub(crate) fn command(&self, program: PathBuf) -> Command {
        let mut words = self.wrapper.iter().cloned().chain([program.into_os_string()]);
        let mut command = Command::new(words.next().expect("a program"));
        as_nobody(command.args(words), self.folder());
        command
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A session of somebody else; it ends when this is dropped, and gives up its transaction.
pub(crate) struct ForeignSession {
    child: Child,
    /// psql ends with it.
    _to: ChildStdin,
}

impl Drop for ForeignSession {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processes that `parent` has started.
fn children(parent: Pid) -> Vec<Pid> {
    let parent = parent.as_raw_nonzero();
    let list = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let list = list.unwrap_or_default();
    list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

/// Makes servers' user the owner of a file or folder.
pub(crate) fn give_away(path: &Path) {
    if rustix::process::geteuid().is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

/// Has a command run in `folder` by a user that servers accept.
pub(crate) fn as_nobody(command: &mut Command, folder: &Path) {
    command.current_dir(folder).stdin(Stdio::null());
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
}

/// The server's program; the others are in the same folder.
fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("SOLOIST_TEST_POSTGRES") {
        return named.into();
    }
    // Debian installs its versions in parallel here, none of them on PATH.
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let programs = versions.map(|version| version.path().join("bin/postgres"));
    programs.filter(|program| program.is_file()).max().unwrap_or_else(|| "postgres".into())
}

/// The output of a program that must succeed, given its input.
pub(crate) fn output(command: &mut Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().expect("PostgreSQL's programs: name the server in SOLOIST_TEST_POSTGRES");
    let mut to = child.stdin.take().unwrap();
    let input = input.to_owned();
    // It may write before it has read everything.
    let writes = std::thread::spawn(move || to.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let _ = writes.join();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
