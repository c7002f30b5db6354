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
    fault::Fault,
    presence::Connected,
    reads::{self, Place},
    schema,
    source::Source,
    strangers::Strangers,
};
use crate::{
    Roster,
    identity::{Before, Memory},
};
use soloist_heart::{
    LeaseId, Token,
    clock::{self, BootTime},
};
use soloist_telemetry::repeats::Repeats;

/// The open file.
pub(super) struct File {
    connection: Connected,
    cluster: Arc<str>,
    boot: String,
    /// What the last look saw (SQLite: `PRAGMA data_version`), and whether
    /// this connection has written since, which does not count there.
    seen: Option<i64>,
    strangers: Strangers,
    memory: Arc<Memory>,
    /// The sessions that this was asked for.
    granted: Vec<LeaseId>,
    /// What was refused for want of room on the disk.
    cramped: Repeats,
}

impl File {
    pub(super) fn open(source: &Source) -> Result<Self, Fault> {
        let before = source.memory.before();
        let connection = schema::connect(&source.path, source.busy)?;
        compare(&connection, &source.memory, before)?;
        Ok(Self {
            connection,
            cluster: source.cluster.clone(),
            boot: clock::identity()?,
            seen: None,
            strangers: Strangers::default(),
            memory: source.memory.clone(),
            granted: Vec::new(),
            cramped: Repeats::default(),
        })
    }

    /// Fails when this is not the file any more that all others use.
    pub(super) fn same(&self) -> Result<(), Fault> {
        self.connection.check()
    }

