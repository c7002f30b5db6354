//! Where the store's files are, and whether that place is safe.
//!
//! Next to a database, SQLite keeps a log of the latest writes (`-wal`) and an index of that log
//! (`-shm`), which all processes map into their memory. It finds both by the database's name. So
//! the database must have a single name, and be on a file system whose memory and locks are shared
//! by all its users.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statfs, statvfs, statx};

use super::sqlite_fault::SqliteFault;
use soloist_config::inode::{Inode, digest};

/// The path of the database.
#[derive(Clone, Debug)]
pub(super) struct DatabasePath {
    /// As written in the settings.
    given: PathBuf,
    /// Without symbolic links: SQLite resolves them before it looks for the log.
    real: PathBuf,
}

impl DatabasePath {
    /// The path `given` of a database that exists.
    pub(super) fn of(given: &Path) -> io::Result<Self> {
        Ok(Self { given: given.to_owned(), real: fs::canonicalize(given)? })
    }

    pub(super) fn real(&self) -> &Path {
        &self.real
    }

    pub(super) fn inode(&self) -> io::Result<Inode> {
        Inode::at(&self.given)
    }

    /// Identifies the log and the index next to the database by one number; `None` unless both
    /// exist.
    pub(super) fn log_digest(&self) -> io::Result<Option<u64>> {
        let sibling = |end| match Inode::at(&sibling_path(&self.real, end)) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let both = sibling(LOG)?.zip(sibling(INDEX)?);
        Ok(both.map(|(log, index)| digest(&[log, index])))
    }

    /// The number of names (hard links) of the database.
    pub(super) fn link_count(&self) -> io::Result<u64> {
        fs::metadata(&self.real).map(|found| found.nlink())
    }

    /// Refuses a place in which hosts could write to one database through two logs, or would not
    /// see each other's writes.
    pub(super) fn check_safe(&self) -> Result<(), SqliteFault> {
        let file = self.real.display();
        let found = fs::metadata(&self.real)?;
        if !found.is_file() {
            let problem = format!("{file} is not a regular file: name one in `store`");
            return Err(SqliteFault::refused(problem));
        }
        if found.nlink() > 1 {
            let problem = format!(
                "{file} has {} names (hard links), and SQLite's log goes by the name: hosts \
                 that use two of them would overwrite each other's writes; remove the others \
                 (`find DIR -samefile {file}` finds them)",
                found.nlink()
            );
            return Err(SqliteFault::refused(problem));
        }
        if is_mounted_alone(&self.real)? {
            let problem = format!(
                "{file} is mounted alone, without SQLite's log next to it: hosts that open it in \
                 its own folder would use another log; mount the folder that contains it"
            );
            return Err(SqliteFault::refused(problem));
        }
        self.must_be_local()
    }

    /// Refuses writes that add data while the disk is nearly full, since leases, claims and
    /// deletions still need room. `unused` is the number of free bytes within the database.
    pub(super) fn must_have_room(&self, unused: u64) -> Result<(), SqliteFault> {
        let disk = statvfs(parent_folder(&self.real)).map_err(io::Error::from)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free >= ROOM_FOR_LOG && free.saturating_add(unused) >= ROOM {
            return Ok(());
        }
        Err(SqliteFault::refused(format!(
            "there are {} MiB left on the disk of {}, which are reserved for leases and deletions: \
             delete state, or free space on the disk",
            free >> 20,
            self.real.display()
        )))
    }

    fn must_be_local(&self) -> Result<(), SqliteFault> {
        let magic = statfs(&self.real).map_err(io::Error::from)?.f_type;
        // On some machines the field is wider and signed, but these numbers have 32 bits.
        let Some(kind) = unsafe_kind(magic as u32) else { return Ok(()) };
        // A FUSE file system that has a disk of its own is a local one.
        if kind == FUSE && is_on_a_disk(&self.real)? {
            return Ok(());
        }
        Err(SqliteFault::refused(format!(
            "{} is on {kind}, where SQLite cannot share memory between all who use the file: \
             name a file on a local disk in `store`, or use etcd",
            self.real.display()
        )))
    }
}

