//! Reads small files: settings, tokens, secrets, certificates.
//!
//! Every file that people write for the host is read here, with a limit on its size. A file that
//! grew to a gigabyte by mistake, or an endless device, must not fill the host's memory.

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

/// The greatest size of a file of settings, tokens or certificates, in bytes.
pub const FILE_MAX: u64 = 1 << 20;

/// Tells whether a file has changed, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileStamp {
    inode: i64,
    size: i64,
    modified: [i64; 2],
    changed: [i64; 2],
}

/// Longer than the timestamp resolution of any file system.
const TICK: Duration = Duration::from_millis(100);

impl FileStamp {
    /// The stamp of the file at `path`; `None` if it does not exist.
    pub fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|about| Self::new(&about))
    }

    /// The stamp of the file with this metadata.
    pub fn new(about: &Metadata) -> Self {
        let size = i64::try_from(about.size()).unwrap_or(i64::MAX);
        let inode = about.ino().cast_signed();
        let modified = [about.mtime(), about.mtime_nsec()];
        let changed = [about.ctime(), about.ctime_nsec()];
        Self { inode, size, modified, changed }
    }

    /// Whether a later change is certain to be noticed: file systems count time in ticks, and two
    /// changes within one tick look the same.
    pub(super) fn is_conclusive(&self) -> bool {
        let [seconds, nanos] = self.changed.map(|part| u64::try_from(part).unwrap_or(0));
        let changed = Duration::from_secs(seconds) + Duration::from_nanos(nanos);
        let now = Duration::from_millis(unix_ms());
        now.checked_sub(changed).is_some_and(|age| age > TICK)
    }
}

/// Reads a file of up to [`FILE_MAX`] bytes.
///
/// # Errors
/// The file cannot be read, is larger, or is not a regular file: a pipe would block, and a device
/// may be endless.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_up_to(path, FILE_MAX)
}

/// Reads a file of up to `most` bytes.
///
/// # Errors
/// As for [`read`].
pub fn read_up_to(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    // Opening without blocking: a pipe is then recognised as one.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    within(file, most)
}

/// Reads a text as [`read`] does.
///
/// # Errors
/// As for [`read`], and if it is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    text(read(path)?)
}

/// Reads a text that was named on the command line; it may be a pipe.
///
/// # Errors
/// The file cannot be read, is larger than [`FILE_MAX`], or is not UTF-8.
pub fn read_named(path: &Path) -> io::Result<String> {
    text(within(File::open(path)?, FILE_MAX)?)
}

fn within(file: File, most: u64) -> io::Result<Vec<u8>> {
    let too_large = || io::Error::other(format!("it is larger than {}", value::show_size(most)));
    read_unless_larger(file, most)?.ok_or_else(too_large)
}

/// The content of `file`; `None` if that is more than `most` bytes.
///
/// # Errors
/// The file cannot be read.
pub fn read_unless_larger(file: File, most: u64) -> io::Result<Option<Vec<u8>>> {
    // A file that states a greater size need not be read. It may still grow meanwhile.
    let about = file.metadata()?;
    if about.is_file() && about.len() > most {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= most))
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8 text"))
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
        // This sparse file takes no disk space, but would take all memory.
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
