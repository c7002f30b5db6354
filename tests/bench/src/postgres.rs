//! A PostgreSQL of its own, and a PgBouncer in front of it.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;
use soloist_devtools::process::{Running, free_address};
use soloist_devtools::{cmd, databases};
use tempfile::TempDir;

/// The role that may do everything.
const ROLE: &str = "soloist";
/// The user of the server, which refuses to run as root (nobody).
const USER: u32 = 65534;

/// A server, which ends when this is dropped.
pub(super) struct BenchPostgres {
    address: SocketAddr,
    // Before the folder that they use.
    processes: Vec<Running>,
    folder: TempDir,
}

impl BenchPostgres {
    /// The URL for hosts.
    pub(super) fn url(&self) -> String {
        format!("postgres://{ROLE}@{}/postgres", self.address)
    }
}

/// Starts a server; hosts reach it by a PgBouncer if it is `pooled`.
pub(super) fn start(pooled: bool) -> Result<BenchPostgres> {
    let (program, folder, address) =
        (databases::postgres()?, tempfile::tempdir()?, free_address()?);
    if rustix::process::geteuid().is_root() {
        chown(folder.path(), Some(USER), Some(USER))?;
    }
    let tool = |name| as_its_user(&program.with_file_name(name), folder.path());
    let data = ["--pgdata=data", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"];
    cmd::output(tool("initdb").args(data).args(["--username", ROLE]))?;
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let mut command = tool("postgres");
    command.args(["-D", "data", "-k", "", "-p", &port]);
    command.args(["-c", &format!("listen_addresses={host}"), "-c", "shared_buffers=32MB"]);
    let mut server = Running::start("postgres", &mut command)?;
    server.wait_until("ready", || {
        let mut asks = tool("pg_isready");
        asks.args(["-q", "-h", &host, "-p", &port]).stdout(Stdio::null());
        asks.status().is_ok_and(|status| status.success())
    })?;
    let mut postgres = BenchPostgres { address, processes: vec![server], folder };
    if pooled {
        postgres.pool()?;
    }
    Ok(postgres)
}

impl BenchPostgres {
    /// Puts a PgBouncer in transaction mode in between.
    fn pool(&mut self) -> Result<()> {
        let (folder, address) = (self.folder.path(), free_address()?);
        let settings = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = {}\nlisten_port = {}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = users.txt\npool_mode = transaction\n",
            self.address.ip(),
            self.address.port(),
            address.ip(),
            address.port()
        );
        fs::write(folder.join("pgbouncer.ini"), settings)?;
        fs::write(folder.join("users.txt"), format!("\"{ROLE}\" \"\"\n"))?;
        let mut command = as_its_user(&databases::pgbouncer()?, folder);
        let mut pooler = Running::start("pgbouncer", command.arg("pgbouncer.ini"))?;
        pooler.wait_until("ready", || std::net::TcpStream::connect(address).is_ok())?;
        self.processes.insert(0, pooler);
        self.address = address;
        Ok(())
    }
}

fn as_its_user(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    if rustix::process::geteuid().is_root() {
        command.uid(USER).gid(USER);
    }
    command.current_dir(folder);
    command
}
