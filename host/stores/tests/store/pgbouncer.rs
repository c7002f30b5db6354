//! A real PgBouncer in transaction mode, in front of a PostgreSQL. Several crates' tests use this
//! file.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::postgres_server::{PostgresServer, ROLE, as_nobody};

/// A running pooler; it is killed when this is dropped.
pub(crate) struct PgBouncer {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl PgBouncer {
    /// A pooler at `address` for all databases of `server`.
    pub(crate) fn start(server: &PostgresServer, address: SocketAddr) -> Self {
        let settings = format!(
            "[databases]\n\
             * = host={} port={}\n\
             [pgbouncer]\n\
             listen_addr = {}\nlisten_port = {}\nunix_socket_dir =\n\
             auth_type = trust\nauth_file = users.txt\n\
             pool_mode = transaction\ndefault_pool_size = 8\nmax_client_conn = 2000\n\
             server_idle_timeout = 3\n",
            server.address.ip(),
            server.address.port(),
            address.ip(),
            address.port()
        );
        fs::write(server.folder().join("pgbouncer.ini"), settings).unwrap();
        fs::write(server.folder().join("users.txt"), format!("\"{ROLE}\" \"\"\n")).unwrap();
        let program = std::env::var_os("SOLOIST_TEST_PGBOUNCER");
        let program = program.map_or_else(|| "/usr/sbin/pgbouncer".into(), PathBuf::from);
        let mut pooler = Command::new(program);
        as_nobody(&mut pooler, server.folder());
        pooler.arg("pgbouncer.ini").stdout(Stdio::null()).stderr(Stdio::null());
        let child = pooler.spawn().expect("PgBouncer: install it, or set SOLOIST_TEST_PGBOUNCER");
        let mut pooler = Self { address, child };
        while TcpStream::connect(address).is_err() {
            assert!(pooler.child.try_wait().unwrap().is_none(), "PgBouncer ended");
            std::thread::sleep(Duration::from_millis(20));
        }
        pooler
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
