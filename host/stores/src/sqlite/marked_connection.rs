//! Which processes use the database, and with which log.
//!
//! SQLite's locks coordinate the writers of one log. Two processes that use one database with two
//! logs (through a hard link, a mount of the file alone, or because the log was removed) do not see
//! each other, and both would lead. So every process marks on the database itself which log it
//! uses, by a lock whose position is derived from the log. A lock at any other position reveals a
//! process with another log.
//!
//! Invariants:
//!
//! - Apart from SQLite itself, the process opens the database only here, and only once. When *any*
//!   descriptor of a file is closed, the process loses the locks that SQLite holds on it
//!   (fcntl(2)). So this descriptor is closed only when no connection is left, and a
//!   [`MarkedConnection`] never gives its connection away.
//! - Nobody connects while another process may still write through another log: one process at a
//!   time takes the entry lock, checks, connects and sets its mark.

use std::{collections::BTreeMap, fs, io, ops::Deref, path::Path, thread::sleep, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{
    database_path::DatabasePath,
    locks::{self, ByteRange},
    sqlite_fault::SqliteFault,
};
use soloist_config::inode::Inode;
use soloist_heart::clock::BootTime;

/// The byte range of the marks: each log has its own position in it.
const MARKS: ByteRange = 1 << 61..1 << 62;
/// The byte that a process locks while it connects.
const DOOR: ByteRange = 1 << 62..(1 << 62) + 1;
/// The interval between two attempts to take the entry lock.
const PAUSE: Duration = Duration::from_millis(5);

/// The databases that this process has open.
static USED: Mutex<BTreeMap<Inode, OpenDatabase>> = Mutex::new(BTreeMap::new());

struct OpenDatabase {
    /// The first one has the locks. There are more only if the path led to another file between two
    /// checks.
    files: Vec<fs::File>,
    /// Whether a thread of this process holds the entry lock.
    entering: bool,
    /// The number of connections that use each log.
    connections: BTreeMap<u64, usize>,
}

/// A connection to the database, with the mark of the log that it uses.
pub(super) struct MarkedConnection {
    /// Declared before the mark, because the mark must be removed after the connection was closed.
    connection: Connection,
    mark: LogMark,
    home: DatabasePath,
}

/// Connects to the database at `path`, which is created if it does not exist, by calling `connect`
/// with its real path. Waits up to `busy` for the entry lock, and for processes with another log to
/// leave.
pub(super) fn connect(
    path: &Path,
    busy: Duration,
    connect: impl FnOnce(&Path) -> Result<Connection, SqliteFault>,
) -> Result<MarkedConnection, SqliteFault> {
    // In this order, a failed connection is closed before the entry lock is released.
    let (entry, home) = EntryLock::acquire(path, BootTime::now() + busy)?;
    let connection = connect(home.real())?;
    let Some(log) = home.log_digest()? else { return Err(SqliteFault::LogReplaced) };
    let mark = LogMark::set(entry.database, log)?;
    Ok(MarkedConnection { connection, mark, home })
}

impl MarkedConnection {
    pub(super) fn home(&self) -> &DatabasePath {
        &self.home
    }

    pub(super) fn transaction(
        &mut self,
        how: TransactionBehavior,
    ) -> Result<Transaction<'_>, SqliteFault> {
        Ok(self.connection.transaction_with_behavior(how)?)
    }

    /// Fails if the path no longer leads to the connected database, or if another process uses it
    /// with another log.
    pub(super) fn check(&self) -> Result<(), SqliteFault> {
        match self.home.inode() {
            Ok(found) if found == self.mark.database => {}
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => return Err(SqliteFault::Replaced),
        }
        if self.home.log_digest()? != Some(self.mark.log) {
            return Err(SqliteFault::LogReplaced);
        }
        check_no_other_log(self.mark.database, Some(self.mark.log))
    }
}

impl Deref for MarkedConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl OpenDatabase {
    fn file(&self) -> io::Result<&fs::File> {
        self.files.first().ok_or_else(|| io::Error::other("the database is not open"))
    }

    /// Takes the entry lock, unless somebody holds it. Returns whether it did.
    fn take_entry_lock(&mut self) -> io::Result<bool> {
        let free = !self.entering && locks::take(self.file()?, &DOOR)?;
        self.entering |= free;
        Ok(free)
    }

    /// Removes one connection, and with the last one its mark.
    fn disconnect(&mut self, log: u64) {
        if let Some(left) = self.connections.get_mut(&log) {
            *left -= 1;
            if *left > 0 {
                return;
            }
        }
        self.connections.remove(&log);
        let released = self.file().and_then(|file| locks::release(file, &mark_position(log)));
        if let Err(error) = released {
            tracing::warn!(%error, "the store's file stays marked until this process ends");
        }
    }

    /// Whether this or another process uses a log other than `log`.
    fn is_used_with_other_log(&self, log: Option<u64>) -> io::Result<bool> {
        if self.connections.keys().any(|other| Some(*other) != log) {
            return Ok(true);
        }
        let file = self.file()?;
        let Some(log) = log else { return locks::held_by_others(file, &MARKS) };
        let own = mark_position(log);
        Ok(locks::held_by_others(file, &(MARKS.start..own.start))?
            || locks::held_by_others(file, &(own.end..MARKS.end))?)
    }

