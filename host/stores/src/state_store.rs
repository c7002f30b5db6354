//! The state of actions: values that an action keeps from one leader to the next.
//!
//! Invariant: a write that is guarded by a leader key happens only if that key still exists at its
//! create revision; the check and the write are one transaction. A leader that was replaced can no
//! longer write, however late it learns of that.

use std::collections::BTreeSet;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{error::StoreError, name::check_name};
use soloist_heart::LeaderKey;

/// The longest key, in bytes. The shortest key has one byte.
pub const KEY_MAX: usize = 512;
/// The longest value, in bytes. etcd accepts requests of up to 1.5 MiB (`--max-request-bytes`).
pub const VALUE_MAX: usize = 256 << 10;
/// The maximum number of keys of one action.
pub const KEYS_MAX: usize = 10_000;
/// The maximum number of keys that one call reads or writes. etcd accepts transactions of up to 128
/// operations (`--max-txn-ops`).
pub const BATCH_MAX: usize = 64;
/// The maximum total size of the values in one call, in bytes.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// The areas in which values of actions are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StateArea {
    /// The actions' own values.
    State,
    /// What hosts record about the actions' jobs.
    Ledger,
}

/// In a table that both areas share, names of the ledger begin with this. A name with a slash is no
/// action's.
const LEDGER: &str = "runs/";

impl StateArea {
    /// The name of `action` in a table that both areas share.
    pub(super) fn table_name(self, action: &str) -> String {
        match self {
            Self::State => action.to_owned(),
            Self::Ledger => format!("{LEDGER}{action}"),
        }
    }

    /// The same, for a name that was not checked yet.
    pub(super) fn checked_table_name(self, action: &str) -> Result<String, StoreError> {
        check_action(action)?;
        Ok(self.table_name(action))
    }

    /// The area and the action of such a name.
    pub(super) fn of_table_name(name: &str) -> (Self, &str) {
        name.strip_prefix(LEDGER).map_or((Self::State, name), |action| (Self::Ledger, action))
    }
}

/// A value and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateEntry {
    /// The value.
    pub value: Bytes,
    /// Changes with every write to the key, and is never zero.
    pub version: i64,
}

/// On whose behalf a write is made.
#[derive(Clone, Copy, Debug)]
pub enum WriteGuard<'a> {
    /// A leader; the write is made only as long as this key exists.
    Leader(&'a LeaderKey),
    /// A person; no leadership is required.
    Person,
}

/// One change of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateWrite {
    /// The key.
    pub key: String,
    /// The new value; `None` deletes the key, which need not exist.
    pub value: Option<Bytes>,
    /// The version that the key must have; `Some(0)` means that the key must not exist.
    pub only_if: Option<i64>,
}

/// The state of a cluster's actions, by action name.
///
/// All calls are bounded by the request time-out that the store was opened with.
#[async_trait]
pub trait StateStore: Send + Sync + 'static {
    /// The values of `keys`, in the same order, all read at the same moment.
    ///
    /// # Errors
    /// [`StoreError::Limit`] for more than [`BATCH_MAX`] keys.
    async fn get(
        &self,
        action: &str,
        keys: &[String],
    ) -> Result<Vec<Option<StateEntry>>, StoreError>;

    /// Up to `limit` keys in the order of their bytes, starting after `after`.
    async fn list(
        &self,
        action: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError>;

    /// How much the action keeps: the bytes of its keys and values.
    ///
    /// etcd has no such sum, so all values are read from it, page by page: only each page is
    /// bounded by the request time-out there.
    async fn size(&self, action: &str) -> Result<u64, StoreError>;

    /// Makes all of `writes`, or none of them, and returns by how many bytes of keys and values
    /// the state has grown; less than zero if it has shrunk. No key may be named twice.
    ///
    /// Hosts that create keys of one action at the same moment may exceed [`KEYS_MAX`] by the
    /// number that they create then; existing keys can always be changed and deleted.
    ///
    /// A call that fails with [`StoreError::Unavailable`] may have been carried out nevertheless.
    ///
    /// # Errors
    /// [`StoreError::NotLeader`] if the guard's key is gone, [`StoreError::Conflict`] if a key does
    /// not have the version that a write requires, [`StoreError::Limit`] if something is too large
    /// or there are too many.
    async fn write(
        &self,
        guard: WriteGuard<'_>,
        action: &str,
        writes: &[StateWrite],
    ) -> Result<i64, StoreError>;
}

