//! The action's state, as values of JSON under keys of text.

use serde::{Serialize, de::DeserializeOwned};

use crate::bindings::wasi::keyvalue::{
    atomics, batch,
    store::{Bucket, Error, open},
};

/// How many keys are read in one call: the host takes 64 at most.
const BATCH: usize = 64;

/// Why a call failed, in words for people.
#[derive(Debug)]
pub struct StateError(pub String);

impl From<Error> for StateError {
    fn from(error: Error) -> Self {
        Self(match error {
            Error::NoSuchStore => "there is no such state".to_owned(),
            Error::AccessDenied => "the settings grant no state".to_owned(),
            Error::Other(text) => text,
        })
    }
}

impl From<StateError> for String {
    fn from(error: StateError) -> Self {
        format!("cannot use the state: {}", error.0)
    }
}

/// What the action keeps from one leader to the next.
pub struct State(Bucket);

impl State {
    pub(crate) fn open() -> Result<Self, Error> {
        open("").map(Self)
    }

    /// The bytes under `key`.
    ///
    /// # Errors
    /// The store did not answer, or the term has ended.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.get(key)?)
    }

    /// The value under `key`. One that cannot be read counts as none: a person
    /// may have written it.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StateError> {
        Ok(self.get(key)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// The values under those of `keys` that have one which can be read.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn read_all<T: DeserializeOwned>(
        &self,
        keys: &[String],
    ) -> Result<Vec<(String, T)>, StateError> {
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(BATCH) {
            for (key, bytes) in batch::get_many(&self.0, keys)?.into_iter().flatten() {
                found.extend(serde_json::from_slice(&bytes).ok().map(|value| (key, value)));
            }
        }
        Ok(found)
    }

    /// Writes bytes under `key`.
    ///
    /// # Errors
    /// As [`get`](Self::get), or there is no room.
    pub fn set(&self, key: &str, bytes: &[u8]) -> Result<(), StateError> {
        Ok(self.0.set(key, bytes)?)
    }

    /// Writes a value under `key`.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn write<T: Serialize>(&self, key: &str, value: &T) -> Result<(), StateError> {
        let bytes = serde_json::to_vec(value).map_err(|error| StateError(error.to_string()))?;
        self.set(key, &bytes)
    }

    /// Deletes all of `keys` in one step; those that are not there are none.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn delete(&self, keys: &[String]) -> Result<(), StateError> {
        Ok(batch::delete_many(&self.0, keys)?)
    }

    /// Whether there is anything under `key`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn has(&self, key: &str) -> Result<bool, StateError> {
        Ok(self.0.exists(key)?)
    }

    /// Counts one more under `key`, and returns the count.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn count(&self, key: &str) -> Result<u64, StateError> {
        Ok(atomics::increment(&self.0, key, 1)?)
    }

    /// All keys, in the order of their bytes.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn keys(&self) -> Result<Vec<String>, StateError> {
        let (mut keys, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.0.list_keys(cursor)?;
            keys.extend(page.keys);
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(keys);
            }
        }
    }
}

/// Whether `name` can be part of a key and of a path: letters, digits, `-`, `_`
/// and `.`, at most 64 of them, none of the last at the beginning.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.is_empty() && name.len() <= 64 && !name.starts_with('.') && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn names_stay_in_their_place() {
        for good in ["a", "push-events", "v1.2_x", "A9"] {
            assert!(is_name(good), "{good}");
        }
        let long = "x".repeat(65);
        for bad in ["", ".", "..", ".x", "a/b", "a b", "ü", "a%2fb", "a\0", &long] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
