//! The state of actions: what an action keeps from one leader to the next.
//!
//! Invariant: a write that is guarded by a leader key happens only if that key
//! still exists at its create revision, and the check and the write are one
//! transaction. A leader that was replaced meanwhile cannot write any more,
//! however late it learns of that.

use std::collections::BTreeSet;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{error::StoreError, name::check_name};
use soloist_heart::LeaderKey;

/// The longest key, in bytes. The shortest has one.
pub const KEY_MAX: usize = 512;
/// The longest value, in bytes. etcd takes requests of 1.5 MiB (`--max-request-bytes`).
pub const VALUE_MAX: usize = 256 << 10;
/// How many keys one action keeps at most.
pub const KEYS_MAX: usize = 10_000;
/// How many keys one call reads or writes at most. etcd takes transactions of
/// 128 operations (`--max-txn-ops`).
pub const BATCH_MAX: usize = 64;
/// The values of one call together, in bytes.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// A value, and which one it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateEntry {
    /// The value.
    pub value: Bytes,
    /// It changes with every write to the key, and is never zero.
    pub version: i64,
}

/// Who writes.
#[derive(Clone, Copy, Debug)]
pub enum Guard<'a> {
    /// A leader, as long as it holds this key.
    Leader(&'a LeaderKey),
    /// A person, who is asked for no leadership.
    Person,
}

/// One change of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The key.
    pub key: String,
    /// The new value; `None` deletes the key, which need not exist.
    pub value: Option<Bytes>,
    /// Only if the key has this version; `Some(0)`: only if it does not exist.
    pub only_if: Option<i64>,
}

/// The state of a cluster's actions, by the action's name.
///
/// All calls are bounded by the request time-out that the store was opened with.
#[async_trait]
pub trait StateStore: Send + Sync + 'static {
    /// The values of `keys`, in their order, all of one moment.
    ///
    /// # Errors
    /// [`StoreError::Limit`] for more than [`BATCH_MAX`] keys.
    async fn get(
        &self,
        action: &str,
        keys: &[String],
    ) -> Result<Vec<Option<StateEntry>>, StoreError>;

    /// Up to `limit` keys in the order of their bytes, those after `after`.
    async fn list(
        &self,
        action: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError>;

    /// Makes all of `writes`, or none of them. A key is named at most once.
    ///
    /// Hosts that create keys of one action at the same moment may pass
    /// [`KEYS_MAX`] by what they create then; whatever there is may still be
    /// changed and deleted.
    ///
    /// A call that fails as [`StoreError::Unavailable`] may have been carried
    /// out all the same.
    ///
    /// # Errors
    /// [`StoreError::NotLeader`] when the guard's key is gone,
    /// [`StoreError::Conflict`] when a key has another version than a write
    /// asks for, [`StoreError::Limit`] when something is too large or too many.
    async fn write(
        &self,
        guard: Guard<'_>,
        action: &str,
        writes: &[Write],
    ) -> Result<(), StoreError>;
}

/// Refuses an action's name that would reach outside its place in the store.
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
pub(super) fn check_writes(writes: &[Write]) -> Result<(), StoreError> {
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

/// What is said to an action that would keep too many keys.
pub(super) fn too_many_keys(action: &str) -> String {
    format!("{action} may keep {KEYS_MAX} keys and has no room for these: delete some")
}

/// How many keys writes make and delete.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyGrowth {
    made: usize,
    deleted: usize,
}

impl KeyGrowth {
    /// Counts `write` to a key that `exists` before it, or does not.
    pub(super) fn count(&mut self, write: &Write, exists: bool) {
        match (&write.value, exists) {
            (Some(_), false) => self.made += 1,
            (None, true) => self.deleted += 1,
            _ => {}
        }
    }

    /// Whether there are more keys after the writes than before.
    pub(super) const fn grows(self) -> bool {
        self.made > self.deleted
    }

    /// Whether they are too many for an action that kept `before` keys before:
    /// what was over the limit already may still be changed or deleted.
    pub(super) const fn exceeds(self, before: usize) -> bool {
        self.exceeds_with((before + self.made).saturating_sub(self.deleted))
    }

    /// The same of an action that keeps `after` keys after the writes.
    pub(super) const fn exceeds_with(self, after: usize) -> bool {
        self.grows() && after > KEYS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, length: usize) -> Write {
        let value = Some(vec![0; length].into());
        Write { key: key.into(), value, only_if: None }
    }

    fn delete(key: &str) -> Write {
        Write { key: key.into(), value: None, only_if: None }
    }

    fn refusal(writes: &[Write]) -> String {
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
        // Bytes, not characters.
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
        let growth = |writes: &[(Write, bool)]| {
            let mut growth = KeyGrowth::default();
            writes.iter().for_each(|(write, exists)| growth.count(write, *exists));
            growth
        };
        assert!(!growth(&[(put("a", 1), true)]).exceeds(KEYS_MAX + 5));
        assert!(!growth(&[(delete("a"), true), (delete("b"), false)]).exceeds(KEYS_MAX + 5));
        assert!(!growth(&[(delete("a"), true), (put("b", 1), false)]).exceeds(KEYS_MAX));
        assert!(!growth(&[(put("b", 1), false)]).exceeds(KEYS_MAX - 1));
        assert!(growth(&[(put("b", 1), false)]).exceeds(KEYS_MAX));
        assert!(growth(&[(delete("a"), false), (put("b", 1), false)]).exceeds(KEYS_MAX));
    }
}
