//! Reading small files: settings, tokens, secrets, certificates.
//!
//! Every file that people write for the host is read here, up to a size that none of them
//! needs: one that grew to a gigabyte by mistake, or a device that has no end, must not
//! become the host's memory.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    time::Duration,
};

use rustix::fs::OFlags;

use super::value;
use soloist_heart::clock::unix_ms;

/// The most that a file of settings, tokens or certificates holds.
pub const FILE_MAX: u64 = 1 << 20;

/// Tells one content of a file from another, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileStamp {
    inode: i64,
    size: i64,
    modified: [i64; 2],
    changed: [i64; 2],
}

/// Longer than the ticks in which any file system counts.
const TICK: Duration = Duration::from_millis(100);

impl FileStamp {
    /// That of a file that is there.
    pub fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|about| Self::new(&about))
    }

    /// That of the file that this is about.
    pub fn new(about: &Metadata) -> Self {
        let size = i64::try_from(about.size()).unwrap_or(i64::MAX);
        let inode = about.ino().cast_signed();
        let modified = [about.mtime(), about.mtime_nsec()];
        let changed = [about.ctime(), about.ctime_nsec()];
        Self { inode, size, modified, changed }
    }

    /// Whether a later change would show: file systems count time in ticks, and two changes
    /// within one look alike.
    pub(super) fn is_conclusive(&self) -> bool {
        let [seconds, nanos] = self.changed.map(|part| u64::try_from(part).unwrap_or(0));
        let changed = Duration::from_secs(seconds) + Duration::from_nanos(nanos);
        let now = Duration::from_millis(unix_ms());
        now.checked_sub(changed).is_some_and(|age| age > TICK)
    }
}

/// Reads a file of [`FILE_MAX`] bytes at most.
///
/// # Errors
/// It cannot be read, is larger, or is no file: a pipe would be waited for, and a device may
/// have no end.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_up_to(path, FILE_MAX)
}

/// The same, of so many bytes at most.
///
/// # Errors
/// The same.
pub fn read_up_to(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    // A pipe is opened without waiting for its other end, and then seen to be one.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    within(file, most)
}

/// A text, as [`read`] does.
///
/// # Errors
/// The same, and where it is no text (UTF-8).
pub fn read_text(path: &Path) -> io::Result<String> {
    text(read(path)?)
}

/// The text of what was named on the command line, which may be a pipe.
///
/// # Errors
/// It cannot be read, is larger than [`FILE_MAX`], or is no text.
pub fn read_named(path: &Path) -> io::Result<String> {
    text(within(File::open(path)?, FILE_MAX)?)
}

fn within(file: File, most: u64) -> io::Result<Vec<u8>> {
    let too_large = || io::Error::other(format!("it is larger than {}", value::show_size(most)));
    read_unless_larger(file, most)?.ok_or_else(too_large)
}

/// What `file` holds; nothing, if that is more than `most` bytes.
///
/// # Errors
/// It cannot be read.
pub fn read_unless_larger(file: File, most: u64) -> io::Result<Option<Vec<u8>>> {
    // What says how large it is need not be read to know it; but it may grow meanwhile.
    let about = file.metadata()?;
    if about.is_file() && about.len() > most {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= most))
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is no text (UTF-8)"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_too_large_is_not_read_and_what_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("small"), vec![b'x'; 1 << 20]).unwrap();
        assert_eq!(read_text(&path("small")).unwrap().len(), 1 << 20);
        // It takes no room on the disk, and would take all memory.
        File::create(path("large")).unwrap().set_len(1 << 40).unwrap();
        let error = read(&path("large")).unwrap_err().to_string();
        assert_eq!(error, "it is larger than 1MiB");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), kind, mode, 0).unwrap();
        for none in [path("pipe"), "/dev/zero".into()] {
            assert_eq!(read(&none).unwrap_err().to_string(), "it is no file");
        }
        let endless = read_named(Path::new("/dev/zero")).unwrap_err().to_string();
        assert_eq!(endless, "it is larger than 1MiB");
    }
}