/// The attempted actions, for error texts.
pub(super) const READ: &str = "read state";
pub(super) const LIST: &str = "list state";
pub(super) const MEASURE: &str = "measure state";
pub(super) const WRITE: &str = "write state";

/// Refuses an action's name that would point outside its place in the store.
pub(super) fn check_action(action: &str) -> Result<(), StoreError> {
    check_name("the action's name", action)
}

/// Refuses keys that are too many, empty or too long.
pub(super) fn check_keys<'a>(
    keys: impl ExactSizeIterator<Item = &'a String>,
) -> Result<(), StoreError> {
    if keys.len() > BATCH_MAX {
        return Err(StoreError::Limit(format!(
            "{} keys in one call: name {BATCH_MAX} at most",
            keys.len()
        )));
    }
    for key in keys {
        if key.is_empty() || key.len() > KEY_MAX {
            return Err(StoreError::Limit(format!(
                "a key of {} bytes: a key has 1 to {KEY_MAX}",
                key.len()
            )));
        }
    }
    Ok(())
}

/// Refuses writes that are too many or too large, and a key that is named twice.
pub(super) fn check_writes(writes: &[StateWrite]) -> Result<(), StoreError> {
    check_keys(writes.iter().map(|write| &write.key))?;
    let mut named = BTreeSet::new();
    if let Some(twice) = writes.iter().find(|write| !named.insert(&write.key)) {
        let problem = format!("the key {:?} is twice in one call: write it once", twice.key);
        return Err(StoreError::refused(problem));
    }
    let lengths = || writes.iter().filter_map(|write| Some(write.value.as_ref()?.len()));
    if let Some(long) = lengths().find(|length| *length > VALUE_MAX) {
        return Err(StoreError::Limit(format!("a value of {long} bytes: {VALUE_MAX} at most")));
    }
    let all: usize = lengths().sum();
    if all > BATCH_BYTES_MAX {
        return Err(StoreError::Limit(format!(
            "{all} bytes in one call: write {BATCH_BYTES_MAX} at most"
        )));
    }
    Ok(())
}

/// The error text for an action that would have too many keys.
pub(super) fn too_many_keys(action: &str) -> String {
    format!("{action} may keep {KEYS_MAX} keys and these would be more: delete some")
}

/// How many keys some writes create and delete, and how many bytes they add.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StateGrowth {
    made: usize,
    deleted: usize,
    bytes: i64,
}

impl StateGrowth {
    /// Counts `write` to a key, given the length of its value before; `None` if there was none.
    pub(super) fn count(&mut self, write: &StateWrite, before: Option<usize>) {
        let after = write.value.as_ref().map(Bytes::len);
        match (after, before) {
            (Some(_), None) => self.made += 1,
            (None, Some(_)) => self.deleted += 1,
            _ => {}
        }
        let size = |value: Option<usize>| value.map_or(0, |value| signed(write.key.len() + value));
        self.bytes += size(after) - size(before);
    }

    /// How many bytes of keys and values the writes add.
    pub(super) const fn bytes(self) -> i64 {
        self.bytes
    }

    /// Whether the writes create more keys than they delete.
    pub(super) const fn grows(self) -> bool {
        self.made > self.deleted
    }

    /// Whether an action with `before` keys would have too many after the writes. Writes that do
    /// not add keys are allowed even above the limit.
    pub(super) const fn exceeds(self, before: usize) -> bool {
        self.exceeds_with((before + self.made).saturating_sub(self.deleted))
    }

