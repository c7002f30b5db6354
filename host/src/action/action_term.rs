//! One action under a term, through its versions.
//!
//! A new version starts in parallel with the old one. Then all new requests go to the new version,
//! and the old one finishes those that it has. Of a service there is never more than one: the old
//! one ends before the new one starts.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    action_failure::StartOutcome, action_version::ActionVersion, prepared_action::Action,
    term_routes::RouteTarget, term_services::TermServices,
};
use crate::http::ListenerWatch;
use soloist_heart::clock::BootTime;

/// What should run.
#[derive(Clone)]
pub(super) struct DesiredVersion {
    /// The action, in one version.
    pub(super) action: Arc<Action>,
    /// The listener through which its requests come, if it answers any.
    pub(super) listener: Option<ListenerWatch>,
}

impl PartialEq for DesiredVersion {
    fn eq(&self, other: &Self) -> bool {
        let same_door = match (&self.listener, &other.listener) {
            (Some(one), Some(another)) => one.same_channel(another),
            (one, another) => one.is_none() && another.is_none(),
        };
        Arc::ptr_eq(&self.action, &other.action) && same_door
    }
}

/// Whether nothing runs. Clones share the flag.
#[derive(Clone, Default)]
pub(super) struct IdleFlag(Arc<AtomicBool>);

impl IdleFlag {
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self, idle: bool) {
        self.0.store(idle, Ordering::Release);
    }
}

/// What the task of an action reports.
pub(super) struct ActionSignals {
    /// Whether the current version has started.
    pub(super) started: watch::Sender<StartOutcome>,
    /// Cancelled when everything in flight is finished, in a term that drains.
    pub(super) drained: CancellationToken,
    /// Whether the task has nothing to do and may be dropped.
    pub(super) idle: IdleFlag,
}

/// The task that runs an action under a term.
pub(super) struct ActionTerm {
    services: TermServices,
    target: Arc<RouteTarget>,
    /// `None` while the action should not run.
    desired: watch::Receiver<Option<DesiredVersion>>,
    signals: ActionSignals,
    versions: ActionVersions,
}

/// The current version, and the older ones that finish their requests.
#[derive(Default)]
struct ActionVersions {
    current: Option<ActionVersion>,
    leaving: FuturesUnordered<BoxFuture<'static, ()>>,
}

impl ActionTerm {
    /// Starts the desired version at once, unless it is on trial. `won_at` is when the term was
    /// won.
    pub(super) fn new(
        services: TermServices,
        target: Arc<RouteTarget>,
        mut desired: watch::Receiver<Option<DesiredVersion>>,
        signals: ActionSignals,
        won_at: BootTime,
    ) -> Self {
        let first = desired.borrow_and_update().clone();
        let mut term =
            Self { services, target, desired, signals, versions: ActionVersions::default() };
        match first {
            Some(DesiredVersion { action, listener }) if !action.on_trial() => {
                let version = ActionVersion::new(
                    &action,
                    &term.services,
                    term.signals.started.clone(),
                    Some(won_at),
                );
                term.target.set_server(version.server().cloned());
                term.start_version(version, listener);
            }
            _ => term.desired.mark_changed(),
        }
        term
    }

    /// Keeps the desired version running until `cut`; afterwards nothing of the action is left.
    pub(super) async fn run(mut self, cut: CancellationToken) {
        let gate = Arc::clone(&self.services.term.gate);
        loop {
            self.signals.idle.set(self.versions.is_empty());
            tokio::select! {
                biased;
                () = cut.cancelled() => break,
                () = gate.ending(), if !self.signals.drained.is_cancelled() => {
                    self.versions.drain(&cut).await;
                    self.signals.drained.cancel();
                }
                // The sender is gone: the group's term is over, or the action was removed from it.
                changed = self.desired.changed() => match changed {
                    Ok(()) => self.apply_desired().await,
                    Err(_) => break,
                },
                Some(()) = self.versions.leaving.next() => {}
            }
        }
        self.target.set_server(None);
        self.versions.stop().await;
    }

    /// Starts, replaces or ends the version so that what is desired runs.
    async fn apply_desired(&mut self) {
        self.signals.idle.set(false);
        let desired = self.desired.borrow_and_update().clone();
        match (desired, &mut self.versions.current) {
            (Some(desired), Some(running)) if Arc::ptr_eq(running.action(), &desired.action) => {
                running.follow_listener(desired.listener);
            }
            (Some(desired), _) => self.replace(desired).await,
            (None, _) => {
                self.target.set_server(None);
                self.versions.retire_current(&self.services).await;
                self.signals.started.send_replace(None);
            }
        }
    }

    async fn replace(&mut self, DesiredVersion { action, listener }: DesiredVersion) {
        let version =
            ActionVersion::new(&action, &self.services, self.signals.started.clone(), None);
        if action.on_trial()
            && let Err(reason) = version.try_start().await
        {
            return version.reject(reason).await;
        }
        // Requests move to the new version before the old one goes, so that none is left without a
        // server.
        self.target.set_server(version.server().cloned());
        self.versions.retire_current(&self.services).await;
        // From here on the old version reports nothing.
        self.signals.started.send_replace(None);
        self.start_version(version, listener);
    }

    fn start_version(&mut self, mut version: ActionVersion, listener: Option<ListenerWatch>) {
        version.start(listener);
        self.versions.current = Some(version);
    }
}

impl ActionVersions {
    fn is_empty(&self) -> bool {
        self.current.is_none() && self.leaving.is_empty()
    }

    /// Lets the current version finish in the background. Its service has ended when this resolves.
    async fn retire_current(&mut self, services: &TermServices) {
        let Some(mut old) = self.current.take() else { return };
        old.end_background(services.drain).await;
        let drain = services.drain;
        self.leaving.push(Box::pin(async move {
            // Requests that are not finished by then are cut off.
            let _ = timeout(drain, old.drain()).await;
            old.stop().await;
        }));
    }

    async fn drain(&mut self, cut: &CancellationToken) {
        let Self { current, leaving } = self;
        let drained = async {
            if let Some(current) = current {
                current.drain().await;
            }
            while leaving.next().await.is_some() {}
        };
        // The term limits the time of the drain as a whole.
        let _ = cut.run_until_cancelled(drained).await;
    }

    async fn stop(mut self) {
        if let Some(current) = self.current.take() {
            current.stop().await;
        }
        while self.leaving.next().await.is_some() {}
    }
}
