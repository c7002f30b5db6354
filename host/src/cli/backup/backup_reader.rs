//! Reading a backup file: once as a whole, to know that it is what was written, and then record by
//! record.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::{
    backup_file::{BackupHeader, FORMAT, FormatMark, LINE_MAX, TRAILER_START, Trailer},
    own_notes::OwnNotes,
};
use crate::cli::ExitError;
use soloist_stores::{BackupRecord, BackupSummary};
use soloist_text::hex;

/// How many records are read at once.
const BATCH: usize = 64;

/// A backup file that was found whole and unchanged.
pub(super) struct CheckedBackup {
    path: PathBuf,
    pub(super) header: BackupHeader,
    /// What is in it, without the notes that a restore itself writes.
    pub(super) summary: BackupSummary,
}

impl CheckedBackup {
    /// Reads the file at `path` to its end.
    pub(super) fn check(path: &Path, own: &OwnNotes) -> Result<Self, ExitError> {
        let mut lines = BackupLines::open(path)?;
        let header = lines.header()?;
        let mut summary = BackupSummary::default();
        while let Some(record) = lines.record()? {
            if !own.has(&record) {
                summary.add(&record);
            }
        }
        Ok(Self { path: path.to_owned(), header, summary })
    }

    /// The file's name, for people.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Its records, from the beginning.
    pub(super) fn records(&self) -> Result<BackupRecords, ExitError> {
        let mut lines = BackupLines::open(&self.path)?;
        lines.header()?;
        Ok(BackupRecords(lines))
    }
}

/// The records of a file, in batches.
pub(super) struct BackupRecords(BackupLines);

impl BackupRecords {
    /// The next records; none after the last one.
    pub(super) fn next(&mut self) -> Result<Vec<BackupRecord>, ExitError> {
        let mut batch = Vec::new();
        while batch.len() < BATCH
            && let Some(record) = self.0.record()?
        {
            batch.push(record);
        }
        Ok(batch)
    }
}

/// The lines of a file.
struct BackupLines {
    path: PathBuf,
    from: BufReader<File>,
    sha256: Sha256,
    records: u64,
    number: u64,
    ended: bool,
}

impl BackupLines {
    fn open(path: &Path) -> Result<Self, ExitError> {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let (from, sha256) = (BufReader::new(file), Sha256::new());
        Ok(Self { path: path.to_owned(), from, sha256, records: 0, number: 0, ended: false })
    }

    fn header(&mut self) -> Result<BackupHeader, ExitError> {
        let line = self.line()?.unwrap_or_default();
        let file = self.path.display();
        let Ok(FormatMark { soloist_backup }) = serde_json::from_slice(&line) else {
            return Err(ExitError::data(format!("{file} is no backup of soloist"))
                .help("name a file that `soloist backup` has written"));
        };
        if soloist_backup > FORMAT {
            return Err(ExitError::data(format!(
                "{file} was written by a newer soloist (format {soloist_backup}, this one knows \
                 {FORMAT})"
            ))
            .help("restore it with that version, or a later one"));
        }
        self.sha256.update(&line);
        self.parse(&line)
    }

    /// The next record; `None` after the last one, when the end of the file has confirmed all of it.
    fn record(&mut self) -> Result<Option<BackupRecord>, ExitError> {
        if self.ended {
            return Ok(None);
        }
        let line = self.line()?.ok_or_else(|| self.broken("its end is missing"))?;
        if line.starts_with(TRAILER_START.as_bytes()) {
            self.end(&line)?;
            return Ok(None);
        }
        self.sha256.update(&line);
        self.records += 1;
        self.parse(&line).map(Some)
    }

    fn end(&mut self, line: &[u8]) -> Result<(), ExitError> {
        let Trailer { end } = self.parse(line)?;
        if end.records != self.records {
            let problem = format!("it has {} records instead of {}", self.records, end.records);
            return Err(self.broken(&problem));
        }
        if hex(&self.sha256.clone().finalize()) != end.sha256 {
            return Err(self.broken("its content is not what was written (SHA-256)"));
        }
        if self.line()?.is_some() {
            return Err(self.broken("something follows its end"));
        }
        self.ended = true;
        Ok(())
    }

    /// The next line with its end; `None` at the end of the file. A line that is cut off is part of
    /// the line that is missing.
    fn line(&mut self) -> Result<Option<Vec<u8>>, ExitError> {
        self.number += 1;
        let mut line = Vec::new();
        let read = self.from.by_ref().take(LINE_MAX).read_until(b'\n', &mut line);
        read.map_err(|error| unreadable(&self.path, &error))?;
        match line.last() {
            None => Ok(None),
            Some(b'\n') => Ok(Some(line)),
            Some(_) if self.number == 1 => Ok(Some(line)),
            Some(_) => Err(self.broken("it breaks off within a line, or a line is too long")),
        }
    }

    fn parse<T: DeserializeOwned>(&self, line: &[u8]) -> Result<T, ExitError> {
        serde_json::from_slice(line).map_err(|error| {
            self.broken(&format!("line {} cannot be understood", self.number)).caused_by(&error)
        })
    }

    fn broken(&self, problem: &str) -> ExitError {
        ExitError::data(format!("{} is damaged: {problem}", self.path.display()))
            .help("take another copy of this backup, or another backup; nothing of it was used")
    }
}

fn unreadable(path: &Path, error: &io::Error) -> ExitError {
    ExitError::of_file(format!("cannot read {}", path.display()), error)
        .help("name a file that `soloist backup` has written, and that this user may read")
}

#[cfg(test)]
mod tests;
