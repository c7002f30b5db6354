//! `soloist run`: one host.

use std::{error::Error, panic, path::PathBuf, process};

use clap::{Args, builder::FalseyValueParser};

use super::{
    ExitError,
    logging::{self, LogFormat},
    signals::Signals,
};
use crate::{
    config::{Config, Overrides},
    host::{self, Fault},
};

/// Run a host: stand by, and perform while it leads
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The settings file [default: soloist.toml, if there is one]
    #[arg(long, env = "SOLOIST_CONFIG", value_name = "FILE", hide_env_values = true)]
    config: Option<PathBuf>,
    /// This host's name in the cluster [default: the machine's name]
    #[arg(long, env = "SOLOIST_NAME", hide_env_values = true)]
    name: Option<String>,
    /// The store: sqlite:FILE or etcd://HOST:PORT,… [default: sqlite:soloist.db]
    // The value may hold a password, which help must not show.
    #[arg(long, env = "SOLOIST_STORE", value_name = "URL", hide_env_values = true)]
    store: Option<String>,
    /// The folder of the plugins [default: plugins]
    #[arg(long, env = "SOLOIST_PLUGINS", value_name = "DIR", hide_env_values = true)]
    plugins: Option<String>,
    /// The address of the control API [default: 127.0.0.1:4000]
    #[arg(long, env = "SOLOIST_LISTEN", value_name = "ADDR", hide_env_values = true)]
    listen: Option<String>,
    /// Where other hosts reach the control API [default: http://ADDR, with
    /// the machine's name where ADDR stands for every address]
    #[arg(long, env = "SOLOIST_ADVERTISE", value_name = "URL", hide_env_values = true)]
    advertise: Option<String>,
    /// What to log: error, warn, info, debug, trace, or as in `info,soloist=debug`
    #[arg(
        long,
        env = "SOLOIST_LOG",
        value_name = "FILTER",
        default_value = "info",
        hide_env_values = true
    )]
    log: String,
    /// How the log looks
    #[arg(long, env = "SOLOIST_LOG_FORMAT", value_enum, default_value_t, hide_env_values = true)]
    log_format: LogFormat,
    /// Stop when stdin ends
    #[arg(long, env = "SOLOIST_EXIT_WITH_PARENT", hide = true, value_parser = FalseyValueParser::new())]
    exit_with_parent: bool,
}

impl RunArgs {
    fn overrides(&self) -> Overrides {
        Overrides {
            config: self.config.clone(),
            name: self.name.clone(),
            store: self.store.clone(),
            plugins: self.plugins.clone(),
            listen: self.listen.clone(),
            advertise: self.advertise.clone(),
        }
    }
}

/// Runs a host until it is told to stop.
pub(super) async fn main(args: RunArgs) -> Result<(), ExitError> {
    let _log = logging::start(args.log_format, &args.log)?;
    abort_on_panic();
    let config = Config::load(&args.overrides())?;
    let (shutdown, _second) = Signals::listen(args.exit_with_parent)?.split();
    run(config, shutdown).await
}

/// Lets a panic anywhere end the process. It is a fault of soloist's, after which
/// nothing here can be trusted to end a term; the lease runs out, and another host performs.
fn abort_on_panic() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        report(info);
        process::abort();
    }));
}

/// Runs the host that `config` describes until `shutdown`, which says why.
async fn run(
    config: Config,
    shutdown: impl Future<Output = &'static str>,
) -> Result<(), ExitError> {
    host::run(config, shutdown).await.map_err(|error| {
        let refusal = match error.fault() {
            Fault::Configuration => ExitError::usage(&error),
            Fault::Unavailable => ExitError::unavailable(&error),
            Fault::Internal => ExitError::failed(&error),
        };
        match error.source() {
            Some(cause) => refusal.caused_by(cause),
            None => refusal,
        }
    })
}
