//! The open database: one connection, and the store's transactions on it.
//!
//! Invariants:
//!
//! - A write transaction first takes the lock and then reads the clock. So renewing a lease and
//!   declaring it expired happen one after the other and by the same clock; a lease that was found
//!   expired is never renewed.
//! - Each transaction first checks that the store is still the same.
//! - Reads never judge a lease by the clock. Only a write transaction removes an expired lease,
//!   with everything attached to it, for all processes at once.

mod raise;
mod writes;

use std::{path::Path, sync::Arc};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

pub(super) use self::writes::{grant, must_live};

use super::{
    marked_connection::MarkedConnection,
    reads::{self, CandidatePosition},
    schema,
    sqlite_config::SqliteConfig,
    sqlite_fault::SqliteFault,
};
use crate::{
    Roster,
    identity::{KnownBefore, StoreHistory},
    observed_leases::ObservedLeases,
};
use soloist_heart::{
    FencingToken, LeaseId,
    clock::{self, BootTime},
};
use soloist_telemetry::log_throttle::LogThrottle;

/// The open database.
pub(super) struct SqliteFile {
    connection: MarkedConnection,
    cluster: Arc<str>,
    boot: String,
    /// The `PRAGMA data_version` at the last look. `None` if this connection has written since,
    /// which that number does not reflect.
    seen: Option<i64>,
    /// Those of other clocks.
    foreign_leases: ObservedLeases,
    history: Arc<StoreHistory>,
    /// The leases of sessions that were granted through this connection.
    granted: Vec<LeaseId>,
    /// Warnings about writes that were refused because the disk is full.
    room_warnings: LogThrottle,
}

impl SqliteFile {
    pub(super) fn open(source: &SqliteConfig) -> Result<Self, SqliteFault> {
        let before = source.history.known_before();
        let connection = schema::connect(&source.path, source.busy)?;
        compare(&connection, &source.history, before)?;
        Ok(Self {
            connection,
            cluster: source.cluster.clone(),
            boot: clock::identity()?,
            seen: None,
            foreign_leases: ObservedLeases::default(),
            history: source.history.clone(),
            granted: Vec::new(),
            room_warnings: LogThrottle::default(),
        })
    }

    /// Fails if this is no longer the file that all other processes use.
    pub(super) fn check_same(&self) -> Result<(), SqliteFault> {
        self.connection.check()
    }

    /// Writes the whole log into the database, because the log will not be found again. Closing the
    /// connection is not enough: SQLite leaves that to the last connection, and two that close at
    /// the same time are both not the last.
    pub(super) fn checkpoint(&self) {
        let sql = "PRAGMA wal_checkpoint(FULL)";
        match self.connection.query_row(sql, [], |row| row.get::<_, bool>(0)) {
            Ok(false) => {}
            Ok(true) => tracing::warn!("what was written last may be lost: others hold the file"),
            Err(error) => tracing::warn!(%error, "what was written last may be lost"),
        }
    }

    /// The path of the database, without symbolic links.
    pub(super) fn path(&self) -> &Path {
        self.connection.home().real()
    }

    /// The number of names (hard links) that the database has.
    pub(super) fn link_count(&self) -> Result<u64, SqliteFault> {
        Ok(self.connection.home().link_count()?)
    }

    /// Fails if there is no room for writes that only add data, and logs it: leases are still
    /// renewed, so nothing else would show it.
    pub(super) fn must_have_room(&self) -> Result<(), SqliteFault> {
        let number = |pragma| self.connection.pragma_query_value(None, pragma, |row| row.get(0));
        let (pages, size): (i64, i64) = (number("freelist_count")?, number("page_size")?);
        let unused = pages.unsigned_abs() * size.unsigned_abs();
        let room = self.connection.home().must_have_room(unused);
        match &room {
            Ok(()) => self.room_warnings.recovered(|repeats| {
                tracing::info!(
                    event = "room",
                    "state and queued calls are accepted again{repeats}"
                );
            }),
            Err(fault) => self.room_warnings.report(|repeats| {
                tracing::warn!(
                    event = "no-room",
                    "state and queued calls are refused: {fault}{repeats}"
                );
            }),
        }
        room
    }

