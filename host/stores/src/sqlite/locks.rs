//! Locks on the database's inode, which are effective under whatever name, through whatever mount
//! and in whatever container the file is opened.
//!
//! These are Linux's locks of an open file (fcntl(2), "Open file description locks"): a process
//! keeps them until it closes that descriptor or ends, and they do not interfere with SQLite's
//! locks, which belong to the process. They are placed far beyond the largest possible database
//! (2^48 bytes; SQLite: "Limits"), so they never lock a byte of it.

use std::{fs::File, io, ops::Range};

use nix::{
    fcntl::{FcntlArg, fcntl},
    libc::{F_RDLCK, F_UNLCK, F_WRLCK, SEEK_SET, c_int, flock, off_t},
};

/// A range of bytes, which may lie beyond the end of the file.
pub(super) type ByteRange = Range<u64>;

/// Locks `bytes` for shared use. Returns whether that succeeded.
pub(super) fn share(file: &File, bytes: &ByteRange) -> io::Result<bool> {
    set(file, F_RDLCK, bytes)
}

/// Locks `bytes` exclusively. Returns whether that succeeded.
pub(super) fn take(file: &File, bytes: &ByteRange) -> io::Result<bool> {
    set(file, F_WRLCK, bytes)
}

pub(super) fn release(file: &File, bytes: &ByteRange) -> io::Result<()> {
    set(file, F_UNLCK, bytes).map(drop)
}

/// Whether another process has locked any of `bytes`. Locks of this process do not count, since it
/// uses a single descriptor.
pub(super) fn held_by_others(file: &File, bytes: &ByteRange) -> io::Result<bool> {
    if bytes.is_empty() {
        return Ok(false);
    }
    let mut found = lock(F_WRLCK, bytes)?;
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut found))?;
    Ok(c_int::from(found.l_type) != F_UNLCK)
}

fn set(file: &File, kind: c_int, bytes: &ByteRange) -> io::Result<bool> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&lock(kind, bytes)?)).map_err(io::Error::from) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        // The other error that fcntl(2) names for a lock held by another process.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
        Err(error) => Err(error),
    }
}

fn lock(kind: c_int, bytes: &ByteRange) -> io::Result<flock> {
    let place = |at: u64| off_t::try_from(at).map_err(io::Error::other);
    Ok(flock {
        l_type: kind.try_into().map_err(io::Error::other)?,
        l_whence: SEEK_SET.try_into().map_err(io::Error::other)?,
        l_start: place(bytes.start)?,
        l_len: place(bytes.end - bytes.start)?,
        l_pid: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_meet_by_every_name_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        let open =
            |path| File::options().read(true).write(true).create(true).truncate(false).open(path);
        let a = open(&one).unwrap();
        std::fs::hard_link(&one, &two).unwrap();
        let b = open(&two).unwrap();
        let far = 1 << 61;
        assert!(share(&a, &(far..far + 1)).unwrap());
        assert!(share(&b, &(far..far + 1)).unwrap());
        assert!(!held_by_others(&b, &(far + 1..far + 9)).unwrap());
        assert!(held_by_others(&b, &(0..far + 9)).unwrap());
        assert!(!take(&b, &(far..far + 1)).unwrap());
        release(&a, &(far..far + 1)).unwrap();
        assert!(!held_by_others(&b, &(0..far + 9)).unwrap());
        // Unlike SQLite's locks, they survive when another descriptor of the file is closed.
        drop(open(&two).unwrap());
        assert!(held_by_others(&a, &(far..far + 1)).unwrap());
    }
}
