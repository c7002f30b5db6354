//! `soloist run`: runs one host.

use std::{
    env,
    ffi::OsString,
    panic,
    process::{self, ExitCode},
};

use clap::{Args, builder::FalseyValueParser};
use tokio::runtime::Builder;

use super::{
    ExitError, ExitKind,
    logging::{self, LogFormat},
    orphans,
    runtime::{in_runtime, runtime},
    settings_args::SettingsArgs,
    signals::{self, Signals},
};
use crate::{
    host::{self, ErrorCategory},
    supervisor::{HostExit, Supervisor, SupervisorError, SupervisorLink},
};
use soloist_config::Config;
use soloist_heart::FencingToken;
use soloist_leadership::SessionObserver;
use soloist_resources::descriptors;

/// Run a host: it stands by, and runs its actions while it leads
///
/// A small supervisor process starts the host, gives its leadership back at once if it crashes, and
/// starts it again. SIGTERM hands over and stops; a second one stops at once.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist run
  soloist run --config /etc/soloist/soloist.toml --log-format json
  soloist run --name a --store etcd://10.0.0.1:2379,10.0.0.2:2379 --listen 10.0.0.11:4000")]
pub(super) struct RunArgs {
    /// The least level to log: error, warn, info, debug or trace; or as in info,soloist=debug
    #[arg(
        long,
        env = "SOLOIST_LOG",
        value_name = "FILTER",
        default_value = "info",
        hide_env_values = true
    )]
    log: String,
    /// The format of the log
    #[arg(long, env = "SOLOIST_LOG_FORMAT", value_enum, default_value_t, hide_env_values = true)]
    log_format: LogFormat,
    /// Run without the supervisor process, as under a service manager that restarts the host
    #[arg(long, env = "SOLOIST_NO_SUPERVISOR", hide_env_values = true, value_parser = FalseyValueParser::new())]
    no_supervisor: bool,
    /// The supervisor's process: this is the host that it runs
    #[arg(long, hide = true, value_name = "PID")]
    supervised: Option<i32>,
    /// The store's fencing tokens are to exceed this one, as an earlier run of this host has found
    #[arg(long, hide = true, value_name = "TOKEN")]
    raise_above: Option<i64>,
    /// Stop when stdin ends
    #[arg(long, env = "SOLOIST_EXIT_WITH_PARENT", hide = true, value_parser = FalseyValueParser::new())]
    exit_with_parent: bool,
    // Last: its heading would also stand above what follows.
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Runs a host until it is asked to stop: as a child of this process, or within it.
pub(super) fn main(args: RunArgs) -> Result<ExitCode, ExitError> {
    let tie = |supervisor| link_to_supervisor(supervisor, args.raise_above);
    let link = args.supervised.map(tie).transpose()?;
    let _log = logging::start(args.log_format, &args.log, None)?;
    descriptors::check_limit().map_err(ExitError::unavailable)?;
    match link {
        Some(link) => in_runtime(run_in_process(args, Box::new(link))),
        None if args.no_supervisor => in_runtime(run_in_process(args, Box::new(()))),
        // On a single thread, this one: the host ends together with the thread that started it.
        None => runtime(&mut Builder::new_current_thread())?.block_on(supervise(args)),
    }
}

fn link_to_supervisor(
    supervisor: i32,
    raise_above: Option<i64>,
) -> Result<SupervisorLink, ExitError> {
    let failed = |error| ExitError::internal("cannot run under a supervisor", &error);
    SupervisorLink::attach(supervisor, raise_above.map(FencingToken)).map_err(failed)
}

/// Runs the host as a child of this process.
async fn supervise(args: RunArgs) -> Result<ExitCode, ExitError> {
    let failed = |error: SupervisorError| match error {
        SupervisorError::Config(error) => error.into(),
        error => ExitError::unavailable(&error).with_causes_of(&error),
    };
    let (requests, _relay) = signals::relay(args.exit_with_parent)?;
    let _orphans = orphans::reap_orphans()?;
    let overrides = args.settings.overrides();
    let supervisor = Supervisor {
        // By its current path: after an upgrade, a restart runs the new version.
        program: env::current_exe().map_err(|error| failed(error.into()))?,
        arguments: host_arguments,
        load: || Config::load(&overrides),
        requests,
    };
    Ok(match supervisor.run().await.map_err(failed)? {
        HostExit::Exited(code) => u8::try_from(code).unwrap_or(ExitKind::Internal as u8).into(),
        // The exit code that a shell would report.
        HostExit::Killed(signal) => {
            u8::try_from(128 + signal).unwrap_or(ExitKind::Internal as u8).into()
        }
        HostExit::Forced => ExitKind::Interrupted.into(),
    })
}

/// The arguments of this process, adapted for the host that it supervises.
fn host_arguments(raise_above: Option<FencingToken>) -> Vec<OsString> {
    let mut arguments: Vec<_> = env::args_os().skip(1).collect();
    let supervised = format!("--supervised={}", process::id()).into();
    let raise = raise_above.map(|above| format!("--raise-above={above}").into());
    // Directly after the subcommand, since there may be a `--` later.
    let after = arguments.len().min(1);
    arguments.splice(after..after, [supervised].into_iter().chain(raise));
    arguments
}

/// Runs the host in this process.
async fn run_in_process(
    args: RunArgs,
    observer: Box<dyn SessionObserver>,
) -> Result<(), ExitError> {
    abort_on_panic();
    let config = Config::load(&args.settings.overrides())?;
    // A supervisor holds the other end of stdin.
    let parent = args.exit_with_parent || args.supervised.is_some();
    let (shutdown, _second) = Signals::listen(parent)?.split();
    let _orphans = orphans::reap_orphans()?;
    run(config, observer, shutdown).await
}

/// Makes any panic end the process. A panic is a bug in soloist, after which nothing here can be
/// trusted to end a term properly. The lease expires, and another host takes over.
pub(super) fn abort_on_panic() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        report(info);
        process::abort();
    }));
}

/// Runs the host with `config` until `shutdown`, which gives the reason.
pub(super) async fn run(
    config: Config,
    observer: Box<dyn SessionObserver>,
    shutdown: impl Future<Output = &'static str>,
) -> Result<(), ExitError> {
    host::run(config, observer, shutdown).await.map_err(|error| {
        let refusal = match error.category() {
            ErrorCategory::Configuration => ExitError::config(&error),
            ErrorCategory::Plugin => ExitError::data(&error),
            ErrorCategory::Unavailable => ExitError::unavailable(&error),
            ErrorCategory::Internal => ExitError::broken(&error),
        };
        refusal.with_causes_of(&error)
    })
}
