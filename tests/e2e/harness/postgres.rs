//! Real PostgreSQLs: one server for most tests, with a database for each; and one of its own for
//! tests that harm it.

use std::sync::{
    Arc, Mutex, OnceLock, PoisonError, Weak,
    atomic::{AtomicU32, Ordering},
};

use super::{
    at, own_address,
    pgbouncer::PgBouncer,
    postgres_server::{ForeignSession, PostgresServer, ROLE},
};

/// The port for clients.
pub(crate) const PORT: u16 = 5432;
/// The pooler's port.
const POOLER_PORT: u16 = 6432;

/// The database that each server has.
pub(crate) const DATABASE: &str = "postgres";

/// A running server of its own.
pub(crate) fn started() -> PostgresServer {
    let mut server = PostgresServer::stopped(at(own_address(), PORT));
    assert!(server.start(), "PostgreSQL starts");
    server
}

/// The URL of the database of a server, for the role that may do everything.
pub(crate) fn url(server: &PostgresServer) -> String {
    format!("postgres://{ROLE}@{}/{DATABASE}", server.address)
}

/// The pooler in front of a server, at an address of its own.
pub(crate) fn pooler(server: &PostgresServer) -> PgBouncer {
    PgBouncer::start(server, at(own_address(), POOLER_PORT))
}

/// A server that tests share.
struct SharedServer {
    // First, so that it ends before what is behind it.
    pooler: OnceLock<PgBouncer>,
    server: PostgresServer,
}

impl SharedServer {
    fn of_this_process() -> Arc<Self> {
        static SHARED: Mutex<Weak<SharedServer>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self { server: started(), pooler: OnceLock::new() });
            *shared = Arc::downgrade(&server);
            server
        })
    }
}

/// A database of its own on the server that tests share.
pub(crate) struct Database {
    shared: Arc<SharedServer>,
    name: String,
    is_pooled: bool,
}

impl Database {
    /// A database that hosts reach directly.
    pub(crate) fn direct() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let shared = SharedServer::of_this_process();
        shared.server.sql(DATABASE, &format!("CREATE DATABASE {name}"));
        Self { shared, name, is_pooled: false }
    }

    /// A database that hosts reach by the pooler.
    pub(crate) fn pooled() -> Self {
        Self { is_pooled: true, ..Self::direct() }
    }

    /// The URL for hosts.
    pub(crate) fn url(&self) -> String {
        let SharedServer { server, pooler: of_server } = &*self.shared;
        let address = if self.is_pooled {
            of_server.get_or_init(|| pooler(server)).address
        } else {
            server.address
        };
        format!("postgres://{ROLE}@{address}/{}", self.name)
    }

    /// Keeps all hosts from reading or writing anything, until the result is dropped.
    pub(crate) fn hold(&self) -> ForeignSession {
        let server = &self.shared.server;
        server.hold(&self.name, "LOCK TABLE soloist.store IN ACCESS EXCLUSIVE MODE")
    }
}
