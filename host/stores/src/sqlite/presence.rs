//! Who uses the database, and with which log.
//!
//! SQLite's locks keep the writers of one log apart. Two processes that use one database
//! with two logs (by a hard link, by a mount of the file alone, or since before the log was
//! removed) know nothing of each other, and would both lead. So every process marks on the
//! database itself which log it uses, by a lock whose place stands for the log; a lock at
//! any other place tells of somebody with another one.
//!
//! Invariants:
//! - This is the only place where the process opens the database but SQLite itself, and one
//!   descriptor of it is enough. When *any* descriptor of a file is closed, the process
//!   loses the locks that SQLite holds on it (fcntl(2)); so this one is closed when no
//!   connection is left, and a [`Connected`] never gives its connection away.
//! - Nobody connects while another may still write by another log: one at a time passes the
//!   door, looks, connects and marks.

use std::{collections::BTreeMap, fs, io, ops::Deref, path::Path, thread::sleep, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{
    fault::Fault,
    home::Home,
    locks::{self, Bytes},
};
use soloist_config::inode::Inode;
use soloist_heart::clock::BootTime;

/// Where the marks are: each log has a place of its own.
const MARKS: Bytes = 1 << 61..1 << 62;
/// What one process holds while it connects.
const DOOR: Bytes = 1 << 62..(1 << 62) + 1;
/// Between two looks at a door that is shut.
const PAUSE: Duration = Duration::from_millis(5);

/// The databases that this process uses.
static USED: Mutex<BTreeMap<Inode, Used>> = Mutex::new(BTreeMap::new());

struct Used {
    /// The first has the locks. More only if the path led elsewhere between two looks.
    files: Vec<fs::File>,
    /// Whether somebody of this process is at the door.
    entering: bool,
    /// How many connections use each log.
    connections: BTreeMap<u64, usize>,
}

/// A connection to the database, and the mark of the log that it uses.
pub(super) struct Connected {
    /// Before the mark, which is taken away when it is closed.
    connection: Connection,
    mark: Mark,
    home: Home,
}

/// Connects to the database at `path`, which is made if it is not there, by what `connect`
/// does at its real path. Waits as long as `busy` for others at the door, and for those who
/// use another log to leave.
pub(super) fn connect(
    path: &Path,
    busy: Duration,
    connect: impl FnOnce(&Path) -> Result<Connection, Fault>,
) -> Result<Connected, Fault> {
    // Declared in this order, what has failed is closed before the door is.
    let (door, home) = Door::pass(path, BootTime::now() + busy)?;
    let connection = connect(home.real())?;
    let Some(log) = home.log()? else { return Err(Fault::Parted) };
    let mark = Mark::set(door.database, log)?;
    Ok(Connected { connection, mark, home })
}

impl Connected {
    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    pub(super) fn transaction(
        &mut self,
        how: TransactionBehavior,
    ) -> Result<Transaction<'_>, Fault> {
        Ok(self.connection.transaction_with_behavior(how)?)
    }

    /// Fails when what this is connected to is not what the path leads to any more, or when
    /// somebody uses the database with another log.
    pub(super) fn check(&self) -> Result<(), Fault> {
        match self.home.database() {
            Ok(found) if found == self.mark.database => {}
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => return Err(Fault::Replaced),
        }
        if self.home.log()? != Some(self.mark.log) {
            return Err(Fault::Parted);
        }
        nobody_is_elsewhere(self.mark.database, Some(self.mark.log))
    }
}

impl Deref for Connected {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Used {
    fn file(&self) -> io::Result<&fs::File> {
        self.files.first().ok_or_else(|| io::Error::other("the database is not open"))
    }

    /// Steps into the door, if nobody is there.
    fn enter(&mut self) -> io::Result<bool> {
        let free = !self.entering && locks::take(self.file()?, &DOOR)?;
        self.entering |= free;
        Ok(free)
    }

    /// Takes one connection away, and the mark with the last.
    fn disconnect(&mut self, log: u64) {
        if let Some(left) = self.connections.get_mut(&log) {
            *left -= 1;
            if *left > 0 {
                return;
            }
        }
        self.connections.remove(&log);
        let released = self.file().and_then(|file| locks::release(file, &place(log)));
        if let Err(error) = released {
            tracing::warn!(%error, "the store's file stays marked until this process ends");
        }
    }

