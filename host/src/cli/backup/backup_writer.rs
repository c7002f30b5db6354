//! Writing a backup file: under a temporary name beside it, which it gets its own name from when it
//! is whole and on the disk.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::backup_file::{BackupHeader, Trailer, TrailerContent};
use crate::cli::{ExitError, exit::ExitKind};
use soloist_stores::{BackupRecord, BackupSummary};
use soloist_text::hex;

/// A backup file that is being written. Dropping it removes what was written.
pub(super) struct BackupWriter {
    path: PathBuf,
    /// The temporary file, which only this user can read.
    to: BufWriter<NamedTempFile>,
    sha256: Sha256,
}

impl BackupWriter {
    /// Begins a file that is to be at `path`, where there must be none.
    pub(super) fn create(path: &Path) -> Result<Self, ExitError> {
        if path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
        let file = tempfile::Builder::new().prefix(".soloist-").tempfile_in(folder(path));
        let file = file.map_err(|error| not_written(path, &error))?;
        Ok(Self { path: path.to_owned(), to: BufWriter::new(file), sha256: Sha256::new() })
    }

    pub(super) fn header(&mut self, header: &BackupHeader) -> Result<(), ExitError> {
        self.line(header)
    }

    pub(super) fn record(&mut self, record: &BackupRecord) -> Result<(), ExitError> {
        self.line(record)
    }

    /// Writes the trailer, and gives the file its name when all of it is on the disk.
    pub(super) fn finish(mut self, summary: &BackupSummary) -> Result<(), ExitError> {
        let sha256 = hex(&self.sha256.clone().finalize());
        self.line(&Trailer { end: TrailerContent { records: summary.total(), sha256 } })?;
        let Self { path, to, .. } = self;
        let failed = |error: &io::Error| not_written(&path, error);
        let file = to.into_inner().map_err(|error| failed(error.error()))?;
        file.as_file().sync_all().map_err(|error| failed(&error))?;
        file.persist_noclobber(&path).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => exists(&path),
            _ => failed(&error.error),
        })?;
        // The name itself must survive a power cut as well.
        let named = File::open(folder(&path)).and_then(|folder| folder.sync_all());
        named.map_err(|error| failed(&error))
    }

    fn line(&mut self, content: &impl Serialize) -> Result<(), ExitError> {
        let mut line = serde_json::to_vec(content)
            .map_err(|error| ExitError::internal("a record cannot be written as JSON", &error))?;
        line.push(b'\n');
        self.sha256.update(&line);
        self.to.write_all(&line).map_err(|error| not_written(&self.path, &error))
    }
}

/// The folder that a file is in.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn exists(path: &Path) -> ExitError {
    ExitError::refused(format!("{} exists already", path.display()))
        .help("name another file, or remove this one")
}

fn not_written(path: &Path, error: &io::Error) -> ExitError {
    let exit = match error.kind() {
        io::ErrorKind::NotFound => ExitKind::Missing,
        io::ErrorKind::PermissionDenied => ExitKind::Denied,
        _ => ExitKind::Unavailable,
    };
    let help = match error.kind() {
        io::ErrorKind::NotFound => "make its folder first",
        io::ErrorKind::PermissionDenied => "let this user write to its folder, or name another",
        _ => "is there room on that disk? Nothing was left there",
    };
    ExitError::unavailable(format!("{} is not written", path.display()))
        .with_exit(exit)
        .caused_by(error)
        .help(help)
}
