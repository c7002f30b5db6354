//! One action under a term, through its versions.
//!
//! A new version comes up beside the old one. Requests move over in one step, and what
//! the old one has begun it may finish. Of a service there is never more than one: the
//! old one ends before the new one begins.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Action,
    action_version::{ActionVersion, StartOutcome, TermServices},
    address_listener::ListenerWatch,
    term_routes::RouteTarget,
};
use soloist_heart::clock::BootTime;

/// What is to run.
#[derive(Clone)]
pub(super) struct DesiredVersion {
    /// The action, in one version.
    pub(super) action: Arc<Action>,
    /// Where its requests come in, if it answers any.
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

/// Whether nothing runs. Clones are the same.
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

/// What the task tells.
pub(super) struct ActionSignals {
    /// How the version that runs has started.
    pub(super) started: watch::Sender<StartOutcome>,
    /// Told when everything in flight is finished, in a term that drains.
    pub(super) drained: CancellationToken,
    /// Whether the task could as well end.
    pub(super) idle: IdleFlag,
}

/// The task that runs an action.
pub(super) struct ActionTerm {
    services: TermServices,
    target: Arc<RouteTarget>,
    /// Nothing, while the action is not to run.
    desired: watch::Receiver<Option<DesiredVersion>>,
    signals: ActionSignals,
    versions: ActionVersions,
}

/// The version that runs, and those that are finishing.
#[derive(Default)]
struct ActionVersions {
    current: Option<ActionVersion>,
    leaving: FuturesUnordered<BoxFuture<'static, ()>>,
}

impl ActionTerm {
    /// Begins at once with what is desired, unless that is on trial, in a term that was
    /// `won` then.
    pub(super) fn new(
        scope: TermServices,
        slot: Arc<RouteTarget>,
        mut desired: watch::Receiver<Option<DesiredVersion>>,
        links: ActionSignals,
        won: BootTime,
    ) -> Self {
        let first = desired.borrow_and_update().clone();
        let mut act = Self {
            services: scope,
            target: slot,
            desired,
            signals: links,
            versions: ActionVersions::default(),
        };
        match first {
            Some(DesiredVersion { action, listener: door }) if !action.on_trial() => {
                let version = ActionVersion::new(
                    &action,
                    &act.services,
                    act.signals.started.clone(),
                    Some(won),
                );
                act.target.set_server(version.server().cloned());
                act.start_version(version, door);
            }
            _ => act.desired.mark_changed(),
        }
        act
    }

    /// Runs what is desired, until it is `cut`; then nothing of the action is left.
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
                // Without a stage there is no term; or the action has left it.
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

    /// Brings what is desired about.
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

    async fn replace(&mut self, DesiredVersion { action, listener: door }: DesiredVersion) {
        let version =
            ActionVersion::new(&action, &self.services, self.signals.started.clone(), None);
        if action.on_trial()
            && let Err(reason) = version.try_start().await
        {
            return version.reject(reason).await;
        }
        // Requests move over first, so that none finds nobody.
        self.target.set_server(version.server().cloned());
        self.versions.retire_current(&self.services).await;
        // From here on nothing is said by the old one.
        self.signals.started.send_replace(None);
        self.start_version(version, door);
    }

    fn start_version(&mut self, mut version: ActionVersion, door: Option<ListenerWatch>) {
        version.start(door);
        self.versions.current = Some(version);
    }
}

impl ActionVersions {
    fn is_empty(&self) -> bool {
        self.current.is_none() && self.leaving.is_empty()
    }

    /// Lets the version that runs finish what it has begun. Its service has ended when
    /// this resolves.
    async fn retire_current(&mut self, scope: &TermServices) {
        let Some(mut old) = self.current.take() else { return };
        old.end_background(scope.drain).await;
        let drain = scope.drain;
        self.leaving.push(Box::pin(async move {
            // What is not finished by then is cut off.
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
        // The term has a limit of its own for this.
        let _ = cut.run_until_cancelled(drained).await;
    }

    async fn stop(mut self) {
        if let Some(current) = self.current.take() {
            current.stop().await;
        }
        while self.leaving.next().await.is_some() {}
    }
}
