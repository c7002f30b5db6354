//! A PostgreSQL on its own node and disk.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use soloist_devtools::cmd;
use soloist_devtools::process::Running;

use super::disk::Disk;
use super::net::Node;
use super::sandbox::tool;

/// The port for clients.
pub(super) const PORT: u16 = 5432;
/// The user and the password of the hosts.
pub(super) const LOGIN: &str = "soloist:secret";
/// The administrator, whom the bench needs no password for.
const ROOT: &str = "root";
/// The database of the hosts.
pub(super) const DATABASE: &str = "faults";

/// The user of the server, which refuses to run as root (nobody).
const USER: u32 = 65534;

/// The message by which a client asks for TLS: its length, and a number (PostgreSQL 17, 53.7). The
/// answer is one letter, and needs no login.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// How long the server may take to answer that.
const PROMPT: Duration = Duration::from_millis(50);

/// The folders with the server's data, and with a copy of it.
const DATA: &str = "data";
const COPY: &str = "copy";

/// A PostgreSQL server.
pub(super) struct Postgres {
    pub(super) node: Node,
    // Before the disk: a process that writes to the disk must end before it is unmounted, and can
    // end only after it is thawed.
    process: Option<Running>,
    pub(super) disk: Disk,
    /// The server's program; the others are in the same folder.
    program: PathBuf,
    log: PathBuf,
}

impl Postgres {
    /// Makes a server on `node` and starts it; its log goes to `folder`.
    pub(super) fn start(program: &Path, node: Node, folder: &Path) -> Result<Self> {
        let mut server = Self {
            node,
            process: None,
            disk: Disk::make(folder, node.name)?,
            program: program.to_owned(),
            log: folder.join(format!("{}.log", node.name)),
        };
        chown(server.disk.place(), Some(USER), Some(USER))?;
        server.make_data()?;
        server.restart()?;
        Ok(server)
    }

    fn make_data(&self) -> Result<()> {
        let mut make = self.tool("initdb");
        make.args([
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C",
            "--username",
            ROOT,
        ]);
        cmd::output(make.arg("--pgdata").arg(self.place(DATA)))?;
        let rules = format!(
            "host all {ROOT} 10.98.0.0/24 trust\n\
             host replication {ROOT} 10.98.0.0/24 trust\n\
             host all all 10.97.0.0/24 scram-sha-256\n"
        );
        let file = self.place(DATA).join("pg_hba.conf");
        fs::write(&file, rules).context("cannot write the server's rules")
    }

    /// Whether it answers questions. It takes connections a moment before that.
    pub(super) fn is_up(&self) -> bool {
        self.sql_in("postgres", "SELECT").is_ok()
    }

    /// Makes the database and the role of the hosts.
    pub(super) fn let_hosts_in(&self) -> Result<()> {
        let (user, password) = LOGIN.split_once(':').context("a login")?;
        self.sql_in("postgres", &format!("CREATE ROLE {user} LOGIN PASSWORD '{password}'"))?;
        self.sql_in("postgres", &format!("CREATE DATABASE {DATABASE} OWNER {user}")).map(drop)
    }

    /// Starts its process again, with its data.
    pub(super) fn restart(&mut self) -> Result<()> {
        let log = File::options().append(true).create(true).open(&self.log)?;
        let mut command = self.as_its_user(self.program.clone(), Some(self.node));
        command
            .arg("-D")
            .arg(self.place(DATA))
            .args(["-p", &PORT.to_string(), "-k", "", "-c", "listen_addresses=*"])
            .args(["-c", "max_connections=200", "-c", "shared_buffers=32MB"])
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C must reach the bench alone.
            .process_group(0);
        self.process = Some(Running::start_as_is(self.node.name, &mut command)?);
        Ok(())
    }

    /// Kills all of its processes, unless it has ended by itself.
    pub(super) fn kill(&mut self) -> Result<()> {
        if !self.has_ended()? {
            self.freeze()?;
            self.running()?.signal_family(Signal::KILL)?;
        }
        self.process.take().context("it does not run")?.join()
    }

    /// Has it end all connections and stop (a fast shutdown), and starts it again.
    pub(super) fn stop_and_start(&mut self) -> Result<()> {
        self.running()?.signal(Signal::INT)?;
        self.process.take().context("it does not run")?.join()?;
        self.restart()
    }

