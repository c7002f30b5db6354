//! `soloist restore`.

use std::path::PathBuf;

use clap::Args;

use super::{
    backup_reader::CheckedBackup, interrupt::interruptible, opened_store::OpenedStore,
    own_notes::OwnNotes, report::BackupReport, store_import::StoreImport,
};
use crate::cli::{
    ExitError,
    settings_args::SettingsArgs,
    terminal::{remark, say},
};
use soloist_config::{Config, Overrides};
use soloist_heart::FencingToken;
use soloist_stores::BackupSummary;

/// Put what a backup file has into the store
///
/// The whole file is checked first. The cluster must have no running hosts, and must keep nothing
/// yet, unless --replace deletes that. Every later fencing token exceeds all that were given out
/// before the backup was made. Nobody leads before all of it is done.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist restore soloist-2026-12-01.backup
  soloist restore soloist-2026-12-01.backup --into postgres://db.internal/soloist
  soloist restore soloist-2026-12-01.backup --replace")]
pub(in crate::cli) struct RestoreArgs {
    /// The file that `soloist backup` has written
    file: PathBuf,
    /// The store [default: that of the settings]
    #[arg(long, value_name = "STORE")]
    into: Option<String>,
    /// Delete what the cluster keeps there first
    #[arg(long)]
    replace: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(in crate::cli) async fn restore(args: RestoreArgs) -> Result<(), ExitError> {
    let given = args.settings.overrides();
    let config = match args.into {
        Some(store) => Config::load(&Overrides { store: Some(store), tls_if_used: true, ..given })?,
        None => Config::load(&given)?,
    };
    let file = CheckedBackup::check(&args.file, &OwnNotes::pause())?;
    let to = OpenedStore::open(config)?;
    let (cluster, of) = (&to.config.cluster, &file.header.cluster);
    if cluster != of {
        remark(&format!("the backup is of the cluster {of}, and becomes the cluster {cluster}"));
    }
    interruptible(StoreImport::check(&to, args.replace)).await?;
    let restored = interruptible(write(&file, &to)).await;
    let restored = restored.map_err(|error| error.help(StoreImport::help_after_failure(&to)))?;
    report(&file, &to, &restored, args.json);
    Ok(())
}

async fn write(file: &CheckedBackup, to: &OpenedStore) -> Result<BackupSummary, ExitError> {
    let total = Some(file.summary.total());
    let mut import = StoreImport::begin(to, OwnNotes::pause(), total).await?;
    let mut records = file.records()?;
    loop {
        let batch = records.next()?;
        if batch.is_empty() {
            break;
        }
        import.take(batch).await?;
    }
    import.finish(FencingToken(file.header.highest_token)).await
}

fn report(file: &CheckedBackup, to: &OpenedStore, restored: &BackupSummary, json: bool) {
    let (token, name) = (file.header.highest_token, file.name());
    if json {
        return BackupReport {
            cluster: &to.config.cluster,
            from: name,
            to: to.name.clone(),
            highest_token: token,
            records: restored.counts(),
            digest: restored.digest(),
        }
        .say_json();
    }
    say(&format!(
        "{}: {restored}, as of {}; fencing tokens exceed {token} from now on\n",
        to.name, file.header.time
    ));
}
