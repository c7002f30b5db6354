//! A cache of compiled functions, for people who edit a plugin and run it again.
//!
//! An edit changes little of a program; in Python or JavaScript it changes only data, since all of
//! the code is the interpreter. Cranelift compiles function by function and can look each of them
//! up first (wasmtime: `Config::enable_incremental_compilation`). So the second build of 18 MiB
//! takes a fraction of the first.
//!
//! This is for development only: hosts compile a file once and keep the whole.

use std::{borrow::Cow, path::Path};

use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};
use wasmtime::CacheStore;

const SCHEMA: &str = "
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE IF NOT EXISTS functions (
        key BLOB PRIMARY KEY, sum BLOB NOT NULL, code BLOB NOT NULL) WITHOUT ROWID;";
const FIND: &str = "SELECT sum, code FROM functions WHERE key = ?1";
const ADD: &str = "INSERT OR REPLACE INTO functions (key, sum, code) VALUES (?1, ?2, ?3)";

/// An SQLite file of compiled functions. It may be deleted at any time, and damaged entries are
/// compiled again.
#[derive(Debug)]
pub(super) struct FunctionCache {
    file: Mutex<Connection>,
    /// Functions that were compiled since the file was last written.
    new: Mutex<Vec<CompiledFunction>>,
}

#[derive(Debug)]
struct CompiledFunction {
    key: Vec<u8>,
    code: Vec<u8>,
}

impl FunctionCache {
    /// Opens `file`, or creates it.
    pub(super) fn open(file: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(file)?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { file: connection.into(), new: Mutex::default() })
    }

    /// Writes newly compiled functions to the file.
    pub(super) fn store(&self) -> rusqlite::Result<()> {
        let new = std::mem::take(&mut *lock(&self.new));
        let mut file = lock(&self.file);
        let adding = file.transaction()?;
        {
            let mut add = adding.prepare(ADD)?;
            for CompiledFunction { key, code } in &new {
                add.execute(params![key, digest(code), code])?;
            }
        }
        adding.commit()
    }

    fn find(&self, key: &[u8]) -> rusqlite::Result<Option<Vec<u8>>> {
        let file = lock(&self.file);
        let found = file
            .prepare_cached(FIND)?
            .query_row([key], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?)));
        drop(file);
        // The code is run as it is found, so it must be intact.
        let sound = |(known, code): (Vec<u8>, Vec<u8>)| (known == digest(&code)).then_some(code);
        Ok(found.optional()?.and_then(sound))
    }
}

impl CacheStore for FunctionCache {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.find(key).ok().flatten().map(Cow::Owned)
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        lock(&self.new).push(CompiledFunction { key: key.to_owned(), code: value });
        true
    }
}

fn digest(code: &[u8]) -> Vec<u8> {
    Sha256::digest(code).to_vec()
}

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_found_unless_it_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("functions");
        let first = FunctionCache::open(&file).unwrap();
        assert!(first.get(b"one").is_none());
        assert!(first.insert(b"one", b"code of one".to_vec()) && first.insert(b"two", vec![7]));
        first.store().unwrap();
        drop(first);
        let second = FunctionCache::open(&file).unwrap();
        assert_eq!(second.get(b"one").as_deref(), Some(&b"code of one"[..]));
        lock(&second.file).execute("UPDATE functions SET code = x'08'", []).unwrap();
        assert!(second.get(b"one").is_none() && second.get(b"two").is_none());
    }
}
