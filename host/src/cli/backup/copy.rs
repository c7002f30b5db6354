//! `soloist store copy`.

use clap::Args;
use futures::StreamExt;

use super::{
    closed_cluster::ClosedCluster, interrupt::interruptible, opened_store::OpenedStore,
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

/// Move the cluster to another store
///
/// Hosts may run: the cluster is paused, and its hosts end their terms, finish or give back their
/// queued calls, and stop. Then everything that the cluster keeps is copied, and compared with what
/// is there. In the new store every fencing token exceeds all of before. FROM stays closed, so that
/// a host with the old settings neither joins nor leads. If anything fails, FROM is opened again,
/// and nothing is lost.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist store copy sqlite:soloist.db postgres://db.internal/soloist
  soloist store copy sqlite:soloist.db etcd://10.0.0.1:2379 --config /etc/soloist/soloist.toml")]
pub(in crate::cli) struct CopyArgs {
    /// The store that the cluster has now
    from: String,
    /// The store that it is to have
    to: String,
    /// Delete what the cluster keeps in TO first
    #[arg(long)]
    replace: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(in crate::cli) async fn copy(args: CopyArgs) -> Result<(), ExitError> {
    let open = |store: &String| {
        let store = Some(store.clone());
        let given = args.settings.overrides();
        let config = Config::load(&Overrides { store, tls_if_used: true, ..given })?;
        OpenedStore::open(config)
    };
    let (from, to) = (open(&args.from)?, open(&args.to)?);
    interruptible(check(&from, &to, args.replace)).await?;
    let mut closed = ClosedCluster::new(&from, &to.name);
    let mut begun = false;
    let moved = interruptible(move_all(&mut closed, &from, &to, &mut begun)).await;
    match moved {
        Ok((summary, highest)) => {
            report(&from, &to, &summary, highest, args.json);
            Ok(())
        }
        Err(error) => {
            let error = error.help(closed.reopen().await);
            Err(error.help(if begun {
                StoreImport::help_after_failure(&to)
            } else {
                format!("{} is as it was: run this again", to.name)
            }))
        }
    }
}

/// Whether the copy can begin.
async fn check(from: &OpenedStore, to: &OpenedStore, replace: bool) -> Result<(), ExitError> {
    let failed = |of: &OpenedStore, error| of.failed("nothing is copied", &error);
    let source = from.backup.export().await.map_err(|error| failed(from, error))?.identity;
    let target = to.backup.export().await.map_err(|error| failed(to, error))?.identity;
    if source.is_some() && source == target {
        return Err(ExitError::usage(format!("{} and {} are the same store", from.name, to.name))
            .help("name two stores; nothing has changed"));
    }
    StoreImport::check(to, replace).await
}

/// Closes FROM and copies it. `begun` is set when TO is no longer as it was.
async fn move_all(
    closed: &mut ClosedCluster<'_>,
    from: &OpenedStore,
    to: &OpenedStore,
    begun: &mut bool,
) -> Result<(BackupSummary, FencingToken), ExitError> {
    remark(&format!("the cluster in {} ends its work; nobody leads until it has moved", from.name));
    closed.close().await?;
    let failed = |error| from.failed("nothing can be read any more", &error);
    let own = closed.notes();
    let mut export = from.backup.export().await.map_err(failed)?;
    *begun = true;
    let mut import = StoreImport::begin(to, own.clone(), None).await?;
    let mut expected = BackupSummary::default();
    while let Some(batch) = export.records.next().await {
        let mut batch = batch.map_err(failed)?;
        batch.retain(|record| !own.has(record));
        batch.iter().for_each(|record| expected.add(record));
        import.take(batch).await?;
    }
    must_be_unchanged(from, &own, &expected).await?;
    import.pause_as(closed.paused_before().cloned());
    let summary = import.finish(export.highest_token).await?;
    Ok((summary, export.highest_token))
}

/// Whether FROM still has what was read from it. Answers may expire meanwhile.
async fn must_be_unchanged(
    from: &OpenedStore,
    own: &OwnNotes,
    expected: &BackupSummary,
) -> Result<(), ExitError> {
    let now = from.summary(own).await?;
    let mut different = expected.differences(&now);
    different.retain(|kind| kind.is_lasting());
    if different.is_empty() {
        return Ok(());
    }
    Err(ExitError::failed(format!("something was written to {} while it was copied", from.name))
        .because_of(format!("copied: {expected}"))
        .because_of(format!("there now: {now}"))
        .help("stop whatever still uses it"))
}

fn report(
    from: &OpenedStore,
    to: &OpenedStore,
    summary: &BackupSummary,
    highest: FencingToken,
    json: bool,
) {
    let (source, target) = (&from.name, &to.name);
    if json {
        return BackupReport {
            cluster: &to.config.cluster,
            from: source.clone(),
            to: target.clone(),
            highest_token: highest.0,
            records: summary.counts(),
            digest: summary.digest(),
        }
        .say_json();
    }
    say(&format!(
        "{target}: {summary}, compared and the same; fencing tokens exceed {highest} from now on\n\n\
         Write this into soloist.toml on every host, with user and password if TO had any, and \
         start the hosts:\n\n    store = \"{target}\"\n\n\
         {source} stays closed: nobody joins or leads there. To go back, before or after hosts \
         have run on the new store: soloist store copy TO FROM --replace\n"
    ));
}
