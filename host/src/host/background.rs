//! The background tasks of a host, which run outside of its terms until the host has stopped.

use futures::FutureExt;
use tokio::{runtime, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    context::{ContextFeeds, HostContext},
    member::publish_member,
};
use crate::action::{Catalog, TaskOffers};
use soloist_leadership::{DriverHandle, Election, ElectionSpec, Strategist};

/// Owns the background tasks.
#[derive(Default)]
pub(super) struct BackgroundTasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl BackgroundTasks {
    /// Starts a task that ends by itself when the fencing token is cancelled.
    pub(super) fn spawn<F>(&self, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(task(self.stop.clone()));
    }

    /// Starts a task on the runtime `on` that ends by itself when the fencing token is cancelled.
    pub(super) fn spawn_on<F>(
        &self,
        on: &runtime::Handle,
        task: impl FnOnce(CancellationToken) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn_on(task(self.stop.clone()), on);
    }

    /// Starts a task that is dropped when the host stops.
    pub(super) fn spawn_until_stop(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn(|stop| stop.run_until_cancelled_owned(task).map(drop));
    }

    /// Starts to take part in the elections, on the runtime of their `thread`.
    pub(super) fn start_election(
        &self,
        election: Election,
        spec: ElectionSpec,
        thread: &runtime::Handle,
    ) -> DriverHandle {
        election.start(spec, thread, &self.tracker, self.stop.clone())
    }

    /// Starts the tasks that keep what the context holds current. Those that follow the store run
    /// on the runtime `election`.
    pub(super) fn start_feeds(
        &self,
        context: &HostContext,
        feeds: ContextFeeds,
        driver: &DriverHandle,
        offers: watch::Receiver<TaskOffers>,
        election: &runtime::Handle,
    ) {
        let ContextFeeds { member, rehearsed, gaps, address_warnings, clock_watch, compared } =
            feeds;
        let rehearsal = context.rehearsal(driver.view());
        self.spawn_on(election, |stop| rehearsal.run(rehearsed, stop));
        self.spawn_until_stop(publish_member(member, context.health.report(), offers));
        let gap_watch = context.gap_watch(driver.view());
        self.spawn(|stop| gap_watch.run(gaps, stop));
        let address_watch = context.address_watch();
        self.spawn(|stop| address_watch.run(address_warnings, stop));
        self.spawn(|stop| clock_watch.run(stop));
        let clock_comparer = context.clock_comparer(compared);
        self.spawn(|stop| clock_comparer.run(stop));
    }

    /// Starts the tasks that act on what the context holds.
    pub(super) fn start_services(
        &self,
        context: &HostContext,
        driver: &DriverHandle,
        strategist: Strategist,
        catalog: Catalog,
    ) {
        self.spawn(|stop| strategist.run(stop));
        let readiness = context.readiness_watch(driver);
        self.spawn(|stop| readiness.run(stop));
        let registrar = context.registrar();
        self.spawn(|stop| registrar.run(stop));
        let standby = context.standby_notifier();
        self.spawn(|stop| standby.run(stop));
        self.spawn(|stop| catalog.follow_folder(stop));
        let measurements = context.measurements.clone();
        self.spawn(|stop| async move { measurements.run_upkeep(stop).await });
    }

    /// Ends all tasks, and returns when they have ended.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}