    /// Writes all of the log into the file: nobody will find the log any more. To close it is
    /// not enough, since SQLite leaves that to the last, and two that go at once are not last.
    pub(super) fn save(&self) {
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
    pub(super) fn names(&self) -> Result<u64, Fault> {
        Ok(self.connection.home().names()?)
    }

    /// Fails when there is no room for what only grows, and says so in the log: leases are renewed
    /// all the same, so nothing else does.
    pub(super) fn must_have_room(&self) -> Result<(), Fault> {
        let number = |pragma| self.connection.pragma_query_value(None, pragma, |row| row.get(0));
        let (pages, size): (i64, i64) = (number("freelist_count")?, number("page_size")?);
        let unused = pages.unsigned_abs() * size.unsigned_abs();
        let room = self.connection.home().must_have_room(unused);
        match &room {
            Ok(()) => self.cramped.over(|told| {
                tracing::info!(event = "room", "state and casts are taken again{told}");
            }),
            Err(fault) => self.cramped.happened(|told| {
                tracing::warn!(event = "no-room", "state and casts are refused: {fault}{told}");
            }),
        }
        room
    }

    /// Where the candidate of `token` stands once the dead are taken away.
    pub(super) fn verify(&mut self, token: Token) -> Result<Place, Fault> {
        self.write(|tx, _| reads::place(tx, token))
    }

    /// Where the candidate of `token` stands among all that are in the file.
    pub(super) fn place(&self, token: Token) -> Result<Place, Fault> {
        reads::place(&self.connection, token)
    }

    /// Whether `lease` is in the file.
    pub(super) fn knows(&self, lease: LeaseId) -> Result<bool, Fault> {
        reads::knows(&self.connection, lease)
    }

    /// When the first lease ends; [`BootTime::NEVER`] without any.
    pub(super) fn first_expiry(&self) -> Result<BootTime, Fault> {
        let ours = reads::first_expiry(&self.connection, &self.boot)?;
        Ok(ours.min(self.strangers.first_end()))
    }

    /// Looks at the leases of other clocks, which tell nothing by themselves.
    pub(super) fn look_at_strangers(&mut self) -> Result<(), Fault> {
        let present = reads::strangers(&self.connection, &self.boot)?;
        self.strangers.look(&present, BootTime::now());
        Ok(())
    }

    /// Lets go of the leases that have run out.
    pub(super) fn sweep(&mut self) -> Result<(), Fault> {
        self.write(|_, _| Ok(()))
    }

    /// Whether anybody has written since this was asked last.
    pub(super) fn changed(&mut self) -> Result<bool, Fault> {
        let version =
            self.connection.pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0))?;
        Ok(self.seen.replace(version) != Some(version))
    }

    /// Fails when this is not the store that it was.
    pub(super) fn look(&mut self) -> Result<(), Fault> {
        self.read(|_, _| Ok(()))
    }

    /// Makes the next [`changed`](Self::changed) say yes.
    pub(super) fn forget(&mut self) {
        self.seen = None;
    }

    /// Reads at one moment; `work` is told the cluster.
    pub(super) fn read<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &str) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let tx = begin(&mut self.connection, &self.memory, TransactionBehavior::Deferred)?;
        work(&tx, &self.cluster)
    }

    /// Writes what no roster shows, and so without ringing the bell.
    pub(super) fn write_unheard<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &str) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let cluster = self.cluster.clone();
        self.transact(|tx, _| work(tx, &cluster)).map(|(done, _)| done)
    }

    /// Writes what those hear alone who watch the casts; `work` is told the cluster.
    pub(super) fn write_casts<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &str) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.write_casts_as(|tx, cluster, _| work(tx, cluster))
    }

    /// The same, for work that grants leases: it is told the clock that they run on.
    pub(super) fn write_casts_as<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &str, &str) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let (cluster, boot) = (self.cluster.clone(), self.boot.clone());
        let (done, wrote) = self.transact(|tx, _| work(tx, &cluster, &boot))?;
        if wrote {
            super::bell::ring_casts(self.path());
        }
        Ok(done)
    }

    /// The cluster at one revision.
    pub(super) fn roster(&mut self) -> Result<Roster, Fault> {
        self.read(reads::roster)
    }

    /// Does `work` under the write lock, and tells the others if anything was written.
    fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, BootTime) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
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
        work: impl FnOnce(&Transaction<'_>, BootTime) -> Result<T, Fault>,
    ) -> Result<(T, bool), Fault> {
        self.commit(work).inspect_err(|fault| {
            if fault.is_full() {
                self.begin_log_anew();
            }
        })
    }

    /// Does this, and once more if the disk was full: the log has begun anew then, and has
    /// room for what renews or deletes.
    pub(super) fn again_if_full<T>(
        &mut self,
        attempt: impl Fn(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        match attempt(self) {
            Err(fault) if fault.is_full() => attempt(self),
            done => done,
        }
    }

    /// Has the log written from its beginning again, where it takes no more of the disk.
    fn begin_log_anew(&self) {
        let done = self.connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()));
        if let Err(error) = done {
            tracing::debug!(%error, "the log cannot begin anew");
        }
    }

    fn commit<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, BootTime) -> Result<T, Fault>,
    ) -> Result<(T, bool), Fault> {
        let tx = begin(&mut self.connection, &self.memory, TransactionBehavior::Immediate)?;
        let now = BootTime::now();
        let sql = "DELETE FROM leases WHERE expires <= ?1 AND boot = ?2";
        let mut dead = tx.prepare_cached(sql)?.execute(params![signed(now), self.boot])?;
        for lease in self.strangers.look(&reads::strangers(&tx, &self.boot)?, now) {
            dead += tx.execute("DELETE FROM leases WHERE id = ?1", [lease.0])?;
        }
        if dead > 0 {
            next_revision(&tx)?;
        }
        let before = tx.total_changes();
        let done = work(&tx, now)?;
        let wrote = tx.total_changes() != before;
        let revision = reads::look(&tx)?.revision;
        tx.commit()?;
        self.memory.saw(revision);
        if dead > 0 {
            self.announce();
        }
        Ok((done, wrote))
    }

    /// Tells everybody who waits for a change, here and in other processes.
    fn announce(&mut self) {
        self.seen = None;
        super::bell::ring(self.path());
    }
}

fn next_revision(tx: &Transaction<'_>) -> Result<i64, Fault> {
    let sql = "UPDATE counter SET revision = revision + 1 RETURNING revision";
    Ok(tx.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// Begins a transaction, if this is the store that it was.
fn begin<'a>(
    connection: &'a mut Connected,
    memory: &Memory,
    behavior: TransactionBehavior,
) -> Result<Transaction<'a>, Fault> {
    let before = memory.before();
    let tx = connection.transaction(behavior)?;
    compare(&tx, memory, before)?;
    Ok(tx)
}

fn compare(connection: &Connection, memory: &Memory, before: Before) -> Result<(), Fault> {
    memory.compare(before, &reads::look(connection)?).map_err(Fault::Mismatch)
}

/// SQLite's integers are signed; 63 bits of nanoseconds are 292 years.
fn signed(moment: BootTime) -> i64 {
    i64::try_from(moment.as_nanos()).unwrap_or(i64::MAX)
}
