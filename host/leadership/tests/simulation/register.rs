//! The fenced register that every leader writes to, like a plugin's state.

use soloist_heart::LeaderKey;

/// A write, which may be attempted several times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RegisterWrite {
    /// The guard: the write is applied only as long as this key exists.
    pub(crate) key: LeaderKey,
    /// A unique number.
    pub(crate) id: usize,
    /// The write is applied only to this version.
    pub(crate) only_if: usize,
}

/// The outcome of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteFate {
    Applied,
    /// The register has another version; `last` is the number of its last write.
    Conflict {
        version: usize,
        last: Option<usize>,
    },
    /// The writer's leader key is gone.
    Fenced,
    /// Unknown, since no answer came in time.
    Unknown,
}

/// All applied writes, in order. Their number is the register's version.
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
