//! A store to test on, and hosts that use it.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use etcd_client::{Txn, TxnOp};
use futures::StreamExt;
use soloist_config::StoreUrl;
use soloist_heart::{Group, LeaderKey, LeaseId};
use soloist_stores::{
    self as store, Candidate, Member, QueuedCallKey, Roster, RosterStream, Store, StoreError,
};

use crate::{
    etcd_server::EtcdServer, postgres_database::PostgresDatabase, postgres_server::ForeignSession,
};

/// Longer than anything takes, and shorter than anybody waits.
const SOON: Duration = Duration::from_secs(20);
/// A lease that does not end during a test.
pub(crate) const LONG: Duration = Duration::from_secs(120);
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A store of its own for a test.
pub(crate) struct World {
    pub(crate) url: StoreUrl,
    server: StoreServer,
}

enum StoreServer {
    Etcd(Box<EtcdServer>),
    #[allow(dead_code, reason = "the tests of the host use it")]
    Members {
        _members: Box<[EtcdServer; 3]>,
    },
    Postgres(PostgresDatabase),
    Sqlite(tempfile::TempDir),
}

/// A copy of a store's data.
pub(crate) struct StoreBackup(tempfile::TempDir);

impl World {
    /// Copies the store's data.
    pub(crate) async fn back_up(&mut self) -> StoreBackup {
        let backup = tempfile::tempdir().unwrap();
        match &mut self.server {
            StoreServer::Members { .. } => unreachable!("no test does"),
            StoreServer::Etcd(server) => server.back_up(backup.path()).await,
            StoreServer::Postgres(database) => database.back_up(backup.path()),
            StoreServer::Sqlite(folder) => {
                let file = rusqlite::Connection::open(folder.path().join("soloist.db")).unwrap();
                let to = backup.path().join("soloist.db");
                file.execute("VACUUM INTO ?1", [to.to_str().unwrap()]).unwrap();
            }
        }
        StoreBackup(backup)
    }

    /// Replaces the store's data by a copy while it is in use.
    pub(crate) async fn restore(&mut self, StoreBackup(backup): &StoreBackup) {
        match &mut self.server {
            StoreServer::Members { .. } => unreachable!("no test does"),
            StoreServer::Etcd(server) => server.restore(backup.path()).await,
            StoreServer::Postgres(database) => database.restore(backup.path()),
            StoreServer::Sqlite(folder) => {
                let path = folder.path().join("soloist.db");
                let mut file = rusqlite::Connection::open(path).unwrap();
                let from = backup.path().join("soloist.db");
                file.restore("main", from, None::<fn(rusqlite::backup::Progress)>).unwrap();
            }
        }
    }

    /// Gives the store another identity, like that of another store.
    pub(crate) async fn change_identity(&mut self) {
        match &mut self.server {
            StoreServer::Members { .. } => unreachable!("no test does"),
            StoreServer::Etcd(server) => {
                let mut etcd = server.connect().await;
                etcd.put("/soloist/test/cluster", "another", None).await.unwrap();
                server.kill().await;
                server.restart().await;
            }
            StoreServer::Postgres(database) => {
                database.sql("UPDATE soloist.store SET identity = 'another'");
            }
            StoreServer::Sqlite(folder) => {
                let file = rusqlite::Connection::open(folder.path().join("soloist.db")).unwrap();
                file.execute("UPDATE identity SET identity = 'another'", []).unwrap();
            }
        }
    }

    /// The identity that the store has.
    pub(crate) async fn identity(&self) -> String {
        match &self.server {
            StoreServer::Members { .. } => unreachable!("no test does"),
            StoreServer::Etcd(server) => {
                let mut etcd = server.connect().await;
                let found = etcd.get("/soloist/test/cluster", None).await.unwrap();
                found.kvs().first().expect("an identity").value_str().unwrap().to_owned()
            }
            StoreServer::Postgres(database) => database.sql("SELECT identity FROM soloist.store"),
            StoreServer::Sqlite(folder) => {
                let file = rusqlite::Connection::open(folder.path().join("soloist.db")).unwrap();
                let sql = "SELECT identity FROM identity";
                file.query_row(sql, [], |row| row.get(0)).unwrap()
            }
        }
    }
}