const LOG: &str = "-wal";
const INDEX: &str = "-shm";
const FUSE: &str = "a file system in user space (FUSE)";

/// How many bytes stay free for indispensable writes: many times the size of a batch of state.
const ROOM: u64 = 16 << 20;
/// How many of these bytes the disk itself must have free: SQLite's log, which is written from its
/// beginning again after 1,000 pages (SQLite: `PRAGMA wal_autocheckpoint`).
const ROOM_FOR_LOG: u64 = 4 << 20;

/// The path with `end` appended to the database's name.
pub(super) fn sibling_path(database: &Path, end: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// The path of the database's log.
pub(super) fn log_path(database: &Path) -> PathBuf {
    sibling_path(database, LOG)
}

/// The name of a file system that machines share, by its magic number (statfs(2); Linux:
/// `include/uapi/linux/magic.h` and the file systems' own headers).
const fn unsafe_kind(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => "SMB",
        0x0102_1997 => "9p",
        0x5346_414f | 0x6b41_4653 => "AFS",
        0x7375_7245 => "Coda",
        0x564c => "NCP",
        0x00c3_6400 => "Ceph",
        0x0bd0_0bd0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x1983_0326 => "BeeGFS",
        0x0116_1970 => "GFS2",
        0x7461_636f => "OCFS2",
        0x786f_4256 => "a folder shared by VirtualBox",
        0xbacb_acbc => "a folder shared by VMware",
        0x7c7c_6673 => "a folder shared by Parallels",
        0x6573_5546 => FUSE,
        _ => return None,
    })
}

/// Whether a mount begins at the file itself (statx(2), since Linux 5.8; on older kernels, only the
/// lock reveals a process that uses another log).
fn is_mounted_alone(file: &Path) -> io::Result<bool> {
    let found = statx(CWD, file, AtFlags::empty(), StatxFlags::BASIC_STATS)?;
    Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Whether `file` is on a mount of a block device (proc_pid_mountinfo(5)).
fn is_on_a_disk(file: &Path) -> io::Result<bool> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let mount_of = |line: &str| {
        let (mount, system) = line.split_once(" - ")?;
        let at = mount.split(' ').nth(4)?.replace("\\040", " ");
        file.starts_with(&at).then(|| (at.len(), system.starts_with("fuseblk ")))
    };
    // Of several mounts at one place, the last one hides the others.
    let nearest = mounts.lines().filter_map(mount_of).max_by_key(|(length, _)| *length);
    Ok(nearest.is_some_and(|(_, disk)| disk))
}

/// The folder that contains the file at `path`.
pub(super) fn parent_folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &Path) -> Option<String> {
        DatabasePath::of(path).unwrap().check_safe().err().map(|fault| fault.to_string())
    }

    #[test]
    fn a_file_of_one_name_on_a_local_disk_is_let_through_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("soloist.db");
        fs::write(&file, "").unwrap();
        assert_eq!(refusal(&file), None);
        let by_link = folder.path().join("link");
        std::os::unix::fs::symlink(&file, &by_link).unwrap();
        assert_eq!(refusal(&by_link), None);
        assert_eq!(DatabasePath::of(&by_link).unwrap().real(), fs::canonicalize(&file).unwrap());
        fs::hard_link(&file, folder.path().join("other")).unwrap();
        let told = refusal(&by_link).unwrap();
        assert!(told.contains("2 names") && told.contains("remove the others"), "{told}");
        assert!(refusal(folder.path()).unwrap().contains("not a regular file"));
    }

    #[test]
    fn the_kernel_s_own_network_file_systems_are_known() {
        // The numbers of linux/magic.h, and those that `stat -f -c %t` prints.
        for magic in [0x6969, 0x517b, 0xff53_4d42, 0x0102_1997, 0x6573_5546, 0x00c3_6400] {
            assert!(unsafe_kind(magic).is_some(), "{magic:x}");
        }
        // ext4, XFS, Btrfs, tmpfs, overlayfs, ZFS.
        for magic in [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0x2fc1_2fc1] {
            assert_eq!(unsafe_kind(magic), None, "{magic:x}");
        }
    }
}
