//! What compiling leaves behind for the next start, and how it is known again.
//!
//! wasmtime keeps compiled code in its cache and runs what it finds there: one bit that a
//! disk or a memory has turned is run as well. So each piece was compiled into a folder of
//! its own and is put into the cache by this module, beside a note of its SHA-256; what
//! wasmtime is about to load is held against that first.
//!
//! Invariant: nothing lies in wasmtime's cache for long that no note speaks of. Whoever may
//! write to the folder can write notes as well: this is for damage, not for enemies.

use std::{
    fs::{self, DirEntry},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::{NamedTempFile, TempDir};

use super::digest::sha256;

/// How long what was compiled is remembered.
const REMEMBERED: Duration = Duration::from_secs(180 * 24 * 3600);
/// After which time nobody compiles into a folder any more.
const ABANDONED: Duration = Duration::from_hours(1);

/// The folder below which wasmtime keeps what it has compiled.
pub(super) fn wasmtime_folder(cache: &Path) -> PathBuf {
    cache.join("wasmtime")
}

fn records_folder(cache: &Path) -> PathBuf {
    cache.join("compiled")
}

/// What is remembered of one file under one compiler.
#[derive(Debug)]
pub(super) struct CacheRecord {
    cache: PathBuf,
    file: PathBuf,
}

/// What a note says of the cache.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CacheState {
    /// It holds what was put there.
    Sound,
    /// Nothing is known of it.
    Unknown,
    /// This was put there otherwise, or is gone.
    Damaged(PathBuf),
}

impl CacheRecord {
    /// The note `name` of the folder `cache`.
    pub(super) fn new(cache: &Path, name: &str) -> Self {
        Self { cache: cache.to_owned(), file: records_folder(cache).join(name) }
    }

    /// Whether there is one, whatever it says.
    pub(super) fn exists(&self) -> bool {
        self.file.exists()
    }

    /// Holds what is in the cache against it.
    pub(super) fn check(&self) -> CacheState {
        let Ok(text) = fs::read_to_string(&self.file) else { return CacheState::Unknown };
        let mut pieces = parse_record(&text).peekable();
        if pieces.peek().is_none() {
            return CacheState::Unknown;
        }
        let mut pieces =
            pieces.map(|(digest, place)| (digest, wasmtime_folder(&self.cache).join(place)));
        let damaged =
            pieces.find(|(digest, file)| file_sha256(file).ok().as_deref() != Some(digest));
        damaged.map_or(CacheState::Sound, |(_, file)| CacheState::Damaged(file))
    }

    /// Takes it away, with what it speaks of.
    pub(super) fn forget(&self) {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        for (_, place) in parse_record(&text) {
            // What is gone already need not go.
            let _ = fs::remove_file(wasmtime_folder(&self.cache).join(place));
        }
        let _ = fs::remove_file(&self.file);
    }

    /// A folder to compile into, on the file system of the cache.
    pub(super) fn work_folder(&self) -> io::Result<TempDir> {
        let folder = records_folder(&self.cache);
        fs::create_dir_all(&folder)?;
        tempfile::Builder::new().prefix(".at-work-").tempdir_in(folder)
    }

    /// Puts what was compiled in `workplace` into the cache, and writes down what that is.
    pub(super) fn store(&self, workplace: &Path) -> io::Result<()> {
        let from = wasmtime_folder(workplace);
        let places = list_artefacts(&from)?;
        let mut note = String::new();
        for place in &places {
            note += &format!("{}  {}\n", file_sha256(&from.join(place))?, place.display());
        }
        self.write(&note)?;
        for place in &places {
            let to = wasmtime_folder(&self.cache).join(place);
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::rename(from.join(place), to)?;
        }
        Ok(())
    }

    /// Before the pieces are where it says: so nobody takes them for what no note speaks of.
    fn write(&self, text: &str) -> io::Result<()> {
        let folder = records_folder(&self.cache);
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(&self.file)?;
        Ok(())
    }
}

/// The digest of each piece, and its place below wasmtime's folder.
fn parse_record(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.split_once("  "))
}

/// The SHA-256 of a file, in hexadecimal digits.
fn file_sha256(file: &Path) -> io::Result<String> {
    Ok(sha256(&fs::read(file)?))
}

