//! The parts that tests are made of: real stores, real `soloist` processes, and clients.

pub(crate) mod browser;
pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod collector;
pub(crate) mod console;
pub(crate) mod crowd;
pub(crate) mod disk;
pub(crate) mod etcd;
pub(crate) mod etcd_cluster;
pub(crate) mod events;
pub(crate) mod exit;
pub(crate) mod fake_host;
pub(crate) mod log;
#[path = "../../../host/stores/tests/store/pgbouncer.rs"]
pub(crate) mod pgbouncer;
pub(crate) mod postgres;
#[path = "../../../host/stores/tests/store/postgres_server.rs"]
pub(crate) mod postgres_server;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod target;

use std::{
    env,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

/// The shortest TTL that all stores accept, for tests that wait for its end.
pub(crate) const TTL: Duration = Duration::from_secs(2);
/// The TTL for all other tests: on a busy machine, too, no lease expires.
pub(crate) const CALM_TTL: Duration = Duration::from_secs(8);
/// How long a test waits for an event. The tests do not measure speed by it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A loopback address of its own for each test, so that ports never collide.
pub(crate) fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let page = u8::try_from(next / 254 + 1).ok().filter(|page| *page < 8).expect("1,778 addresses");
    let last = u8::try_from(next % 254 + 1).expect("below 255");
    let [low, high, ..] = std::process::id().to_le_bytes();
    Ipv4Addr::new(127, page << 5 | high & 31, low, last)
}

pub(crate) fn at(address: Ipv4Addr, port: u16) -> SocketAddr {
    (address, port).into()
}

/// The folder of the tests' certificates, which its script `make.sh` has made.
pub(crate) fn certificates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/e2e/guard/tls")
}

/// The folder of the first-party plugins.
pub(crate) fn plugins() -> PathBuf {
    folder("SOLOIST_TEST_PLUGINS")
}

/// The folder of the components for tests.
pub(crate) fn guests() -> PathBuf {
    folder("SOLOIST_TEST_GUESTS")
}

fn folder(variable: &str) -> PathBuf {
    let folder = env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} is not set: run the tests by `cargo xtask test`"));
    PathBuf::from(folder)
}
