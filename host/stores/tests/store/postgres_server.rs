//! A real PostgreSQL: one server for all tests of a process, with a database for each test; and a
//! PgBouncer in front of it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, Once, OnceLock, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use soloist_config::StoreUrl;

use crate::etcd_server::{certificate, free_port};

/// The user for the server when the tests run as root, as which PostgreSQL refuses to run.
const NOBODY: u32 = 65534;

/// The role that the tests use, which may do everything.
const ROLE: &str = "soloist";

/// A running server; it is killed when this is dropped.
pub(crate) struct PostgresServer {
    folder: tempfile::TempDir,
    port: u16,
    child: Child,
    pooler: OnceLock<PgBouncer>,
    /// Done when there is a database with soloist's tables, from which others are copied.
    tables: Once,
}

/// A running PgBouncer in transaction mode; it is killed when this is dropped.
struct PgBouncer {
    port: u16,
    child: Child,
}

/// A database of its own on a server.
pub(crate) struct PostgresDatabase {
    pub(crate) server: Arc<PostgresServer>,
    pub(crate) name: String,
}

impl PostgresDatabase {
    /// A database on a server of its own that speaks TLS, for the role of the same name with the
    /// password `s3cret`.
    #[allow(dead_code, reason = "the tests of the host do without")]
    pub(crate) fn secure() -> Self {
        let server = Arc::new(PostgresServer::start(&["ssl=on"], |folder| {
            for (file, name) in [("host.pem", "server.crt"), ("host.key", "server.key")] {
                let to = folder.join("data").join(name);
                fs::copy(certificate(file), &to).unwrap();
                fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
                give_away(&to);
            }
            let rules = format!(
                "hostssl all secure 127.0.0.1/32 scram-sha-256\n\
                 host all {ROLE} 127.0.0.1/32 trust\n"
            );
            fs::write(folder.join("data/pg_hba.conf"), rules).unwrap();
        }));
        server.sql("postgres", "CREATE ROLE secure LOGIN PASSWORD 's3cret'");
        server.sql("postgres", "CREATE DATABASE secure OWNER secure");
        Self { server, name: "secure".to_owned() }
    }

    /// The server's port.
    #[allow(dead_code, reason = "the tests of the host do without")]
    pub(crate) fn port(&self) -> u16 {
        self.server.port
    }

    /// An empty database on the server that the tests of this process share.
    pub(crate) fn empty() -> Self {
        Self::create_on(&PostgresServer::shared(), "")
    }

    /// A database with soloist's tables, and the cluster `test` in them.
    pub(crate) fn with_tables() -> Self {
        let server = PostgresServer::shared();
        server.tables.call_once(|| {
            let made = Self::create_on(&server, "");
            make_tables(&made.url());
            let others = format!("datname = '{0}' AND pid <> pg_backend_pid()", made.name);
            let end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE";
            server.sql("postgres", &format!("{end} {others}"));
            server.sql("postgres", &format!("ALTER DATABASE {} RENAME TO made", made.name));
        });
        Self::create_on(&server, "TEMPLATE made")
    }

    fn create_on(server: &Arc<PostgresServer>, like: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
        server.sql("postgres", &format!("CREATE DATABASE {name} {like}"));
        Self { server: Arc::clone(server), name }
    }

    /// Its address.
    pub(crate) fn url(&self) -> StoreUrl {
        self.url_at(self.server.port)
    }

    /// Its address behind the pooler.
    pub(crate) fn pooled_url(&self) -> StoreUrl {
        let pooler = self.server.pooler.get_or_init(|| PgBouncer::start(&self.server));
        self.url_at(pooler.port)
    }

    fn url_at(&self, port: u16) -> StoreUrl {
        let name = &self.name;
        format!("postgres://{ROLE}@127.0.0.1:{port}/{name}").parse().expect("an address")
    }

    /// Runs SQL, and returns what it returns, without any decoration.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.server.sql(&self.name, sql)
    }

    /// Runs SQL in a transaction that stays open until the result is dropped.
    pub(crate) fn hold(&self, sql: &str) -> OpenTransaction {
        let mut psql = self.server.psql(&self.name);
        let mut child = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut to = child.stdin.take().unwrap();
        writeln!(to, "BEGIN; {sql}; SELECT 'held';").unwrap();
        let mut from = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(from.any(|line| line.unwrap() == "held"), "psql ended");
        OpenTransaction { child, _to: to }
    }

    /// Copies soloist's schema.
    pub(crate) fn back_up(&self, folder: &Path) {
        let mut dump = self.server.tool("pg_dump");
        let dumped = output(dump.args(["--schema=soloist", &self.name]), "");
        fs::write(folder.join("dump.sql"), dumped).unwrap();
    }

    /// Replaces soloist's schema by a copy, in one transaction.
    pub(crate) fn restore(&self, folder: &Path) {
        let dump = fs::read_to_string(folder.join("dump.sql")).unwrap();
        // The copy ends with a comment.
        self.sql(&format!("BEGIN; DROP SCHEMA soloist CASCADE; {dump}\nCOMMIT"));
    }
}

