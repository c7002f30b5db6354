//! A store that a command works on, as the settings or the command line name it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::StreamExt;
use tokio::time::timeout;

use super::own_notes::OwnNotes;
use crate::cli::ExitError;
use soloist_config::Config;
use soloist_stores::{
    self as stores, BackupStore, BackupSummary, Roster, RosterStream, Store, StoreError,
};

/// How long a call may take at least: a batch is larger than what hosts write at once, and no lease
/// depends on it here.
const CALL: Duration = Duration::from_secs(10);

/// A store, and what a cluster keeps there.
pub(super) struct OpenedStore {
    pub(super) config: Config,
    /// Its address, without secrets.
    pub(super) name: String,
    pub(super) store: Arc<dyn Store>,
    pub(super) backup: Arc<dyn BackupStore>,
}

impl OpenedStore {
    /// The store of `config`. Nothing is connected yet.
    pub(super) fn open(config: Config) -> Result<Self, ExitError> {
        let (name, within) = (config.store.to_string(), config.timings.request_timeout.max(CALL));
        let failed = |error: StoreError| {
            ExitError::unavailable(format!("{name} cannot be used")).caused_by(&error)
        };
        let store = stores::open(&config.store, &config.cluster, within).map_err(failed)?;
        let backup = store.backup().map_err(failed)?;
        Ok(Self { config, name, store, backup })
    }

    /// The error after a call to the store has failed; `problem` says what follows from that.
    pub(super) fn failed(&self, problem: &str, error: &StoreError) -> ExitError {
        ExitError::unavailable(format!("{problem}: {}", self.name)).caused_by(error)
    }

    /// What it keeps now, without the notes in `own`.
    pub(super) async fn summary(&self, own: &OwnNotes) -> Result<BackupSummary, ExitError> {
        let failed = |error| self.failed("what is kept cannot be read", &error);
        let (mut export, mut summary) =
            (self.backup.export().await.map_err(failed)?, BackupSummary::default());
        while let Some(batch) = export.records.next().await {
            for record in batch.map_err(failed)? {
                if !own.has(&record) {
                    summary.add(&record);
                }
            }
        }
        Ok(summary)
    }

    /// The cluster, now and after each change.
    pub(super) async fn rosters(&self) -> Result<RosterStream, ExitError> {
        let failed = |error| self.failed("the cluster cannot be watched", &error);
        self.store.watch().await.map_err(failed)
    }

    /// Waits until no host has a session any more, for `within` at most. `settled` is given every
    /// roster on the way, and says whether there is nothing to do about it but wait. Returns the
    /// hosts that are left.
    pub(super) async fn wait_for_nobody(
        &self,
        within: Duration,
        mut settled: impl AsyncFnMut(&Roster) -> Result<bool, ExitError>,
    ) -> Result<BTreeSet<String>, ExitError> {
        let failed = |error| self.failed("the cluster cannot be watched", &error);
        // Where no clock of the store ends leases, those who have a session do.
        let lease = self.store.grant(self.config.timings.ttl).await.map_err(failed)?.id;
        let mut rosters = self.rosters().await?;
        let mut left = BTreeSet::new();
        let wait = async {
            while let Some(roster) = rosters.next().await {
                let roster = roster.map_err(failed)?;
                left = hosts(&roster);
                if settled(&roster).await? && left.is_empty() {
                    break;
                }
            }
            Ok::<(), ExitError>(())
        };
        let waited = timeout(within, wait).await;
        // It ends by itself if this does not reach the store.
        drop(self.store.revoke(lease).await);
        waited.unwrap_or(Ok(()))?;
        Ok(left)
    }
}

/// The hosts that have a session, by name.
fn hosts(roster: &Roster) -> BTreeSet<String> {
    let members = roster.members.iter().map(|(_, member)| member.name.clone());
    let standing = roster.groups.values().flatten().map(|queued| queued.candidate.host.clone());
    members.chain(standing).collect()
}
