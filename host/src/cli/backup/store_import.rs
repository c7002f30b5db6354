//! Putting what a cluster kept into a store, so that no host leads on a part of it.
//!
//! Invariants:
//! - Before anything is written, no host has a session there, and nothing is kept there, or a person
//!   has asked for it to be replaced.
//! - From before the first record until what is there was compared with what should be, and fencing
//!   tokens exceed those of before, the cluster is paused. A pause of people comes back then.

use std::time::Duration;

use super::{opened_store::OpenedStore, own_notes::OwnNotes, progress::Progress};
use crate::cli::{ExitError, operator::operator};
use soloist_heart::{FencingToken, clock};
use soloist_stores::{
    BackupRecord, BackupSummary, Note, NoteTopic, OperatorOrder, Pause, StoreError,
};

/// How much longer than a TTL a session is waited for whose host has been killed.
const SLACK: Duration = Duration::from_secs(2);

/// An import into a store.
pub(super) struct StoreImport<'a> {
    to: &'a OpenedStore,
    /// What is no part of the import.
    own: OwnNotes,
    imported: BackupSummary,
    /// The pause of the whole cluster that was imported.
    pause: Option<Pause>,
    progress: Progress,
}

impl<'a> StoreImport<'a> {
    /// Whether an import into `to` can begin.
    ///
    /// # Errors
    /// Hosts are there, or something is kept there and `replace` is not set.
    pub(super) async fn check(to: &OpenedStore, replace: bool) -> Result<(), ExitError> {
        let ttl = to.config.timings.ttl;
        let within = ttl.saturating_add(ttl / 10).saturating_add(SLACK);
        let left = to.wait_for_nobody(within, async |_| Ok(true)).await?;
        if !left.is_empty() {
            let names = left.into_iter().collect::<Vec<_>>().join(", ");
            return Err(ExitError::refused(format!("hosts run on {}: {names}", to.name))
                .help("stop them first; nothing has changed"));
        }
        // A pause that an earlier attempt has left is nothing that is kept.
        let kept = to.summary(&OwnNotes::pause()).await?;
        if kept.total() > 0 && !replace {
            return Err(ExitError::refused(format!(
                "the cluster {} in {} keeps something already: {kept}",
                to.config.cluster, to.name
            ))
            .help(
                "name another store, or delete what is there with --replace; nothing has changed",
            ));
        }
        Ok(())
    }

    /// What to do after an import into `to` that has failed since it began.
    pub(super) fn help_after_failure(to: &OpenedStore) -> String {
        let name = &to.name;
        format!(
            "{name} may have a part of it, and then no host leads there: run this again with --replace"
        )
    }

    /// Begins an import: pauses the cluster and deletes what it keeps. `own` are the notes that are
    /// no part of it.
    pub(super) async fn begin(
        to: &'a OpenedStore,
        own: OwnNotes,
        total: Option<u64>,
    ) -> Result<Self, ExitError> {
        let progress = Progress::new("written");
        let progress = total.map_or_else(|| Progress::new("written"), |total| progress.of(total));
        let import = Self { to, own, imported: BackupSummary::default(), pause: None, progress };
        import.hold().await?;
        to.backup.erase().await.map_err(|error| import.failed(&error))?;
        import.hold().await?;
        Ok(import)
    }

    /// Writes records.
    pub(super) async fn take(&mut self, records: Vec<BackupRecord>) -> Result<(), ExitError> {
        let (own, mut kept) = (&self.own, records);
        if let Some(pause) = kept.iter().find_map(pause_of) {
            self.pause = Some(pause);
        }
        kept.retain(|record| !own.has(record));
        self.to.backup.import(&kept).await.map_err(|error| self.failed(&error))?;
        kept.iter().for_each(|record| self.imported.add(record));
        self.progress.show(self.imported.total());
        Ok(())
    }

    /// Leaves the cluster under `pause` at the end, or under none.
    pub(super) fn pause_as(&mut self, pause: Option<Pause>) {
        self.pause = pause;
    }

    /// Compares what is there with what was written, raises the fencing tokens above `highest`, and
    /// ends the pause. Returns what was imported.
    pub(super) async fn finish(self, highest: FencingToken) -> Result<BackupSummary, ExitError> {
        let found = self.to.summary(&self.own).await?;
        let different = self.imported.differences(&found);
        if !different.is_empty() {
            return Err(self.differs(&found));
        }
        let ttl = self.to.config.timings.ttl;
        let raised = self.to.store.raise_tokens(highest, ttl).await;
        raised.map_err(|error| self.failed(&error))?;
        let topic = NoteTopic::Pause(None);
        let released = match &self.pause {
            Some(pause) => self.to.store.write_note(&topic, &Note::Pause(pause.clone())).await,
            None => self.to.store.erase_note(&topic).await.map(drop),
        };
        released.map_err(|error| self.failed(&error))?;
        Ok(self.imported)
    }

    fn differs(&self, found: &BackupSummary) -> ExitError {
        ExitError::failed(format!("{} does not have what was written", self.to.name))
            .because_of(format!("written: {}", self.imported))
            .because_of(format!("found: {found}"))
            .help("does anybody else write to it? Stop that, and run this again with --replace")
    }

    /// Keeps hosts that are started meanwhile from leading.
    async fn hold(&self) -> Result<(), ExitError> {
        let reason = "what the cluster keeps is being written here; it is not complete".to_owned();
        let order = OperatorOrder { by: operator(), reason, since: clock::unix_ms() };
        let pause = Note::Pause(Pause { order, keep_failover: false });
        let written = self.to.store.write_note(&NoteTopic::Pause(None), &pause).await;
        written.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &StoreError) -> ExitError {
        self.to.failed("not everything is written", error)
    }
}

/// The pause of the whole cluster, if the record is that.
fn pause_of(record: &BackupRecord) -> Option<Pause> {
    let BackupRecord::Note(note) = record else { return None };
    let is_it = record.note_topic() == Some(NoteTopic::Pause(None));
    is_it.then(|| serde_json::from_slice(&note.value).ok()).flatten()
}