    /// Freezes all of its processes.
    pub(super) fn freeze(&self) -> Result<()> {
        self.running()?.signal_family(Signal::STOP)
    }

    /// Lets them continue.
    pub(super) fn thaw(&self) -> Result<()> {
        self.running()?.signal_family(Signal::CONT)
    }

    /// Copies its data while it runs.
    pub(super) fn copy(&self) -> Result<()> {
        let _ = fs::remove_dir_all(self.place(COPY));
        let mut copy = self.client("pg_basebackup");
        copy.args(["--checkpoint=fast", "--no-sync", "--pgdata"]).arg(self.place(COPY));
        cmd::output(&mut copy).map(drop)
    }

    /// Replaces its data by the copy; it must not run.
    pub(super) fn put_copy_back(&self) -> Result<()> {
        fs::remove_dir_all(self.place(DATA)).context("cannot remove data")?;
        fs::rename(self.place(COPY), self.place(DATA)).context("cannot put data in place")
    }

    /// Whether its process has ended.
    fn has_ended(&mut self) -> Result<bool> {
        let process = self.process.as_mut().context("it does not run")?;
        Ok(process.child().try_wait()?.is_some())
    }

    /// Whether it takes connections, as fast as in normal times.
    pub(super) fn is_prompt(&self) -> bool {
        let asks = || {
            let mut to = TcpStream::connect_timeout(&self.node.client(PORT), PROMPT)?;
            to.set_read_timeout(Some(PROMPT))?;
            to.write_all(&TLS_REQUEST)?;
            to.read_exact(&mut [0])
        };
        asks().is_ok()
    }

    /// Runs SQL in the hosts' database, with all rights and over networks that faults do not touch;
    /// returns what it returns, without any decoration.
    pub(super) fn sql(&self, sql: &str) -> Result<String> {
        self.sql_in(DATABASE, sql)
    }

    /// Locks a table of soloist's for this long.
    pub(super) fn lock(&self, table: &str, time: Duration) -> Result<()> {
        let lock = format!("LOCK TABLE soloist.{table} IN ACCESS EXCLUSIVE MODE");
        let seconds = time.as_secs_f64();
        self.sql(&format!("BEGIN; {lock}; SELECT pg_sleep({seconds}); COMMIT")).map(drop)
    }

    fn sql_in(&self, database: &str, sql: &str) -> Result<String> {
        let text = cmd::output(self.psql(database).args(["-c", sql]))?;
        Ok(text.trim().to_owned())
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = self.client("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database]);
        psql
    }

    /// A client program that finds the server over the bench's network.
    fn client(&self, name: &str) -> Command {
        let mut client = self.tool(name);
        let address = self.node.client(PORT);
        client.env("PGHOST", address.ip().to_string()).env("PGPORT", PORT.to_string());
        client.env("PGUSER", ROOT);
        client
    }

    /// A program of the server's version.
    fn tool(&self, name: &str) -> Command {
        self.as_its_user(self.program.with_file_name(name), None)
    }

    /// A program that runs as the server's user, on a node if one is given.
    fn as_its_user(&self, program: PathBuf, on: Option<Node>) -> Command {
        let mut command = match on {
            Some(node) => node.command(Path::new("setpriv")),
            None => tool("setpriv"),
        };
        let user = [format!("--reuid={USER}"), format!("--regid={USER}")];
        command.args(user).arg("--clear-groups").arg(program).current_dir(self.disk.place());
        command
    }

    fn running(&self) -> Result<&Running> {
        self.process.as_ref().with_context(|| format!("{} does not run", self.node.name))
    }

    fn place(&self, data: &str) -> PathBuf {
        self.disk.place().join(data)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A process that waits for its disk does not end before the disk is thawed.
        if let Err(error) = self.disk.thaw() {
            eprintln!("{error:#}");
        }
        let _ = self.kill();
    }
}

/// The version of a server's program.
pub(super) fn version(program: &Path) -> Result<String> {
    let text = cmd::output(Command::new(program).arg("--version"))?;
    let Some((_, version)) = text.trim().split_once(") ") else { bail!("no version in {text:?}") };
    Ok(version.split(' ').next().unwrap_or(version).to_owned())
}
