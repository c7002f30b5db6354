//! Opening the database: it must be soloist's, in a known version, or it is refused.

use std::{io, path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::{
    database_path,
    marked_connection::{self, MarkedConnection},
    sqlite_fault::SqliteFault,
};

/// Identifies the file as soloist's: "SOLO" (SQLite: `PRAGMA application_id`).
const APPLICATION_ID: i32 = 0x534f_4c4f;
/// The version of the tables below (SQLite: `PRAGMA user_version`).
const VERSION: i32 = 7;

/// `revision` counts every change of what a roster shows. It is never reset, so no fencing token is
/// assigned twice. It starts with the milliseconds of Unix time: there are fewer changes than
/// milliseconds, so even the fencing tokens of a file that was removed are lower than those of its
/// successor, unless the clock was set back. `expires` is in nanoseconds of the boot-time clock
/// that `boot` identifies.
const TABLES: &str = "
    CREATE TABLE counter (
        id       INTEGER PRIMARY KEY CHECK (id = 1),
        revision INTEGER NOT NULL
    ) STRICT;
    INSERT INTO counter VALUES (1, CAST(unixepoch('subsec') * 1000 AS INTEGER));

    CREATE TABLE leases (
        id      INTEGER PRIMARY KEY,
        ttl     INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        boot    TEXT NOT NULL
    ) STRICT;

    CREATE TABLE candidates (
        create_revision INTEGER PRIMARY KEY,
        cluster         TEXT NOT NULL,
        grp             TEXT NOT NULL,
        lease           INTEGER NOT NULL REFERENCES leases ON DELETE CASCADE,
        value           TEXT NOT NULL,
        UNIQUE (cluster, grp, lease)
    ) STRICT;
    CREATE INDEX candidates_lease ON candidates (lease);

    CREATE TABLE members (
        cluster TEXT NOT NULL,
        name    TEXT NOT NULL,
        lease   INTEGER NOT NULL REFERENCES leases ON DELETE CASCADE,
        value   TEXT NOT NULL,
        PRIMARY KEY (cluster, name)
    ) STRICT;
    CREATE INDEX members_lease ON members (lease);
";

/// Added in version 2. `version` counts the writes of state. It is never reset, so no value ever
/// gets the version of an earlier one.
const STATE: &str = "
    CREATE TABLE versions (
        id      INTEGER PRIMARY KEY CHECK (id = 1),
        version INTEGER NOT NULL
    ) STRICT;
    INSERT INTO versions VALUES (1, 0);

    CREATE TABLE state (
        cluster TEXT NOT NULL,
        action  TEXT NOT NULL,
        key     TEXT NOT NULL,
        value   BLOB NOT NULL,
        version INTEGER NOT NULL,
        PRIMARY KEY (cluster, action, key)
    ) STRICT;
";

/// Added in version 3.
const NOTES: &str = "
    CREATE TABLE notes (
        cluster TEXT NOT NULL,
        name    TEXT NOT NULL,
        value   BLOB NOT NULL,
        PRIMARY KEY (cluster, name)
    ) STRICT;
";

/// Added in version 4. `version` comes from the same counter as that of state. `lease` is the one
/// that an answer is attached to; `at` is Unix time in milliseconds, for people.
const CALLS: &str = "
    CREATE TABLE casts (
        cluster     TEXT NOT NULL,
        task        TEXT NOT NULL,
        id          TEXT NOT NULL,
        state       TEXT NOT NULL CHECK (state IN ('queued', 'done', 'dead')),
        version     INTEGER NOT NULL,
        at          INTEGER NOT NULL,
        lease       INTEGER REFERENCES leases ON DELETE CASCADE,
        head        TEXT NOT NULL,
        answer_type TEXT,
        payload     BLOB,
        answer      BLOB,
        PRIMARY KEY (cluster, task, id)
    ) STRICT;
    CREATE INDEX casts_version ON casts (cluster, version);
    CREATE INDEX casts_state ON casts (cluster, state, task, id);
    CREATE INDEX casts_lease ON casts (lease);

    CREATE TABLE claims (
        cluster TEXT NOT NULL,
        task    TEXT NOT NULL,
        id      TEXT NOT NULL,
        lease   INTEGER NOT NULL REFERENCES leases ON DELETE CASCADE,
        version INTEGER NOT NULL,
        ticket  INTEGER NOT NULL,
        PRIMARY KEY (cluster, task, id)
    ) STRICT;
    CREATE INDEX claims_lease ON claims (lease);
";

/// Added in version 5: the identity of the store, generated once at random.
const IDENTITY: &str = "
    CREATE TABLE identity (
        id       INTEGER PRIMARY KEY CHECK (id = 1),
        identity TEXT NOT NULL
    ) STRICT;
    INSERT INTO identity VALUES (1, lower(hex(randomblob(16))));
";

/// Added in version 6: the table of queued calls has their name.
const NAMES: &str = "
    ALTER TABLE casts RENAME TO queued_calls;
    DROP INDEX casts_version;
    DROP INDEX casts_state;
    DROP INDEX casts_lease;
    CREATE INDEX queued_calls_version ON queued_calls (cluster, version);
    CREATE INDEX queued_calls_state ON queued_calls (cluster, state, task, id);
    CREATE INDEX queued_calls_lease ON queued_calls (lease);
";

/// Added in version 7. `count` is how often the fencing tokens were raised; `grace` is the lease of
/// the grace period that followed the last time, until it ends.
const RAISES: &str = "
    CREATE TABLE raises (
        id    INTEGER PRIMARY KEY CHECK (id = 1),
        count INTEGER NOT NULL,
        grace INTEGER REFERENCES leases ON DELETE SET NULL
    ) STRICT;
    INSERT INTO raises VALUES (1, 0, NULL);
";

/// What upgrades a file of each earlier version, beginning with an empty one.
const STEPS: [&str; VERSION as usize] = [TABLES, STATE, NOTES, CALLS, IDENTITY, NAMES, RAISES];

/// Opens or creates the database at `path`. Its calls wait up to `busy` for another process's lock.
pub(super) fn connect(path: &Path, busy: Duration) -> Result<MarkedConnection, SqliteFault> {
    marked_connection::connect(path, busy, |real| attempt(real, busy))
        .map_err(|fault| explain(path, fault))
}

fn attempt(path: &Path, busy: Duration) -> Result<Connection, SqliteFault> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(busy)?;
    // Check that it is ours before anything is written, since WAL mode changes the file. Check
    // within one transaction, since another process may be creating the tables.
    let moment = connection.transaction()?;
    let found = recognise(&moment, path)?;
    drop(moment);
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(SqliteFault::refused(format!(
            "{} is on a file system without shared memory (SQLite stays in mode `{mode}`): name \
             a file on a local disk in `store`",
            path.display()
        )));
    }
    // A fencing token that was assigned must survive a power cut, or it could be assigned twice; in
    // WAL mode only FULL syncs every commit.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    if found < VERSION {
        make(&mut connection, path)?;
    }
    Ok(connection)
}