impl World {
    pub(crate) async fn etcd() -> Self {
        let server = EtcdServer::start().await;
        Self { url: server.url(), server: StoreServer::Etcd(server.into()) }
    }

    /// An etcd cluster of three members.
    #[allow(dead_code, reason = "the tests of the host use it")]
    pub(crate) async fn three_members() -> Self {
        let members = EtcdServer::three().await;
        let endpoints = members.iter().map(EtcdServer::address).collect();
        let url = StoreUrl::Etcd { endpoints, login: None, tls: None };
        Self { url, server: StoreServer::Members { _members: Box::new(members) } }
    }

    /// A database of its own on a PostgreSQL.
    pub(crate) fn postgres() -> Self {
        let database = PostgresDatabase::with_tables();
        Self { url: database.url(), server: StoreServer::Postgres(database) }
    }

    /// The same, behind a pooler that passes each transaction to any of its connections.
    pub(crate) fn pgbouncer() -> Self {
        let database = PostgresDatabase::with_tables();
        Self { url: database.pooled_url(), server: StoreServer::Postgres(database) }
    }

    /// Runs SQL on a PostgreSQL, and returns what it returns.
    #[allow(dead_code, reason = "the tests of the host do without")]
    pub(crate) fn sql(&self, sql: &str) -> String {
        let StoreServer::Postgres(database) = &self.server else { unreachable!("no test does") };
        database.sql(sql)
    }

    /// Runs SQL on a PostgreSQL in a transaction that stays open until the result is dropped.
    #[allow(dead_code, reason = "the tests of the host do without")]
    pub(crate) fn hold(&self, sql: &str) -> ForeignSession {
        let StoreServer::Postgres(database) = &self.server else { unreachable!("no test does") };
        database.hold(sql)
    }

    /// Runs SQL on a PostgreSQL in a session of its own, until the result is dropped.
    #[allow(dead_code, reason = "the tests of the host do without")]
    pub(crate) fn begin(&self, sql: &str) -> ForeignSession {
        let StoreServer::Postgres(database) = &self.server else { unreachable!("no test does") };
        database.begin(sql)
    }

    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::Sqlite(folder.path().join("soloist.db"));
        Self { url, server: StoreServer::Sqlite(folder) }
    }

    /// A new connection to the store, as another process would open it.
    pub(crate) fn open(&self) -> Arc<dyn Store> {
        self.open_cluster("test")
    }

    pub(crate) fn open_cluster(&self, cluster: &str) -> Arc<dyn Store> {
        store::open(&self.url, cluster, REQUEST_TIMEOUT).unwrap()
    }

    /// A host with its own session, which nobody renews.
    pub(crate) async fn host(&self, name: &str) -> TestHost {
        self.host_with(name, LONG).await
    }

    pub(crate) async fn host_with(&self, name: &str, ttl: Duration) -> TestHost {
        let store = self.open();
        let lease = soon(store.grant(ttl)).await.unwrap().id;
        TestHost { store, lease, name: name.to_owned() }
    }

    pub(crate) fn short(&self) -> Duration {
        match self.server {
            // Opening a connection takes its time on a busy machine.
            StoreServer::Postgres(_) => self.url.min_ttl() * 2,
            _ => self.url.min_ttl(),
        }
    }

    /// Deletes a leader's key without using the store's interface.
    pub(crate) async fn delete(&self, key: &LeaderKey) {
        match &self.server {
            StoreServer::Members { .. } => unreachable!("no test does"),
            StoreServer::Etcd(server) => {
                let mut etcd = server.connect().await;
                etcd.delete(&*key.key, None).await.unwrap();
            }
            StoreServer::Postgres(database) => {
                let token = key.fencing_token;
                let sql = "DELETE FROM soloist.candidates WHERE create_revision =";
                assert_ne!(database.sql(&format!("{sql} {token} RETURNING 1")), "");
            }
            StoreServer::Sqlite(folder) => {
                let file = rusqlite::Connection::open(folder.path().join("soloist.db")).unwrap();
                let sql = "DELETE FROM candidates WHERE create_revision = ?1";
                assert_eq!(file.execute(sql, [key.fencing_token.0]).unwrap(), 1);
            }
        }
    }
}

