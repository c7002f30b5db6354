//! Checks on records, before they reach a store: a file may have been written by anybody.

use std::slice::from_ref;

use super::record::{BackupRecord, CallRecord, CallStage, StateRecord};
use crate::{
    error::StoreError,
    note::NoteTopic,
    queued_call::{ANSWER_MAX, PAYLOAD_MAX, check_key},
    state_store::{VALUE_MAX, check_action, check_keys},
};

/// Refuses records whose names would point outside their place in the store, or that are larger
/// than soloist writes them.
pub(crate) fn check_records(records: &[BackupRecord]) -> Result<(), StoreError> {
    records.iter().try_for_each(check)
}

fn check(record: &BackupRecord) -> Result<(), StoreError> {
    match record {
        BackupRecord::State(entry) | BackupRecord::Ledger(entry) => check_state(entry),
        BackupRecord::Call(call) => check_call(call),
        BackupRecord::Note(note) => match NoteTopic::parse(&note.name).map(|it| it.name()) {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(error),
            None => Err(StoreError::refused(format!(
                "a note is called {:?}, which this soloist does not know: take the version that \
                 made the backup",
                note.name
            ))),
        },
    }
}

fn check_state(entry: &StateRecord) -> Result<(), StoreError> {
    check_action(&entry.action)?;
    check_keys(from_ref(&entry.key).iter())?;
    check_length("a value", entry.value.len(), VALUE_MAX)
}

fn check_call(call: &CallRecord) -> Result<(), StoreError> {
    check_key(&call.key())?;
    match &call.stage {
        CallStage::Waiting { payload, .. } | CallStage::Dead { payload, .. } => {
            check_length("a payload", payload.len(), PAYLOAD_MAX)
        }
        CallStage::Done { answer, .. } => check_length("an answer", answer.len(), ANSWER_MAX),
    }
}

fn check_length(what: &str, length: usize, most: usize) -> Result<(), StoreError> {
    if length <= most {
        return Ok(());
    }
    Err(StoreError::Limit(format!("{what} of {length} bytes: {most} at most")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::NoteRecord;

    #[test]
    fn what_would_point_elsewhere_or_is_too_large_is_refused() {
        let state = |action: &str, key: &str, length: usize| {
            let value = vec![0; length].into();
            BackupRecord::State(StateRecord { action: action.into(), key: key.into(), value })
        };
        let note =
            |name: &str| BackupRecord::Note(NoteRecord { name: name.into(), value: "{}".into() });
        let good = [state("web", "a/b", VALUE_MAX), note("holds/pause"), note("hosts/a")];
        check_records(&good).unwrap();
        for bad in [
            state("web/other", "k", 1),
            state("", "k", 1),
            state("web", "", 1),
            state("web", "k", VALUE_MAX + 1),
            note("members/a"),
            note("hosts/a/b"),
            note("hosts/"),
        ] {
            check_records(&[bad]).unwrap_err();
        }
    }
}