/// The version of the existing tables, 0 if there are none. Refuses a database of another
/// application, or of a newer version.
fn recognise(connection: &Connection, path: &Path) -> Result<i32, SqliteFault> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (number("application_id")?, number("user_version")?, objects) {
        (APPLICATION_ID, version @ 1..=VERSION, _) => Ok(version),
        (APPLICATION_ID, newer, _) => Err(SqliteFault::refused(format!(
            "{} was written by a newer soloist (schema {newer}, this one knows {VERSION}): \
             run that version, or name another file in `store`",
            path.display()
        ))),
        (0, 0, 0) => Ok(0),
        _ => Err(SqliteFault::refused(format!(
            "{} is a database of another application: name another file in `store`",
            path.display()
        ))),
    }
}

fn make(connection: &mut Connection, path: &Path) -> Result<(), SqliteFault> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have created them while this one waited for the lock.
    let found = usize::try_from(recognise(&tx, path)?).unwrap_or_default();
    for step in &STEPS[found..] {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", VERSION)?;
    Ok(tx.commit()?)
}

/// Explains errors that waiting does not help against, and what to do about them.
fn explain(path: &Path, fault: SqliteFault) -> SqliteFault {
    let file = path.display();
    match fault {
        SqliteFault::Sqlite(error) => match problem(path, &error) {
            Some(problem) => SqliteFault::Refused { problem, source: Some(error.into()) },
            None => SqliteFault::Sqlite(error),
        },
        SqliteFault::Open(error) => match error.kind() {
            io::ErrorKind::NotFound if !database_path::parent_folder(path).is_dir() => {
                SqliteFault::Refused { problem: no_folder(path), source: Some(error.into()) }
            }
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::IsADirectory => {
                SqliteFault::Refused { problem: not_writable(path), source: Some(error.into()) }
            }
            _ => SqliteFault::Open(error),
        },
        SqliteFault::Lock(error) => {
            let problem = format!(
                "{file} cannot be locked in parts, by which hosts notice each other: name a file \
                 on a local disk of Linux in `store`"
            );
            SqliteFault::Refused { problem, source: Some(error.into()) }
        }
        fault => fault,
    }
}

fn problem(path: &Path, error: &rusqlite::Error) -> Option<String> {
    let file = path.display();
    Some(match error.sqlite_error_code()? {
        ErrorCode::NotADatabase => {
            format!("{file} is not a SQLite database: name another file in `store`")
        }
        ErrorCode::DatabaseCorrupt => format!(
            "{file} is damaged: stop every host of the cluster and remove it; it is created again"
        ),
        ErrorCode::CannotOpen if !database_path::parent_folder(path).is_dir() => no_folder(path),
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly => {
            not_writable(path)
        }
        _ => return None,
    })
}

fn no_folder(path: &Path) -> String {
    let (file, folder) = (path.display(), database_path::parent_folder(path).display());
    format!("{file} cannot be made, its folder is missing: create {folder}")
}

fn not_writable(path: &Path) -> String {
    let file = path.display();
    if path.is_dir() {
        return format!("{file} is a folder: name a file in it, as in `sqlite:{file}/soloist.db`");
    }
    format!("{file} cannot be opened for writing: let this user read and write it and its folder")
}
