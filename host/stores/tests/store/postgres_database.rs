//! Databases for tests: one server for all tests of a process, with a database for each.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc, Mutex, Once, OnceLock, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use soloist_config::StoreUrl;

use crate::{
    etcd_server::{certificate, free_port},
    pgbouncer::PgBouncer,
    postgres_server::{ForeignSession, PostgresServer, ROLE, give_away, output},
};

/// A server that tests share.
pub(crate) struct SharedServer {
    // First, so that it ends before what is behind it.
    pooler: OnceLock<PgBouncer>,
    server: PostgresServer,
    /// Done when there is a database with soloist's tables, from which others are copied.
    tables: Once,
}

/// A database of its own on a server.
pub(crate) struct PostgresDatabase {
    shared: Arc<SharedServer>,
    pub(crate) name: String,
}

impl PostgresDatabase {
    /// A database on a server of its own that speaks TLS, for the role of the same name with the
    /// password `s3cret`.
    #[allow(dead_code, reason = "the tests of the host do without")]
    pub(crate) fn secure() -> Self {
        let shared = Arc::new(SharedServer::start(&["ssl=on"], |folder| {
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
        shared.server.sql("postgres", "CREATE ROLE secure LOGIN PASSWORD 's3cret'");
        shared.server.sql("postgres", "CREATE DATABASE secure OWNER secure");
        Self { shared, name: "secure".to_owned() }
    }

    /// The server's port.
    #[allow(dead_code, reason = "the tests of the host do without")]
    pub(crate) fn port(&self) -> u16 {
        self.shared.server.address.port()
    }

    /// An empty database on the server that the tests of this process share.
    pub(crate) fn empty() -> Self {
        Self::create_on(&SharedServer::of_this_process(), "")
    }

    /// A database with soloist's tables, and the cluster `test` in them.
    pub(crate) fn with_tables() -> Self {
        let shared = SharedServer::of_this_process();
        shared.tables.call_once(|| {
            let (made, server) = (Self::create_on(&shared, ""), &shared.server);
            make_tables(&made.url());
            let others = format!("datname = '{0}' AND pid <> pg_backend_pid()", made.name);
            let end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE";
            server.sql("postgres", &format!("{end} {others}"));
            server.sql("postgres", &format!("ALTER DATABASE {} RENAME TO made", made.name));
        });
        Self::create_on(&shared, "TEMPLATE made")
    }

    fn create_on(shared: &Arc<SharedServer>, like: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
        shared.server.sql("postgres", &format!("CREATE DATABASE {name} {like}"));
        Self { shared: Arc::clone(shared), name }
    }

    /// Its address.
    pub(crate) fn url(&self) -> StoreUrl {
        self.url_at(self.shared.server.address)
    }

    /// Its address behind the pooler.
    pub(crate) fn pooled_url(&self) -> StoreUrl {
        let start = || PgBouncer::start(&self.shared.server, local(free_port()));
        self.url_at(self.shared.pooler.get_or_init(start).address)
    }

    fn url_at(&self, address: SocketAddr) -> StoreUrl {
        let name = &self.name;
        format!("postgres://{ROLE}@{address}/{name}").parse().expect("an address")
    }

    /// Runs SQL, and returns what it returns, without any decoration.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.shared.server.sql(&self.name, sql)
    }

    /// Runs SQL in a transaction that stays open until the result is dropped.
    pub(crate) fn hold(&self, sql: &str) -> ForeignSession {
        self.shared.server.hold(&self.name, sql)
    }

    /// Runs SQL in a session of its own, until the result is dropped.
    pub(crate) fn begin(&self, sql: &str) -> ForeignSession {
        self.shared.server.begin(&self.name, sql)
    }

    /// Copies soloist's schema.
    pub(crate) fn back_up(&self, folder: &Path) {
        let mut dump = self.shared.server.tool("pg_dump");
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

/// Has soloist make its tables, on a runtime of its own, which ends all connections.
fn make_tables(url: &StoreUrl) {
    let store = || soloist_stores::open(url, "test", Duration::from_secs(30)).unwrap();
    let make = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { store().check().await.unwrap() });
    };
    std::thread::scope(|scope| scope.spawn(make).join().unwrap());
}

impl SharedServer {
    /// The server that the tests of this process share.
    fn of_this_process() -> Arc<Self> {
        static SHARED: Mutex<Weak<SharedServer>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start(&[], |_| {}));
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// Makes one, prepares its folder and starts it with these settings.
    fn start(settings: &[&str], prepare: impl FnOnce(&Path)) -> Self {
        let mut server = PostgresServer::stopped(local(free_port())).with(settings);
        prepare(server.folder());
        // Another process may take a free port before the server binds it.
        for _ in 0..10 {
            server.address.set_port(free_port());
            if server.start() {
                return Self { server, pooler: OnceLock::new(), tables: Once::new() };
            }
        }
        panic!("PostgreSQL does not start: install it, or name it in SOLOIST_TEST_POSTGRES");
    }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