    fn is_unused(&self) -> bool {
        !self.entering && self.connections.is_empty()
    }
}

/// The byte that marks a log.
fn mark_position(log: u64) -> ByteRange {
    let at = MARKS.start + log % (MARKS.end - MARKS.start);
    at..at + 1
}

/// Held while a connection is made.
struct EntryLock {
    database: Inode,
}

impl EntryLock {
    /// Takes the entry lock when nobody else holds it and nobody uses a log other than the current
    /// one.
    fn acquire(path: &Path, until: BootTime) -> Result<(Self, DatabasePath), SqliteFault> {
        let mut elsewhere = false;
        loop {
            let fault = match Self::try_acquire(path) {
                Err(fault @ (SqliteFault::OtherLog | SqliteFault::OpenedByOther)) => fault,
                done => return done,
            };
            elsewhere |= matches!(fault, SqliteFault::OtherLog);
            if BootTime::now() >= until {
                // Other waiting processes hold the lock for moments; report what they wait for.
                return Err(if elsewhere { SqliteFault::OtherLog } else { fault });
            }
            sleep(PAUSE);
        }
    }

    fn try_acquire(path: &Path) -> Result<(Self, DatabasePath), SqliteFault> {
        let entry = Self { database: open_and_lock(path)? };
        let home = DatabasePath::of(path)?;
        home.check_safe()?;
        if home.inode()? != entry.database {
            return Err(SqliteFault::OpenedByOther);
        }
        check_no_other_log(entry.database, home.log_digest()?)?;
        Ok((entry, home))
    }
}

/// Fails if this or another process uses the database with a log other than `log`.
fn check_no_other_log(database: Inode, log: Option<u64>) -> Result<(), SqliteFault> {
    let all = open_databases();
    match all.get(&database).map(|used| used.is_used_with_other_log(log)) {
        Some(Ok(true)) => Err(SqliteFault::OtherLog),
        Some(Err(error)) => Err(SqliteFault::Lock(error)),
        Some(Ok(false)) | None => Ok(()),
    }
}

/// Opens or creates the database at `path`, unless this process has it open already, and takes the
/// entry lock.
fn open_and_lock(path: &Path) -> Result<Inode, SqliteFault> {
    let mut all = open_databases();
    let known = Inode::at(path).ok().filter(|found| all.contains_key(found));
    let database = if let Some(known) = known { known } else { open(&mut all, path)? };
    let Some(used) = all.get_mut(&database) else { return Err(SqliteFault::Closed) };
    let entered = used.take_entry_lock();
    close_if_unused(&mut all, database);
    if entered.map_err(SqliteFault::Lock)? { Ok(database) } else { Err(SqliteFault::OpenedByOther) }
}

fn open(all: &mut BTreeMap<Inode, OpenDatabase>, path: &Path) -> Result<Inode, SqliteFault> {
    let file = fs::File::options().read(true).write(true).create(true).truncate(false).open(path);
    let file = file.map_err(SqliteFault::Open)?;
    let found = Inode::of(&file.metadata()?);
    let new = || OpenDatabase { files: Vec::new(), entering: false, connections: BTreeMap::new() };
    all.entry(found).or_insert_with(new).files.push(file);
    Ok(found)
}

impl Drop for EntryLock {
    fn drop(&mut self) {
        let mut all = open_databases();
        if let Some(used) = all.get_mut(&self.database) {
            used.entering = false;
            if let Err(error) = used.file().and_then(|file| locks::release(file, &DOOR)) {
                tracing::warn!(%error, "the store's file stays locked for others who start");
            }
        }
        close_if_unused(&mut all, self.database);
    }
}

/// Marks on the database that this process uses a log, for one connection.
struct LogMark {
    database: Inode,
    log: u64,
}

impl LogMark {
    fn set(database: Inode, log: u64) -> Result<Self, SqliteFault> {
        let mut all = open_databases();
        let used = all.get_mut(&database).ok_or(SqliteFault::Closed)?;
        if !locks::share(used.file()?, &mark_position(log)).map_err(SqliteFault::Lock)? {
            return Err(SqliteFault::OtherLog);
        }
        *used.connections.entry(log).or_default() += 1;
        Ok(Self { database, log })
    }
}

impl Drop for LogMark {
    fn drop(&mut self) {
        let mut all = open_databases();
        if let Some(used) = all.get_mut(&self.database) {
            used.disconnect(self.log);
        }
        close_if_unused(&mut all, self.database);
    }
}

/// Closes the database if nothing in this process uses it any more.
fn close_if_unused(all: &mut BTreeMap<Inode, OpenDatabase>, database: Inode) {
    if all.get(&database).is_some_and(OpenDatabase::is_unused) {
        all.remove(&database);
    }
}

fn open_databases() -> MutexGuard<'static, BTreeMap<Inode, OpenDatabase>> {
    USED.lock()
}
