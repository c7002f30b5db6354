//! A disk for each etcd member, which can stall and be full: an ext4 file system in a file.
//! `fsfreeze` stalls it, and every write waits until it is thawed.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use soloist_devtools::cmd;

use super::sandbox::tool;

/// The size: more than ten minutes of writes need. The file is sparse.
const BYTES: u64 = 2 << 30;

/// A mounted disk. It is thawed and unmounted when it is dropped.
pub(super) struct Disk {
    place: PathBuf,
    image: PathBuf,
    frozen: bool,
}

impl Disk {
    /// Makes an empty disk in `folder`, mounted there.
    pub(super) fn make(folder: &Path, name: &str) -> Result<Self> {
        let (place, image) = (folder.join(name), folder.join(format!("{name}.ext4")));
        fs::create_dir_all(&place)?;
        // An old one may hold the data of another cluster.
        let _ = fs::remove_file(&image);
        let file = File::create(&image).context("cannot make a disk")?;
        file.set_len(BYTES)?;
        let mut mkfs = tool("mkfs.ext4");
        cmd::output(mkfs.args(["-q", "-F", "-E", "lazy_itable_init=1"]).arg(&image))?;
        let mut mount = tool("mount");
        cmd::output(mount.args(["-o", "loop,noatime"]).arg(&image).arg(&place))?;
        Ok(Self { place, image, frozen: false })
    }

    /// The folder where the disk is mounted.
    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// Stalls the disk. A process that writes to it can then not even be killed.
    pub(super) fn freeze(&mut self) -> Result<()> {
        // Set first, so that the disk is thawed even if `fsfreeze` fails half-way.
        self.frozen = true;
        self.fsfreeze("--freeze")
    }

    /// Lets all writes continue, if the disk is stalled.
    pub(super) fn thaw(&mut self) -> Result<()> {
        if self.frozen {
            self.fsfreeze("--unfreeze")?;
            self.frozen = false;
        }
        Ok(())
    }

    /// Fills the disk.
    pub(super) fn fill(&self) -> Result<()> {
        let ballast = File::create(self.ballast()).context("cannot fill a disk")?;
        let mut from = 0;
        for piece in [64 << 20, 1 << 20, 64 << 10, 4 << 10] {
            loop {
                match fallocate(&ballast, FallocateFlags::empty(), from, piece) {
                    Ok(()) => from += piece,
                    Err(Errno::NOSPC) => break,
                    Err(error) => return Err(error).context("cannot fill a disk"),
                }
            }
        }
        Ok(())
    }

    /// Frees the room again, if the disk was filled.
    pub(super) fn free(&self) -> Result<()> {
        match fs::remove_file(self.ballast()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).context("cannot free a disk")
            }
            _ => Ok(()),
        }
    }

    fn ballast(&self) -> PathBuf {
        self.place.join("ballast")
    }

    fn fsfreeze(&self, how: &str) -> Result<()> {
        cmd::output(tool("fsfreeze").arg(how).arg(&self.place)).map(drop)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = self.thaw() {
            eprintln!("{error:#}");
        }
        // A lazy unmount: it takes effect when the last process has closed its files.
        let _ = tool("umount").arg("--lazy").arg(&self.place).status();
        let _ = fs::remove_file(&self.image);
    }
}