    /// The position of the candidate of `fencing_token`, after removing expired leases.
    pub(super) fn verify(
        &mut self,
        fencing_token: FencingToken,
    ) -> Result<CandidatePosition, SqliteFault> {
        self.write(|tx, _| reads::candidate_position(tx, fencing_token))
    }

    /// The position of the candidate of `fencing_token` among all candidates in the file.
    pub(super) fn place(
        &self,
        fencing_token: FencingToken,
    ) -> Result<CandidatePosition, SqliteFault> {
        reads::candidate_position(&self.connection, fencing_token)
    }

    /// Whether `lease` is in the file.
    pub(super) fn knows(&self, lease: LeaseId) -> Result<bool, SqliteFault> {
        reads::knows(&self.connection, lease)
    }

    /// When the first lease expires; [`BootTime::NEVER`] if there is none.
    pub(super) fn first_expiry(&self) -> Result<BootTime, SqliteFault> {
        let ours = reads::first_expiry(&self.connection, &self.boot)?;
        Ok(ours.min(self.foreign_leases.first_end()))
    }

    /// Observes the leases of other clocks, whose expiry cannot be read from the file.
    pub(super) fn observe_foreign_leases(&mut self) -> Result<(), SqliteFault> {
        let present = reads::foreign_leases(&self.connection, &self.boot)?;
        self.foreign_leases.observe(&present, BootTime::now());
        Ok(())
    }

    /// Removes expired leases.
    pub(super) fn sweep(&mut self) -> Result<(), SqliteFault> {
        self.write(|_, _| Ok(()))
    }

