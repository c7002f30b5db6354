use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use serde_json::json;
use soloist_stores::{BackupKind, NoteRecord, StateRecord};

use super::*;
use crate::cli::backup::backup_writer::BackupWriter;

fn records() -> Vec<BackupRecord> {
    let state = |i: u32| {
        let (action, key) = ("web".to_owned(), format!("key \u{0} {i}"));
        let value = i.to_be_bytes().to_vec().into();
        BackupRecord::State(StateRecord { action, key, value })
    };
    let note =
        |name: &str| BackupRecord::Note(NoteRecord { name: name.into(), value: "{}".into() });
    (0..200).map(state).chain([note("holds/drain/a"), note("holds/pause")]).collect()
}

fn header(format: u32) -> BackupHeader {
    let header = json!({
        "soloist_backup": format, "cluster": "demo", "program": "0.1.0", "time": "then",
        "store": "etcd", "identity": "x", "highest_token": 42
    });
    serde_json::from_value(header).unwrap()
}

/// A backup in a folder of its own.
fn written(format: u32) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.backup");
    let mut writer = BackupWriter::create(&path).unwrap();
    writer.header(&header(format)).unwrap();
    let mut summary = BackupSummary::default();
    for record in records() {
        writer.record(&record).unwrap();
        summary.add(&record);
    }
    assert!(!path.exists(), "it has its name before it is whole");
    writer.finish(&summary).unwrap();
    (folder, path)
}

fn check(path: &Path) -> Result<CheckedBackup, ExitError> {
    CheckedBackup::check(path, &OwnNotes::pause())
}

#[test]
fn what_is_written_is_read() {
    let (folder, path) = written(FORMAT);
    let checked = check(&path).unwrap();
    assert_eq!((checked.header.highest_token, &*checked.header.cluster), (42, "demo"));
    assert_eq!(checked.summary.count(BackupKind::State), 200);
    assert_eq!(checked.summary.count(BackupKind::Note), 1, "the pause is no part of it");
    let (mut batches, mut read) = (checked.records().unwrap(), Vec::new());
    loop {
        let batch = batches.next().unwrap();
        if batch.is_empty() {
            break;
        }
        read.extend(batch);
    }
    assert_eq!(read, records());
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something is left beside it");
}

#[test]
fn a_file_that_is_there_is_not_overwritten() {
    let (_folder, path) = written(FORMAT);
    let error = BackupWriter::create(&path).map(drop).unwrap_err().to_string();
    assert!(error.contains("exists already"), "{error}");
}

#[test]
fn one_that_was_given_up_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = BackupWriter::create(&folder.path().join("x")).unwrap();
    writer.header(&header(FORMAT)).unwrap();
    drop(writer);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_file_that_was_cut_off_anywhere_is_refused() {
    let (_folder, path) = written(FORMAT);
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let error = check(&path).map(drop).unwrap_err().to_string();
        assert!(error.contains("is damaged") || error.contains("is no backup"), "{error}");
    }
}

#[test]
fn a_file_with_any_byte_changed_is_refused() {
    let (_folder, path) = written(FORMAT);
    let mut bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(check(&path).is_err(), "byte {at} does not matter");
        bytes[at] ^= 1;
    }
    bytes.extend(b"more\n");
    fs::write(&path, &bytes).unwrap();
    assert!(check(&path).map(drop).unwrap_err().to_string().contains("something follows"));
}

#[test]
fn one_of_a_newer_format_and_what_is_none_are_told_apart() {
    let (_folder, path) = written(FORMAT + 1);
    let error = check(&path).map(drop).unwrap_err().to_string();
    assert!(error.contains("by a newer soloist (format 2, this one knows 1)"), "{error}");
    assert!(error.contains("help: restore it with that version"), "{error}");
    for other in ["", "SQLite format 3\0", "{}\n", "[]"] {
        fs::write(&path, other).unwrap();
        let error = check(&path).map(drop).unwrap_err().to_string();
        assert!(error.contains("is no backup of soloist"), "{error}");
    }
    let error = check(Path::new("/nonexistent/x")).map(drop).unwrap_err();
    assert!(error.is_missing(), "{error}");
}
