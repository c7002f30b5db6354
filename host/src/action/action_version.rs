//! One version of an action under a term: what it works with, and how it ends.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    action_failure::StartOutcome,
    action_server::ActionServer,
    action_status::ActionState,
    job::{JobHandle, JobServices},
    limits::STABLE_RUN,
    prepared_action::Action,
    service::{self, ServiceHandle},
    term_services::TermServices,
    version_context::{NEVER_UP, VersionContext, VersionReports},
};
use crate::{
    http::{ListenerState, ListenerWatch},
    task_scope::TaskScope,
};
use soloist_guests::plugin::Kind;
use soloist_heart::clock::BootTime;

/// A version of an action under a term. Dropping it cancels the tasks that [`ActionVersion::stop`]
/// waits for.
pub(super) struct ActionVersion {
    context: Arc<VersionContext>,
    jobs: JobServices,
    server: Option<Arc<ActionServer>>,
    service: Option<(TaskScope, ServiceHandle)>,
    job: Option<JobHandle>,
}

impl ActionVersion {
    /// A version that does nothing yet.
    ///
    /// `won_at` is given if the version starts together with its term: the time when the term was
    /// won.
    pub(super) fn new(
        action: &Arc<Action>,
        services: &TermServices,
        start_outcome: watch::Sender<StartOutcome>,
        won_at: Option<BootTime>,
    ) -> Self {
        action.live_status().begin_run();
        let reports = VersionReports { failures: services.failures.clone(), start_outcome, won_at };
        let tasks = services.tasks.child();
        let context = Arc::new(VersionContext::new(action, &services.term, tasks, reports));
        let entry = action.plugin().entry_points().http.clone();
        let server = entry.map(|entry| ActionServer::new(Arc::clone(&context), entry).into());
        Self { context, jobs: services.jobs.clone(), server, service: None, job: None }
    }

    /// The action, in this version.
    pub(super) fn action(&self) -> &Arc<Action> {
        &self.context.action
    }

    /// The server that answers its requests, if it answers any.
    pub(super) fn server(&self) -> Option<&Arc<ActionServer>> {
        self.server.as_ref()
    }

    /// Tests what can be tested before the version gets any work.
    pub(super) async fn try_start(&self) -> Result<(), String> {
        let Some(server) = self.server.clone() else { return Ok(()) };
        let attempt = self.context.requests.spawn(async move { server.try_instantiate().await });
        match attempt.await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => Err(NEVER_UP.to_owned()),
            Err(panic) => Err(panic.to_string()),
        }
    }

    /// Gives the version up before it got any work.
    pub(super) async fn reject(self, reason: String) {
        self.context.report_rejected(&reason);
        self.stop().await;
    }

    /// Starts the version. It counts as up once its address is open and its service runs.
    pub(super) fn start(&mut self, listener: Option<ListenerWatch>) {
        let context = Arc::clone(&self.context);
        self.watch_listener(listener);
        if let Some(entry) = context.action.plugin().entry_points().service.clone() {
            match &context.action.config().job {
                Some(job) => {
                    self.job =
                        Some(JobHandle::start(Arc::clone(&context), entry, job, self.jobs.clone()))
                }
                None => {
                    let tasks = context.tasks.child();
                    let current = service::start_service(Arc::clone(&context), entry, &tasks);
                    self.service = Some((tasks, current));
                }
            }
        }
        if !context.action.kinds().run_all_term() {
            context.set_state(ActionState::Done);
            context.report_start(Ok(()));
        } else if context.action.on_trial() {
            self.context.tasks.spawn(end_trial_when_stable(context));
        }
    }

    /// Follows another listener, through which its requests come from now on.
    pub(super) fn follow_listener(&self, listener: Option<ListenerWatch>) {
        if listener.is_some() {
            self.context.mark_not_up(Kind::Http);
        }
        self.watch_listener(listener);
    }

    fn watch_listener(&self, listener: Option<ListenerWatch>) {
        if let Some(listener) = listener.filter(|_| self.server.is_some()) {
            self.context.tasks.spawn(follow_address(listener, Arc::clone(&self.context)));
        }
    }

    /// Ends the service so that another version can start: the guest is notified, and waited for up
    /// to `patience` if it has subscribed to the end of its term. A job gets the same time for the
    /// runs that have started.
    pub(super) async fn end_background(&mut self, patience: Duration) {
        self.context.retire();
        if let Some((tasks, mut current)) = self.service.take() {
            // A service that takes longer is stopped.
            let _ = timeout(patience, current.wait_for_end()).await;
            tasks.stop().await;
        }
        if let Some(job) = self.job.take() {
            job.end(patience).await;
        }
    }

    /// Ends gracefully: resolves when everything in flight is finished. The caller stops new work
    /// from coming in, and limits the time.
    ///
    /// A service is waited for if it has subscribed to the end of its term; otherwise it runs on
    /// until it is stopped.
    pub(super) async fn drain(&mut self) {
        self.context.set_state(ActionState::Draining);
        if let Some(server) = &self.server {
            server.close();
        }
        self.context.requests.join().await;
        if let Some(job) = &self.job {
            job.finish().await;
        }
        if let Some((_, current)) = &mut self.service {
            current.wait_for_end().await;
        }
    }

    /// Ends at once: guests are interrupted and stores dropped. When this resolves, nothing of this
    /// version is alive.
    pub(super) async fn stop(self) {
        // Cancelled tasks are dropped without being polled again, so a thousand busy guests do not
        // each get one more turn.
        self.context.tasks.stop().await;
        self.context.action.live_status().end_run();
    }
}

impl Drop for ActionVersion {
    fn drop(&mut self) {
        self.context.tasks.cancel();
    }
}

/// Follows the listener until it is open or has failed.
async fn follow_address(mut listener: ListenerWatch, context: Arc<VersionContext>) {
    loop {
        let state = listener.borrow_and_update().clone();
        match state {
            ListenerState::Starting => {}
            ListenerState::Waiting(why) => context.note_error("waiting for the address", &why),
            ListenerState::Open(bound) => {
                context.action.live_status().lock().listen = Some(bound);
                return context.mark_up(Kind::Http);
            }
            ListenerState::Failed(reason) => return context.fail_transiently(&reason),
        }
        if listener.changed().await.is_err() {
            return context.report_never_up();
        }
    }
}

/// Ends the trial of a version that has started and stays up.
async fn end_trial_when_stable(context: Arc<VersionContext>) {
    if !context.started().await {
        return;
    }
    if context.action.kinds().has(Kind::Service) {
        sleep(STABLE_RUN).await;
    }
    context.action.end_trial();
}
