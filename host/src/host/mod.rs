//! A host: puts all parts of the program together, from its configuration to its end.
//!
//! Start: the control API listens, plugins are compiled, the store is opened (`prepared`); then
//! everything that a host consists of is started (`running`). Stop: the terms end and the session
//! is given back, while the control API still serves.

mod background;
mod context;
mod error;
mod member;
mod parts;
mod prepared;
mod running;
mod service_notifier;
mod status;
mod task_service;
mod usage_hints;

use std::{pin::pin, sync::Arc};

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::info;

pub use error::{ErrorCategory, HostError};

use self::{prepared::PreparedHost, running::RunningHost, service_notifier::ServiceNotifier};
use soloist_config::Config;
use soloist_leadership::{ElectionThread, SessionObserver};
use soloist_trace::TraceExporter;

/// Runs a host until `shutdown` says why it should stop, and returns when it has stopped.
/// `observer` is notified of its sessions in the store.
///
/// # Errors
/// The host could not start. Once it has started, it goes on until it is asked to stop.
pub async fn run(
    config: Config,
    observer: Box<dyn SessionObserver>,
    shutdown: impl Future<Output = &'static str>,
) -> Result<(), HostError> {
    let config = Arc::new(config);
    let notifier = ServiceNotifier::of_environment();
    let (watchdog, stopped) = (TaskTracker::new(), CancellationToken::new());
    // From the beginning: compiling takes long, and the service manager watches that as well.
    watchdog.spawn(notifier.clone().run_watchdog(stopped.clone()));
    let _stopped = stopped.clone().drop_guard();
    let exporter = (config.traces.as_ref())
        .map(|traces| TraceExporter::start(traces, &config.cluster, &config.host.name))
        .transpose()
        .map_err(HostError::Traces)?;
    let thread = ElectionThread::start().map_err(HostError::System)?;
    notifier.watch_election(thread.handle());
    let mut shutdown = pin!(shutdown);
    tokio::select! {
        prepared = PreparedHost::of(&config, thread.handle()) => {
            let host = RunningHost::start(&config, &thread, prepared?, observer)?;
            notifier.ready();
            host.run(&notifier, shutdown).await;
        }
        reason = &mut shutdown => {
            info!(event = "shutdown", reason, "stopping before the start was complete: {reason}");
            notifier.stopping();
        }
    }
    if let Some(exporter) = exporter {
        exporter.stop().await;
    }
    stopped.cancel();
    watchdog.close();
    watchdog.wait().await;
    thread.stop();
    info!(event = "goodbye", "stopped");
    Ok(())
}
