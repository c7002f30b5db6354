//! Cursors for listing keys: the standard has only numbers for them.

use std::collections::VecDeque;

use super::error::KeyvalueError;

/// How many cursors of an instance are remembered. Each holds one key.
const CURSORS_MAX: usize = 256;

/// The cursors that an instance was given, the oldest first.
#[derive(Debug, Default)]
pub(super) struct ListCursors {
    keys: VecDeque<String>,
    forgotten: u64,
}

impl ListCursors {
    /// A cursor for the keys after `key`.
    pub(super) fn after(&mut self, key: &str) -> u64 {
        let known = self.keys.iter().position(|known| known == key);
        let index = known.unwrap_or_else(|| {
            if self.keys.len() == CURSORS_MAX {
                self.keys.pop_front();
                self.forgotten += 1;
            }
            self.keys.push_back(key.to_owned());
            self.keys.len() - 1
        });
        self.forgotten + index as u64
    }

    /// The key that `cursor` follows.
    pub(super) fn key(&self, cursor: u64) -> Result<&str, KeyvalueError> {
        let index = cursor.checked_sub(self.forgotten);
        let key = index.and_then(|index| self.keys.get(usize::try_from(index).ok()?));
        key.map(String::as_str).ok_or_else(|| {
            let text = format!(
                "{cursor} is not one of the {CURSORS_MAX} latest cursors of this instance: list \
                 the keys from the beginning"
            );
            KeyvalueError::Other(text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_known_and_the_oldest_forgotten() {
        let mut cursors = ListCursors::default();
        assert_eq!((cursors.after("a"), cursors.after("b"), cursors.after("a")), (0, 1, 0));
        assert_eq!(cursors.key(1).unwrap(), "b");
        assert!(cursors.key(2).is_err() && cursors.key(u64::MAX).is_err());
        for number in 0..CURSORS_MAX {
            cursors.after(&number.to_string());
        }
        assert!(cursors.key(1).is_err());
        assert_eq!(cursors.key(2).unwrap(), "0");
        assert_eq!(cursors.after("255"), 257);
    }
}
