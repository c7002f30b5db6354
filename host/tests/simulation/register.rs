//! The fenced register that every leader writes to, as a plugin's state would be.

use soloist_heart::LeaderKey;

/// One write, as it is tried once or several times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RegisterWrite {
    /// Its guard: it is applied only as long as this key exists.
    pub(crate) key: LeaderKey,
    /// No other write has it.
    pub(crate) id: usize,
    /// It is applied only to this version.
    pub(crate) only_if: usize,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteFate {
    Applied,
    /// The register is at another version; `last` was written last.
    Conflict {
        version: usize,
        last: Option<usize>,
    },
    /// The writer's leader key is gone.
    Fenced,
    /// Nobody knows: no answer came in time.
    Unknown,
}

/// Every write that was applied, in order. Its version is their number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Register {
    pub(crate) log: Vec<usize>,
}

impl Register {
    /// Applies a write whose guard holds.
    pub(crate) fn write(&mut self, write: &RegisterWrite, conditional: bool) -> WriteFate {
        let version = self.log.len();
        if conditional && write.only_if != version {
            return WriteFate::Conflict { version, last: self.log.last().copied() };
        }
        self.log.push(write.id);
        WriteFate::Applied
    }
}