    /// Whether anybody has written since the last call.
    pub(super) fn changed(&mut self) -> Result<bool, SqliteFault> {
        let version =
            self.connection.pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0))?;
        Ok(self.seen.replace(version) != Some(version))
    }

    /// Fails if this is no longer the same store.
    pub(super) fn check_identity(&mut self) -> Result<(), SqliteFault> {
        self.read(|_, _| Ok(()))
    }

    /// Makes the next [`changed`](Self::changed) return true.
    pub(super) fn mark_changed(&mut self) {
        self.seen = None;
    }

    /// Reads within one transaction; `work` is given the cluster's name.
    pub(super) fn read<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &str) -> Result<T, SqliteFault>,
    ) -> Result<T, SqliteFault> {
        let tx = begin(&mut self.connection, &self.history, TransactionBehavior::Deferred)?;
        work(&tx, &self.cluster)
    }

    /// Writes something that no roster shows, without notifying anybody.
    pub(super) fn write_silently<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &str) -> Result<T, SqliteFault>,
    ) -> Result<T, SqliteFault> {
        let cluster = self.cluster.clone();
        self.transact(|tx, _| work(tx, &cluster)).map(|(done, _)| done)
    }

    /// Writes, and notifies only those who follow queued calls; `work` is given the cluster's name.
    pub(super) fn write_call_queue<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &str) -> Result<T, SqliteFault>,
    ) -> Result<T, SqliteFault> {
        self.write_call_queue_with_boot(|tx, cluster, _| work(tx, cluster))
    }

    /// The same for work that grants leases: it is also given the identity of the leases' clock.
    pub(super) fn write_call_queue_with_boot<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &str, &str) -> Result<T, SqliteFault>,
    ) -> Result<T, SqliteFault> {
        let (cluster, boot) = (self.cluster.clone(), self.boot.clone());
        let (done, wrote) = self.transact(|tx, _| work(tx, &cluster, &boot))?;
        if wrote {
            super::change_listener::notify_call_queue(self.path());
        }
        Ok(done)
    }

    /// Writes what rosters, state and queued calls show, and notifies everybody; `work` is given the
    /// cluster's name and the identity of the leases' clock.
    pub(super) fn write_everything<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &str, &str) -> Result<T, SqliteFault>,
    ) -> Result<T, SqliteFault> {
        let (cluster, boot) = (self.cluster.clone(), self.boot.clone());
        let done = self.write(|tx, _| {
            let done = work(tx, &cluster, &boot)?;
            next_revision(tx).map(|_| done)
        })?;
        super::change_listener::notify_call_queue(self.path());
        Ok(done)
    }

    /// The cluster at one revision.
    pub(super) fn roster(&mut self) -> Result<Roster, SqliteFault> {
        self.read(reads::roster)
    }

    /// Runs `work` under the write lock, and notifies the others if anything was written.
    fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, BootTime) -> Result<T, SqliteFault>,
    ) -> Result<T, SqliteFault> {
        let (done, wrote) = self.transact(work)?;
        if wrote {
            self.announce();
        }
        Ok(done)
    }

    /// Runs `work` under the write lock, after removing expired leases, of which the others are
    /// notified. Returns whether `work` itself has written anything.
    fn transact<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, BootTime) -> Result<T, SqliteFault>,
    ) -> Result<(T, bool), SqliteFault> {
        self.commit(work).inspect_err(|fault| {
            if fault.is_full() {
                self.restart_log();
            }
        })
    }

    /// Makes an attempt, and a second one if the disk was full: by then the log was restarted and
    /// has room for renewals and deletions.
    pub(super) fn retry_if_full<T>(
        &mut self,
        attempt: impl Fn(&mut Self) -> Result<T, SqliteFault>,
    ) -> Result<T, SqliteFault> {
        match attempt(self) {
            Err(fault) if fault.is_full() => attempt(self),
            done => done,
        }
    }

    /// Has SQLite write the log from its beginning again, so that it needs no more of the disk.
    fn restart_log(&self) {
        let done = self.connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()));
        if let Err(error) = done {
            tracing::debug!(%error, "the log cannot be restarted");
        }
    }

    fn commit<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, BootTime) -> Result<T, SqliteFault>,
    ) -> Result<(T, bool), SqliteFault> {
        let tx = begin(&mut self.connection, &self.history, TransactionBehavior::Immediate)?;
        let now = BootTime::now();
        let sql = "DELETE FROM leases WHERE expires <= ?1 AND boot = ?2";
        let mut dead = tx.prepare_cached(sql)?.execute(params![signed(now), self.boot])?;
        // Nobody else can renew them before this transaction ends.
        self.foreign_leases.observe(&reads::foreign_leases(&tx, &self.boot)?, now);
        for ended in self.foreign_leases.over(now) {
            dead += tx.execute("DELETE FROM leases WHERE id = ?1", [ended.lease.0])?;
        }
        if dead > 0 {
            next_revision(&tx)?;
        }
        let before = tx.total_changes();
        let done = work(&tx, now)?;
        let wrote = tx.total_changes() != before;
        let revision = reads::observed_store(&tx)?.revision;
        tx.commit()?;
        self.history.observe_revision(revision);
        if dead > 0 {
            self.announce();
        }
        Ok((done, wrote))
    }

    /// Notifies everybody who waits for a change, in this process and in others.
    fn announce(&mut self) {
        self.seen = None;
        super::change_listener::notify_change(self.path());
    }
}

fn next_revision(tx: &Transaction<'_>) -> Result<i64, SqliteFault> {
    let sql = "UPDATE counter SET revision = revision + 1 RETURNING revision";
    Ok(tx.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// Begins a transaction, if the store is still the same.
fn begin<'a>(
    connection: &'a mut MarkedConnection,
    memory: &StoreHistory,
    behavior: TransactionBehavior,
) -> Result<Transaction<'a>, SqliteFault> {
    let before = memory.known_before();
    let tx = connection.transaction(behavior)?;
    compare(&tx, memory, before)?;
    Ok(tx)
}

fn compare(
    connection: &Connection,
    memory: &StoreHistory,
    before: KnownBefore,
) -> Result<(), SqliteFault> {
    memory.compare(before, &reads::observed_store(connection)?).map_err(SqliteFault::Mismatch)
}

/// SQLite's integers are signed; 63 bits of nanoseconds cover 292 years.
fn signed(moment: BootTime) -> i64 {
    i64::try_from(moment.as_nanos()).unwrap_or(i64::MAX)
}
