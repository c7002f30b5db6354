//! The file: one connection, and the transactions of the store on it.
//!
//! Invariants:
//! - A write transaction takes the lock first and reads the clock second.
//!   Renewing a lease and declaring it dead are thereby one after the other,
//!   on one clock; a lease that somebody found dead is never renewed.
//! - Each transaction looks first whether this is the store that it was.
//! - Reads never judge a lease by the clock: only a write transaction lets
//!   go of one, with all that hangs on it, for all processes at once.

mod writes;

use std::{path::Path, sync::Arc};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

pub(super) use self::writes::{grant, must_live};

use super::{
    foreign_leases::ForeignLeases,
    marked_connection::MarkedConnection,
    reads::{self, CandidatePosition},
    schema,
    sqlite_config::SqliteConfig,
    sqlite_fault::SqliteFault,
};
use crate::{
    Roster,
    identity::{RevisionBefore, StoreHistory},
};
use soloist_heart::{
    LeaseId, Token,
    clock::{self, BootTime},
};
use soloist_telemetry::log_throttle::LogThrottle;

/// The open file.
pub(super) struct SqliteFile {
    connection: MarkedConnection,
    cluster: Arc<str>,
    boot: String,
    /// What the last look saw (SQLite: `PRAGMA data_version`), and whether
    /// this connection has written since, which does not count there.
    seen: Option<i64>,
    foreign_leases: ForeignLeases,
    history: Arc<StoreHistory>,
    /// The sessions that this was asked for.
    granted: Vec<LeaseId>,
    /// What was refused for want of room on the disk.
    room_warnings: LogThrottle,
}

impl SqliteFile {
    pub(super) fn open(source: &SqliteConfig) -> Result<Self, SqliteFault> {
        let before = source.history.revision_before();
        let connection = schema::connect(&source.path, source.busy)?;
        compare(&connection, &source.history, before)?;
        Ok(Self {
            connection,
            cluster: source.cluster.clone(),
            boot: clock::identity()?,
            seen: None,
            foreign_leases: ForeignLeases::default(),
            history: source.history.clone(),
            granted: Vec::new(),
            room_warnings: LogThrottle::default(),
        })
    }

    /// Fails when this is not the file any more that all others use.
    pub(super) fn check_same(&self) -> Result<(), SqliteFault> {
        self.connection.check()
    }

    /// Writes all of the log into the file: nobody will find the log any more. To close it is
    /// not enough, since SQLite leaves that to the last, and two that go at once are not last.
    pub(super) fn checkpoint(&self) {
        let sql = "PRAGMA wal_checkpoint(FULL)";
        match self.connection.query_row(sql, [], |row| row.get::<_, bool>(0)) {
            Ok(false) => {}
            Ok(true) => tracing::warn!("what was written last may be lost: others hold the file"),
            Err(error) => tracing::warn!(%error, "what was written last may be lost"),
        }
    }

    /// Where it is, without symbolic links.
    pub(super) fn path(&self) -> &Path {
        self.connection.home().real()
    }

    /// How many names it has.
    pub(super) fn link_count(&self) -> Result<u64, SqliteFault> {
        Ok(self.connection.home().link_count()?)
    }

    /// Fails when there is no room for what only grows, and says so in the log: leases are renewed
    /// all the same, so nothing else does.
    pub(super) fn must_have_room(&self) -> Result<(), SqliteFault> {
        let number = |pragma| self.connection.pragma_query_value(None, pragma, |row| row.get(0));
        let (pages, size): (i64, i64) = (number("freelist_count")?, number("page_size")?);
        let unused = pages.unsigned_abs() * size.unsigned_abs();
        let room = self.connection.home().must_have_room(unused);
        match &room {
            Ok(()) => self.room_warnings.recovered(|told| {
                tracing::info!(event = "room", "state and casts are taken again{told}");
            }),
            Err(fault) => self.room_warnings.report(|told| {
                tracing::warn!(event = "no-room", "state and casts are refused: {fault}{told}");
            }),
        }
        room
    }

    /// Where the candidate of `token` stands once the dead are taken away.
    pub(super) fn verify(&mut self, token: Token) -> Result<CandidatePosition, SqliteFault> {
        self.write(|tx, _| reads::candidate_position(tx, token))
    }

    /// Where the candidate of `token` stands among all that are in the file.
    pub(super) fn place(&self, token: Token) -> Result<CandidatePosition, SqliteFault> {
        reads::candidate_position(&self.connection, token)
    }

    /// Whether `lease` is in the file.
    pub(super) fn knows(&self, lease: LeaseId) -> Result<bool, SqliteFault> {
        reads::knows(&self.connection, lease)
    }

    /// When the first lease ends; [`BootTime::NEVER`] without any.
    pub(super) fn first_expiry(&self) -> Result<BootTime, SqliteFault> {
        let ours = reads::first_expiry(&self.connection, &self.boot)?;
        Ok(ours.min(self.foreign_leases.first_end()))
    }

