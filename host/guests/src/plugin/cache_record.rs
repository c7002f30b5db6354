//! The compile cache from one start to the next, and the check that it is intact.
//!
//! wasmtime runs whatever it finds in its cache, even code in which a disk or a memory module has
//! flipped a bit. So plugins are compiled into a work folder, and this module moves the artefacts
//! into the cache and records their SHA-256. Before wasmtime loads an artefact, it is compared with
//! its record.
//!
//! Invariant: no artefact stays in wasmtime's cache for long without a record. This protects
//! against damage, not against attackers: whoever can write to the folder can write records as
//! well.

use std::{
    fs::{self, DirEntry},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::{NamedTempFile, TempDir};

use super::digest::sha256;

/// How long a record is kept.
const RECORD_LIFETIME: Duration = Duration::from_secs(180 * 24 * 3600);
/// A work folder older than this was abandoned.
const WORK_FOLDER_LIFETIME: Duration = Duration::from_hours(1);

/// The folder in which wasmtime keeps its artefacts.
pub(super) fn wasmtime_folder(cache: &Path) -> PathBuf {
    cache.join("wasmtime")
}

fn records_folder(cache: &Path) -> PathBuf {
    cache.join("compiled")
}

/// The record of one file, compiled by one version of the compiler.
#[derive(Debug)]
pub(super) struct CacheRecord {
    cache: PathBuf,
    file: PathBuf,
}

/// The state of the artefacts, compared with their record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CacheState {
    /// All artefacts are as recorded.
    Sound,
    /// There is no record.
    Unknown,
    /// This artefact differs from its record, or is missing.
    Damaged(PathBuf),
}

impl CacheRecord {
    /// The record `name` in the folder `cache`.
    pub(super) fn new(cache: &Path, name: &str) -> Self {
        Self { cache: cache.to_owned(), file: records_folder(cache).join(name) }
    }

    /// Whether the record exists, whatever it contains.
    pub(super) fn exists(&self) -> bool {
        self.file.exists()
    }

    /// Compares the artefacts with the record.
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

    /// Removes the record and its artefacts.
    pub(super) fn forget(&self) {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        for (_, place) in parse_record(&text) {
            // It may be missing already.
            let _ = fs::remove_file(wasmtime_folder(&self.cache).join(place));
        }
        let _ = fs::remove_file(&self.file);
    }

    /// A new folder to compile into, on the same file system as the cache.
    pub(super) fn work_folder(&self) -> io::Result<TempDir> {
        let folder = records_folder(&self.cache);
        fs::create_dir_all(&folder)?;
        tempfile::Builder::new().prefix(".at-work-").tempdir_in(folder)
    }

    /// Moves the artefacts in `work_folder` into the cache, and writes their record.
    pub(super) fn store(&self, work_folder: &Path) -> io::Result<()> {
        let from = wasmtime_folder(work_folder);
        let places = list_artefacts(&from)?;
        let mut record = String::new();
        for place in &places {
            record += &format!("{}  {}\n", file_sha256(&from.join(place))?, place.display());
        }
        self.write(&record)?;
        for place in &places {
            let to = wasmtime_folder(&self.cache).join(place);
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::rename(from.join(place), to)?;
        }
        Ok(())
    }

    /// Called before the artefacts are moved, so that a concurrent [`clean_up`] does not take them
    /// for unrecorded ones.
    fn write(&self, text: &str) -> io::Result<()> {
        let folder = records_folder(&self.cache);
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(&self.file)?;
        Ok(())
    }
}

/// The digest and the relative path of each artefact in a record.
fn parse_record(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.split_once("  "))
}

/// The SHA-256 of a file, as hexadecimal digits.
fn file_sha256(file: &Path) -> io::Result<String> {
    Ok(sha256(&fs::read(file)?))
}

/// The relative paths of the artefacts in `folder`, a cache folder of wasmtime.
fn list_artefacts(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut places = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in list_folder(&next)? {
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                folders.push(path);
            // Files with an extension are usage statistics of wasmtime, or files that it is still
            // writing.
            } else if path.extension().is_none()
                && let Ok(place) = path.strip_prefix(folder)
            {
                places.push(place.to_owned());
            }
        }
    }
    Ok(places)
}

/// The entries of `folder`; none if it does not exist.
fn list_folder(folder: &Path) -> io::Result<Vec<DirEntry>> {
    match folder.read_dir() {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Removes old records from the folder `cache`, then artefacts without a record. What cannot be
/// removed is left for the next time.
pub(super) fn clean_up(cache: &Path) -> io::Result<()> {
    let mut known = Vec::new();
    for entry in list_folder(&records_folder(cache))? {
        // Another host may have removed it meanwhile.
        let Ok(about) = entry.metadata() else { continue };
        let age = about.modified().ok().and_then(|written| written.elapsed().ok());
        let is_older = |than| age.is_some_and(|age| age > than);
        if about.is_dir() {
            let _ = is_older(WORK_FOLDER_LIFETIME).then(|| fs::remove_dir_all(entry.path()));
        } else if is_older(RECORD_LIFETIME) {
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

    /// A cache with the record `name` of one artefact, and the path of the artefact.
    fn recorded(cache: &Path, name: &str) -> (CacheRecord, PathBuf) {
        let record = CacheRecord::new(cache, name);
        let work_folder = record.work_folder().unwrap();
        let place = Path::new("modules/wasmtime-1").join(name);
        let made = wasmtime_folder(work_folder.path()).join(&place);
        fs::create_dir_all(made.parent().unwrap()).unwrap();
        fs::write(&made, format!("code of {name}")).unwrap();
        fs::write(made.with_extension("stats"), "uses = 1").unwrap();
        record.store(work_folder.path()).unwrap();
        (record, wasmtime_folder(cache).join(place))
    }

    #[test]
    fn what_was_kept_is_known_until_it_changes() {
        let cache = tempfile::tempdir().unwrap();
        assert_eq!(CacheRecord::new(cache.path(), "a").check(), CacheState::Unknown);
        let (record, piece) = recorded(cache.path(), "a");
        assert_eq!(record.check(), CacheState::Sound);
        fs::write(&piece, "code of b").unwrap();
        assert_eq!(record.check(), CacheState::Damaged(piece.clone()));
        record.forget();
        assert!(!piece.exists() && record.check() == CacheState::Unknown);
        let (record, piece) = recorded(cache.path(), "a");
        fs::remove_file(&piece).unwrap();
        assert_eq!(record.check(), CacheState::Damaged(piece));
    }

    #[test]
    fn an_empty_note_speaks_for_nothing() {
        let cache = tempfile::tempdir().unwrap();
        let record = CacheRecord::new(cache.path(), "a");
        let work_folder = record.work_folder().unwrap();
        record.store(work_folder.path()).unwrap();
        assert!(record.exists() && record.check() == CacheState::Unknown);
    }

    #[test]
    fn what_no_note_speaks_of_goes_and_so_do_old_notes() {
        let cache = tempfile::tempdir().unwrap();
        let (old, of_old) = recorded(cache.path(), "old");
        let (new, of_new) = recorded(cache.path(), "new");
        let stray = of_new.with_file_name("stray");
        fs::write(&stray, "code of nobody").unwrap();
        let long_ago = SystemTime::now() - RECORD_LIFETIME - Duration::from_mins(1);
        let file = fs::File::options().write(true).open(&old.file).unwrap();
        file.set_modified(long_ago).unwrap();
        clean_up(cache.path()).unwrap();
        assert!(!old.exists() && !of_old.exists() && !stray.exists());
        assert!(of_new.exists() && new.check() == CacheState::Sound);
    }
}