impl World {
    /// Writes answers of queued calls without using the store's interface, as if the queued calls
    /// were done.
    pub(crate) async fn write_answers(&self, keys: &[QueuedCallKey]) {
        let ended = r#"{"queued":1,"attempts":1,"max_attempts":1,"bytes":0,"at":1}"#;
        match &self.server {
            StoreServer::Members { .. } => unreachable!("no test does"),
            StoreServer::Etcd(server) => {
                let mut etcd = server.connect().await;
                for some in keys.chunks(60) {
                    let puts = some.iter().flat_map(|QueuedCallKey { task, id }| {
                        let name = |place| format!("/soloist/test/calls/{place}/{task}/{id}");
                        [
                            TxnOp::put(name("results"), ended, None),
                            TxnOp::put(name("answers"), "\n", None),
                        ]
                    });
                    etcd.txn(Txn::new().and_then(puts.collect::<Vec<_>>())).await.unwrap();
                }
            }
            StoreServer::Postgres(database) => {
                let row = |QueuedCallKey { task, id }: &QueuedCallKey| {
                    format!("(1, '{task}', '{id}', 'done', 0, 1, '{ended}', '')")
                };
                let rows = keys.iter().map(row).collect::<Vec<_>>().join(", ");
                let columns = "cluster, task, id, state, version, at, head, answer";
                database
                    .sql(&format!("INSERT INTO soloist.queued_calls ({columns}) VALUES {rows}"));
            }
            StoreServer::Sqlite(folder) => {
                let path = folder.path().join("soloist.db");
                let mut file = rusqlite::Connection::open(path).unwrap();
                let tx = file.transaction().unwrap();
                for QueuedCallKey { task, id } in keys {
                    let sql =
                        "INSERT INTO queued_calls (cluster, task, id, state, version, at, head, answer)
                               VALUES ('test', ?1, ?2, 'done', 0, 1, ?3, x'')";
                    tx.execute(sql, [&**task, &**id, ended]).unwrap();
                }
                tx.commit().unwrap();
            }
        }
    }
}

/// A host that uses the store.
#[derive(Clone)]
pub(crate) struct TestHost {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) lease: LeaseId,
    pub(crate) name: String,
}

impl TestHost {
    pub(crate) fn candidate(&self) -> Candidate {
        Candidate::of(&self.member())
    }

    pub(crate) fn member(&self) -> Member {
        Member {
            url: format!("http://{}", self.name),
            labels: BTreeMap::from([("size".into(), "big".into())]),
            joined: 1,
            version: "0".into(),
            machine: "m".into(),
            ..Member::named(&self.name)
        }
    }

    /// Campaigns, and fails the test if that is not won soon.
    pub(crate) async fn win(&self) -> LeaderKey {
        soon(self.campaign()).await.unwrap()
    }

    pub(crate) async fn campaign(&self) -> Result<LeaderKey, StoreError> {
        self.store.campaign(&Group::main(), self.lease, &self.candidate()).await
    }

    /// Campaigns in the background, and returns when the candidate is in the queue.
    pub(crate) async fn stand(&self) -> tokio::task::JoinHandle<Result<LeaderKey, StoreError>> {
        let host = self.clone();
        let campaign = tokio::spawn(async move { host.campaign().await });
        self.roster(|roster| queue(roster).contains(&self.name)).await;
        campaign
    }

    /// The first roster for which `is_it` holds.
    pub(crate) async fn roster(&self, is_it: impl Fn(&Roster) -> bool) -> Roster {
        let mut rosters = soon(self.store.watch()).await.unwrap();
        next(&mut rosters, is_it).await
    }
}

/// The first of the `rosters` for which `is_it` holds.
pub(crate) async fn next(rosters: &mut RosterStream, is_it: impl Fn(&Roster) -> bool) -> Roster {
    soon(async {
        loop {
            let roster = rosters.next().await.expect("a roster").unwrap();
            if is_it(&roster) {
                return roster;
            }
        }
    })
    .await
}

/// The names of the hosts in the queue of the group `main`.
pub(crate) fn queue(roster: &Roster) -> Vec<String> {
    let queue = roster.groups.get(&Group::main()).into_iter().flatten();
    queue.map(|standing| standing.candidate.host.clone()).collect()
}

/// The result of `work`, which must not take long.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, work).await.expect("nothing happened")
}