    /// The same, given the number of keys after the writes.
    pub(super) const fn exceeds_with(self, after: usize) -> bool {
        self.grows() && after > KEYS_MAX
    }
}

/// A length in memory, which never exceeds `i64::MAX`.
fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, length: usize) -> StateWrite {
        let value = Some(vec![0; length].into());
        StateWrite { key: key.into(), value, only_if: None }
    }

    fn delete(key: &str) -> StateWrite {
        StateWrite { key: key.into(), value: None, only_if: None }
    }

    fn refusal(writes: &[StateWrite]) -> String {
        check_writes(writes).unwrap_err().to_string()
    }

    #[test]
    fn what_is_at_the_limit_is_let_through() {
        let keys: Vec<_> = (0..BATCH_MAX).map(|i| i.to_string()).collect();
        check_keys(keys.iter()).unwrap();
        check_writes(&keys.iter().map(|key| put(key, 1)).collect::<Vec<_>>()).unwrap();
        check_writes(&[put(&"k".repeat(KEY_MAX), VALUE_MAX)]).unwrap();
        let all = ["a", "b", "c", "d"].map(|key| put(key, BATCH_BYTES_MAX / 4));
        check_writes(&all).unwrap();
        check_writes(&[]).unwrap();
    }

    #[test]
    fn what_is_beyond_is_told_with_the_limit() {
        let keys: Vec<_> = (0..=BATCH_MAX).map(|i| delete(&i.to_string())).collect();
        assert_eq!(refusal(&keys), "65 keys in one call: name 64 at most");
        assert_eq!(refusal(&[put("", 1)]), "a key of 0 bytes: a key has 1 to 512");
        // The limit is in bytes, not characters.
        assert_eq!(refusal(&[put(&"é".repeat(257), 1)]), "a key of 514 bytes: a key has 1 to 512");
        assert_eq!(refusal(&[put("a", VALUE_MAX + 1)]), "a value of 262145 bytes: 262144 at most");
        let five = ["a", "b", "c", "d", "e"].map(|key| put(key, BATCH_BYTES_MAX / 4));
        assert_eq!(refusal(&five), "1310720 bytes in one call: write 1048576 at most");
    }

    #[test]
    fn a_key_that_is_named_twice_is_refused() {
        let told = refusal(&[put("a", 1), delete("b"), delete("a")]);
        assert_eq!(told, "the key \"a\" is twice in one call: write it once");
    }

    #[test]
    fn a_full_action_may_change_and_delete_and_replace() {
        let growth = |writes: &[(StateWrite, bool)]| {
            let mut growth = StateGrowth::default();
            writes.iter().for_each(|(write, exists)| growth.count(write, exists.then_some(0)));
            growth
        };
        assert!(!growth(&[(put("a", 1), true)]).exceeds(KEYS_MAX + 5));
        assert!(!growth(&[(delete("a"), true), (delete("b"), false)]).exceeds(KEYS_MAX + 5));
        assert!(!growth(&[(delete("a"), true), (put("b", 1), false)]).exceeds(KEYS_MAX));
        assert!(!growth(&[(put("b", 1), false)]).exceeds(KEYS_MAX - 1));
        assert!(growth(&[(put("b", 1), false)]).exceeds(KEYS_MAX));
        assert!(growth(&[(delete("a"), false), (put("b", 1), false)]).exceeds(KEYS_MAX));
    }

    #[test]
    fn growth_is_counted_with_the_keys() {
        let growth = |write: StateWrite, before| {
            let mut growth = StateGrowth::default();
            growth.count(&write, before);
            growth.bytes()
        };
        assert_eq!(growth(put("key", 5), None), 8);
        assert_eq!(growth(put("key", 5), Some(9)), -4);
        assert_eq!(growth(delete("key"), Some(9)), -12);
        assert_eq!(growth(delete("key"), None), 0);
    }
}
