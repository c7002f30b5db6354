//! Which file it is, whatever its names are.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use sha2::{Digest, Sha256};

/// A file as the kernel tells it from all others, while somebody has it open: by device and
/// inode, which are the same by every name and through every mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Inode {
    device: u64,
    number: u64,
}

impl Inode {
    /// That of a file that was looked at.
    pub fn of(found: &fs::Metadata) -> Self {
        Self { device: found.dev(), number: found.ino() }
    }

    /// What `path` leads to. Nothing is opened: closing would drop SQLite's locks.
    pub fn at(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|found| Self::of(&found))
    }
}

/// One number that stands for all of `inodes`, in every process.
pub fn digest(inodes: &[Inode]) -> u64 {
    let mut digest = Sha256::new();
    for Inode { device, number } in inodes {
        digest.update(device.to_le_bytes());
        digest.update(number.to_le_bytes());
    }
    let digest: [u8; 32] = digest.finalize().into();
    digest.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}