/// The places of compiled components below `folder`, which is wasmtime's.
fn list_artefacts(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut places = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in list_folder(&next)? {
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                folders.push(path);
            // Beside each, wasmtime keeps when it was used; and files while it writes them.
            } else if path.extension().is_none()
                && let Ok(place) = path.strip_prefix(folder)
            {
                places.push(place.to_owned());
            }
        }
    }
    Ok(places)
}

/// What is in `folder`; nothing, if it is not there.
fn list_folder(folder: &Path) -> io::Result<Vec<DirEntry>> {
    match folder.read_dir() {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Removes old notes from the folder `cache`, and then what no note speaks of. What cannot
/// be removed stays for another time.
pub(super) fn clean_up(cache: &Path) -> io::Result<()> {
    let mut known = Vec::new();
    for entry in list_folder(&records_folder(cache))? {
        // Its end may have come meanwhile, by another host.
        let Ok(about) = entry.metadata() else { continue };
        let age = about.modified().ok().and_then(|written| written.elapsed().ok());
        let is_older = |than| age.is_some_and(|age| age > than);
        if about.is_dir() {
            let _ = is_older(ABANDONED).then(|| fs::remove_dir_all(entry.path()));
        } else if is_older(REMEMBERED) {
            let _ = fs::remove_file(entry.path());
        } else {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            known.extend(parse_record(&text).map(|(_, place)| PathBuf::from(place)));
        }
    }
    for place in list_artefacts(&wasmtime_folder(cache))? {
        if !known.contains(&place) {
            let _ = fs::remove_file(wasmtime_folder(cache).join(place));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    /// A cache with the note `name` of one piece, and the piece.
    fn kept(cache: &Path, name: &str) -> (CacheRecord, PathBuf) {
        let note = CacheRecord::new(cache, name);
        let workplace = note.work_folder().unwrap();
        let place = Path::new("modules/wasmtime-1").join(name);
        let made = wasmtime_folder(workplace.path()).join(&place);
        fs::create_dir_all(made.parent().unwrap()).unwrap();
        fs::write(&made, format!("code of {name}")).unwrap();
        fs::write(made.with_extension("stats"), "uses = 1").unwrap();
        note.store(workplace.path()).unwrap();
        (note, wasmtime_folder(cache).join(place))
    }

    #[test]
    fn what_was_kept_is_known_until_it_changes() {
        let cache = tempfile::tempdir().unwrap();
        assert_eq!(CacheRecord::new(cache.path(), "a").check(), CacheState::Unknown);
        let (note, piece) = kept(cache.path(), "a");
        assert_eq!(note.check(), CacheState::Sound);
        fs::write(&piece, "code of b").unwrap();
        assert_eq!(note.check(), CacheState::Damaged(piece.clone()));
        note.forget();
        assert!(!piece.exists() && note.check() == CacheState::Unknown);
        let (note, piece) = kept(cache.path(), "a");
        fs::remove_file(&piece).unwrap();
        assert_eq!(note.check(), CacheState::Damaged(piece));
    }

    #[test]
    fn an_empty_note_speaks_for_nothing() {
        let cache = tempfile::tempdir().unwrap();
        let note = CacheRecord::new(cache.path(), "a");
        let workplace = note.work_folder().unwrap();
        note.store(workplace.path()).unwrap();
        assert!(note.exists() && note.check() == CacheState::Unknown);
    }

    #[test]
    fn what_no_note_speaks_of_goes_and_so_do_old_notes() {
        let cache = tempfile::tempdir().unwrap();
        let (old, of_old) = kept(cache.path(), "old");
        let (new, of_new) = kept(cache.path(), "new");
        let stray = of_new.with_file_name("stray");
        fs::write(&stray, "code of nobody").unwrap();
        let long_ago = SystemTime::now() - REMEMBERED - Duration::from_mins(1);
        let file = fs::File::options().write(true).open(&old.file).unwrap();
        file.set_modified(long_ago).unwrap();
        clean_up(cache.path()).unwrap();
        assert!(!old.exists() && !of_old.exists() && !stray.exists());
        assert!(of_new.exists() && new.check() == CacheState::Sound);
    }
}