    /// Looks at the leases of other clocks, which tell nothing by themselves.
    pub(super) fn observe_foreign_leases(&mut self) -> Result<(), SqliteFault> {
        let present = reads::foreign_leases(&self.connection, &self.boot)?;
        self.foreign_leases.observe(&present, BootTime::now());
        Ok(())
    }

    /// Lets go of the leases that have run out.
    pub(super) fn sweep(&mut self) -> Result<(), SqliteFault> {
        self.write(|_, _| Ok(()))
    }

    /// Whether anybody has written since this was asked last.
    pub(super) fn changed(&mut self) -> Result<bool, SqliteFault> {
        let version =
            self.connection.pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0))?;
        Ok(self.seen.replace(version) != Some(version))
    }

    /// Fails when this is not the store that it was.
    pub(super) fn check_identity(&mut self) -> Result<(), SqliteFault> {
        self.read(|_, _| Ok(()))
    }

    /// Makes the next [`changed`](Self::changed) say yes.
    pub(super) fn mark_changed(&mut self) {
        self.seen = None;
    }

    /// Reads at one moment; `work` is told the cluster.
    pub(super) fn read<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &str) -> Result<T, SqliteFault>,
    ) -> Result<T, SqliteFault> {
        let tx = begin(&mut self.connection, &self.history, TransactionBehavior::Deferred)?;
        work(&tx, &self.cluster)
    }

    /// Writes what no roster shows, and so without ringing the bell.
    pub(super) fn write_silently<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &str) -> Result<T, SqliteFault>,
    ) -> Result<T, SqliteFault> {
        let cluster = self.cluster.clone();
        self.transact(|tx, _| work(tx, &cluster)).map(|(done, _)| done)
    }

    /// Writes what those hear alone who watch the casts; `work` is told the cluster.
    pub(super) fn write_casts<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &str) -> Result<T, SqliteFault>,
    ) -> Result<T, SqliteFault> {
        self.write_casts_with_boot(|tx, cluster, _| work(tx, cluster))
    }

    /// The same, for work that grants leases: it is told the clock that they run on.
    pub(super) fn write_casts_with_boot<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &str, &str) -> Result<T, SqliteFault>,
    ) -> Result<T, SqliteFault> {
        let (cluster, boot) = (self.cluster.clone(), self.boot.clone());
        let (done, wrote) = self.transact(|tx, _| work(tx, &cluster, &boot))?;
        if wrote {
            super::change_listener::notify_casts(self.path());
        }
        Ok(done)
    }

    /// The cluster at one revision.
    pub(super) fn roster(&mut self) -> Result<Roster, SqliteFault> {
        self.read(reads::roster)
    }

    /// Does `work` under the write lock, and tells the others if anything was written.
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

    /// Does `work` under the write lock, after taking away the dead, which the
    /// others are told of. Returns whether `work` wrote anything.
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

    /// Does this, and once more if the disk was full: the log has begun anew then, and has
    /// room for what renews or deletes.
    pub(super) fn retry_if_full<T>(
        &mut self,
        attempt: impl Fn(&mut Self) -> Result<T, SqliteFault>,
    ) -> Result<T, SqliteFault> {
        match attempt(self) {
            Err(fault) if fault.is_full() => attempt(self),
            done => done,
        }
    }

    /// Has the log written from its beginning again, where it takes no more of the disk.
    fn restart_log(&self) {
        let done = self.connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()));
        if let Err(error) = done {
            tracing::debug!(%error, "the log cannot begin anew");
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
        for lease in self.foreign_leases.observe(&reads::foreign_leases(&tx, &self.boot)?, now) {
            dead += tx.execute("DELETE FROM leases WHERE id = ?1", [lease.0])?;
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

    /// Tells everybody who waits for a change, here and in other processes.
    fn announce(&mut self) {
        self.seen = None;
        super::change_listener::notify_change(self.path());
    }
}

fn next_revision(tx: &Transaction<'_>) -> Result<i64, SqliteFault> {
    let sql = "UPDATE counter SET revision = revision + 1 RETURNING revision";
    Ok(tx.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// Begins a transaction, if this is the store that it was.
fn begin<'a>(
    connection: &'a mut MarkedConnection,
    memory: &StoreHistory,
    behavior: TransactionBehavior,
) -> Result<Transaction<'a>, SqliteFault> {
    let before = memory.revision_before();
    let tx = connection.transaction(behavior)?;
    compare(&tx, memory, before)?;
    Ok(tx)
}

fn compare(
    connection: &Connection,
    memory: &StoreHistory,
    before: RevisionBefore,
) -> Result<(), SqliteFault> {
    memory.compare(before, &reads::observed_store(connection)?).map_err(SqliteFault::Mismatch)
}

/// SQLite's integers are signed; 63 bits of nanoseconds are 292 years.
fn signed(moment: BootTime) -> i64 {
    i64::try_from(moment.as_nanos()).unwrap_or(i64::MAX)
}