    /// Whether anybody uses another log than this one.
    fn others(&self, log: Option<u64>) -> io::Result<bool> {
        if self.connections.keys().any(|other| Some(*other) != log) {
            return Ok(true);
        }
        let file = self.file()?;
        let Some(log) = log else { return locks::held_by_others(file, &MARKS) };
        let own = place(log);
        Ok(locks::held_by_others(file, &(MARKS.start..own.start))?
            || locks::held_by_others(file, &(own.end..MARKS.end))?)
    }

    fn is_left(&self) -> bool {
        !self.entering && self.connections.is_empty()
    }
}

/// The place that stands for a log.
fn place(log: u64) -> Bytes {
    let at = MARKS.start + log % (MARKS.end - MARKS.start);
    at..at + 1
}

/// Held while a connection is made.
struct Door {
    database: Inode,
}

impl Door {
    /// Passes when nobody else is in the door, and nobody uses another log than is there now.
    fn pass(path: &Path, until: BootTime) -> Result<(Self, Home), Fault> {
        let mut elsewhere = false;
        loop {
            let fault = match Self::try_pass(path) {
                Err(fault @ (Fault::Elsewhere | Fault::AtTheDoor)) => fault,
                done => return done,
            };
            elsewhere |= matches!(fault, Fault::Elsewhere);
            if BootTime::now() >= until {
                // Others who wait are in the door now and then; what they wait for counts.
                return Err(if elsewhere { Fault::Elsewhere } else { fault });
            }
            sleep(PAUSE);
        }
    }

    fn try_pass(path: &Path) -> Result<(Self, Home), Fault> {
        let door = Self { database: enter(path)? };
        let home = Home::of(path)?;
        home.inspect()?;
        if home.database()? != door.database {
            return Err(Fault::AtTheDoor);
        }
        nobody_is_elsewhere(door.database, home.log()?)?;
        Ok((door, home))
    }
}

/// Fails when anybody uses the database with another log than this one.
fn nobody_is_elsewhere(database: Inode, log: Option<u64>) -> Result<(), Fault> {
    let all = used();
    match all.get(&database).map(|used| used.others(log)) {
        Some(Ok(true)) => Err(Fault::Elsewhere),
        Some(Err(error)) => Err(Fault::Lock(error)),
        Some(Ok(false)) | None => Ok(()),
    }
}

/// Opens the database at `path`, or makes it, unless this process has it open already; and
/// steps into the door.
fn enter(path: &Path) -> Result<Inode, Fault> {
    let mut all = used();
    let known = Inode::at(path).ok().filter(|found| all.contains_key(found));
    let database = if let Some(known) = known { known } else { open(&mut all, path)? };
    let Some(used) = all.get_mut(&database) else { return Err(Fault::Closed) };
    let entered = used.enter();
    leave(&mut all, database);
    if entered.map_err(Fault::Lock)? { Ok(database) } else { Err(Fault::AtTheDoor) }
}

fn open(all: &mut BTreeMap<Inode, Used>, path: &Path) -> Result<Inode, Fault> {
    let file = fs::File::options().read(true).write(true).create(true).truncate(false).open(path);
    let file = file.map_err(Fault::Open)?;
    let found = Inode::of(&file.metadata()?);
    let new = || Used { files: Vec::new(), entering: false, connections: BTreeMap::new() };
    all.entry(found).or_insert_with(new).files.push(file);
    Ok(found)
}

impl Drop for Door {
    fn drop(&mut self) {
        let mut all = used();
        if let Some(used) = all.get_mut(&self.database) {
            used.entering = false;
            if let Err(error) = used.file().and_then(|file| locks::release(file, &DOOR)) {
                tracing::warn!(%error, "the store's file stays locked for others who start");
            }
        }
        leave(&mut all, self.database);
    }
}

/// Says on the database that this process uses a log, for one connection.
struct Mark {
    database: Inode,
    log: u64,
}

impl Mark {
    fn set(database: Inode, log: u64) -> Result<Self, Fault> {
        let mut all = used();
        let used = all.get_mut(&database).ok_or(Fault::Closed)?;
        if !locks::share(used.file()?, &place(log)).map_err(Fault::Lock)? {
            return Err(Fault::Elsewhere);
        }
        *used.connections.entry(log).or_default() += 1;
        Ok(Self { database, log })
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let mut all = used();
        if let Some(used) = all.get_mut(&self.database) {
            used.disconnect(self.log);
        }
        leave(&mut all, self.database);
    }
}

/// Closes the database if nothing of this process uses it any more.
fn leave(all: &mut BTreeMap<Inode, Used>, database: Inode) {
    if all.get(&database).is_some_and(Used::is_left) {
        all.remove(&database);
    }
}

fn used() -> MutexGuard<'static, BTreeMap<Inode, Used>> {
    USED.lock()
}
