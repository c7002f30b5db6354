//! Identifies a file independently of its names.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use sha2::{Digest, Sha256};

/// A file as the kernel identifies it while it is open: device and inode number. Both are the
/// same under every name and through every mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Inode {
    device: u64,
    number: u64,
}

impl Inode {
    /// The identity of the file that `found` describes.
    pub fn of(found: &fs::Metadata) -> Self {
        Self { device: found.dev(), number: found.ino() }
    }

    /// The identity of the file at `path`. It is not opened: closing it would drop SQLite's
    /// locks.
    pub fn at(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|found| Self::of(&found))
    }
}

/// A hash of `inodes` that is the same in every process.
pub fn digest(inodes: &[Inode]) -> u64 {
    let mut digest = Sha256::new();
    for Inode { device, number } in inodes {
        digest.update(device.to_le_bytes());
        digest.update(number.to_le_bytes());
    }
    let digest: [u8; 32] = digest.finalize().into();
    digest.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}
