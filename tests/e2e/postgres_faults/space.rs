//! PostgreSQL's disk is full.

use super::Rig;
use crate::harness::{
    at,
    disk::Disk,
    own_address,
    postgres::{self, PORT},
    postgres_server::{NOBODY, PostgresServer, give_away, output},
};

/// The server's data takes 40 MiB in the beginning.
const MIB: u32 = 120;

/// A server whose data is on a small disk of its own.
fn on_a_small_disk() -> (PostgresServer, Disk) {
    let server = PostgresServer::without_data(at(own_address(), PORT));
    let data = server.folder().join("data");
    std::fs::create_dir(&data).expect("a folder");
    give_away(&data);
    let disk = Disk::of(NOBODY, &data, MIB);
    let prefix = disk.prefix(server.folder());
    let mut server = server.wrapped(prefix).with(&["max_wal_size=32MB", "min_wal_size=32MB"]);
    server.make_data();
    assert!(server.start());
    (server, disk)
}

impl Rig {
    fn shell(&self, script: &str) {
        let mut shell = self.server.command("sh".into());
        output(shell.args(["-c", script]), "");
    }
}

/// Rows that need no more room are still written; a server whose log cannot grow ends. It starts
/// again when there is room.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_ends_the_term_in_time() {
    let (server, _disk) = on_a_small_disk();
    let url = postgres::url(&server);
    let mut rig = Rig::on(server, url).await;
    rig.shell("cat /dev/zero > data/filler 2>/dev/null || true");
    // The log goes on in another file.
    rig.shell(&format!("for i in 1 2 3 4; do psql -h {} -U soloist -c 'SELECT pg_switch_wal()' postgres; done || true", rig.server.address.ip()));
    rig.is_lost("").await;
    rig.shell("rm data/filler");
    rig.server.kill();
    assert!(rig.server.start());
    rig.leads_again().await;
}
