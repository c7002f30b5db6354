//! `soloist backup`, `soloist restore` and `soloist store copy`: what a cluster keeps, from a store to
//! a file and back, or from store to store. They need no running host.

mod backup_file;
mod backup_reader;
mod backup_writer;
mod closed_cluster;
mod copy;
mod interrupt;
mod opened_store;
mod own_notes;
mod progress;
mod report;
mod restore;
mod store_import;

use std::path::PathBuf;

use clap::Args;
use futures::StreamExt;

use self::{
    backup_file::BackupHeader, backup_writer::BackupWriter, interrupt::interruptible,
    opened_store::OpenedStore, progress::Progress, report::BackupReport,
};
pub(super) use self::{
    copy::{CopyArgs, copy},
    restore::{RestoreArgs, restore},
};
use super::{
    ExitError,
    settings_args::SettingsArgs,
    terminal::{sanitize, say},
};
use soloist_config::Config;
use soloist_stores::{BackupExport, BackupSummary};

/// Write all that the cluster keeps into a file
///
/// That is: state, what hosts have recorded about jobs, queued calls, dead letters, answers, and
/// notes such as drains. It is of one moment, and hosts may run meanwhile. Leases, members and
/// leaderships belong to living hosts and are in no backup; nor are plugins and settings, which are
/// files. The file can be restored into any store.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist backup soloist-2026-12-01.backup
  soloist backup /backups/soloist.backup --config /etc/soloist/soloist.toml")]
pub(super) struct BackupArgs {
    /// The file, which must not exist. Only this user can read it: it holds the actions' state
    file: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(super) async fn backup(args: BackupArgs) -> Result<(), ExitError> {
    let from = OpenedStore::open(Config::load(&args.settings.overrides())?)?;
    let mut writer = BackupWriter::create(&args.file)?;
    let (header, summary) = interruptible(write(&from, &mut writer)).await?;
    writer.finish(&summary)?;
    let (file, token) = (args.file.display(), header.highest_token);
    if args.json {
        BackupReport {
            cluster: &header.cluster,
            from: from.name.clone(),
            to: file.to_string(),
            highest_token: token,
            records: summary.counts(),
            digest: summary.digest(),
        }
        .say_json();
        return Ok(());
    }
    let cluster = sanitize(&header.cluster);
    say(&format!(
        "{file}: {summary}, of the cluster {cluster} in {}; the highest fencing token was {token}\n",
        from.name
    ));
    Ok(())
}

/// Writes everything but the end of the file.
async fn write(
    from: &OpenedStore,
    writer: &mut BackupWriter,
) -> Result<(BackupHeader, BackupSummary), ExitError> {
    let failed = |error| from.failed("nothing is backed up", &error);
    let BackupExport { identity, highest_token, mut records } =
        from.backup.export().await.map_err(failed)?;
    let header = BackupHeader::new(&from.config, identity, highest_token);
    writer.header(&header)?;
    let (mut summary, mut progress) = (BackupSummary::default(), Progress::new("backed up"));
    while let Some(batch) = records.next().await {
        for record in batch.map_err(failed)? {
            writer.record(&record)?;
            summary.add(&record);
        }
        progress.show(summary.total());
    }
    Ok((header, summary))
}