/// A transaction of somebody else; it is given up when this is dropped.
pub(crate) struct OpenTransaction {
    child: Child,
    /// psql ends with it.
    _to: ChildStdin,
}

impl Drop for OpenTransaction {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Has soloist make its tables, on a runtime of its own, which ends all connections.
fn make_tables(url: &StoreUrl) {
    let store = || soloist_stores::open(url, "test", Duration::from_secs(30)).unwrap();
    let make = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { store().check().await.unwrap() });
    };
    std::thread::scope(|scope| scope.spawn(make).join().unwrap());
}

impl PostgresServer {
    /// The server that the tests of this process share.
    fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<PostgresServer>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start(&[], |_| {}));
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// Makes one, prepares its folder and starts it with these settings.
    fn start(settings: &[&str], prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        give_away(folder.path());
        let mut make = tool("initdb", folder.path());
        make.args(["--pgdata=data", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]);
        output(make.arg(format!("--username={ROLE}")), "");
        prepare(folder.path());
        // Another process may take a free port before the server binds it.
        for _ in 0..10 {
            let port = free_port();
            let mut child = spawn(folder.path(), port, settings);
            if serves(folder.path(), port, &mut child) {
                return Self { folder, port, child, pooler: OnceLock::new(), tables: Once::new() };
            }
        }
        panic!("PostgreSQL does not start: install it, or name it in SOLOIST_TEST_POSTGRES");
    }

    /// Runs SQL in a database.
    fn sql(&self, database: &str, sql: &str) -> String {
        output(&mut self.psql(database), sql)
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = self.tool("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", database]);
        psql
    }

    /// A client program of the same version, which finds the server.
    fn tool(&self, name: &str) -> Command {
        client(name, self.folder.path(), self.port)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl PgBouncer {
    fn start(server: &PostgresServer) -> Self {
        let (folder, port) = (server.folder.path(), free_port());
        let settings = format!(
            "[databases]\n\
             * = host=127.0.0.1 port={}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = trust\nauth_file = users.txt\n\
             pool_mode = transaction\ndefault_pool_size = 8\nmax_client_conn = 2000\n\
             server_idle_timeout = 3\n",
            server.port
        );
        fs::write(folder.join("pgbouncer.ini"), settings).unwrap();
        fs::write(folder.join("users.txt"), format!("\"{ROLE}\" \"\"\n")).unwrap();
        let program = std::env::var_os("SOLOIST_TEST_PGBOUNCER");
        let program = program.map_or_else(|| "/usr/sbin/pgbouncer".into(), PathBuf::from);
        let mut pooler = as_nobody(Command::new(program), folder);
        pooler.arg("pgbouncer.ini").stdout(Stdio::null()).stderr(Stdio::null());
        let mut child =
            pooler.spawn().expect("PgBouncer: install it, or name it in SOLOIST_TEST_PGBOUNCER");
        assert!(serves(folder, port, &mut child), "PgBouncer ended");
        Self { port, child }
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes the server the owner of a file or folder.
fn give_away(path: &Path) {
    if rustix::process::geteuid().is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

fn spawn(folder: &Path, port: u16, settings: &[&str]) -> Child {
    let mut server = tool("postgres", folder);
    server.args(["-D", "data", "-k", ".", "-p", &port.to_string()]);
    let usual = ["listen_addresses=127.0.0.1", "max_connections=600", "shared_buffers=32MB"];
    for setting in usual.iter().chain(settings) {
        server.args(["-c", setting]);
    }
    server.stdout(Stdio::null()).stderr(Stdio::null());
    server.spawn().expect("PostgreSQL: install it, or name it in SOLOIST_TEST_POSTGRES")
}

/// Waits until the server answers; returns whether it does.
fn serves(folder: &Path, port: u16, child: &mut Child) -> bool {
    while child.try_wait().unwrap().is_none() {
        let mut asks = client("pg_isready", folder, port);
        if asks.arg("-q").status().unwrap().success() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

fn client(name: &str, folder: &Path, port: u16) -> Command {
    let mut client = tool(name, folder);
    client.env("PGHOST", "127.0.0.1").env("PGPORT", port.to_string()).env("PGUSER", ROLE);
    client
}

/// A program of the server's, run in `folder` by a user that it accepts.
fn tool(name: &str, folder: &Path) -> Command {
    as_nobody(Command::new(program().with_file_name(name)), folder)
}

fn as_nobody(mut command: Command, folder: &Path) -> Command {
    command.current_dir(folder).stdin(Stdio::null());
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
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
fn output(command: &mut Command, input: &str) -> String {
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
