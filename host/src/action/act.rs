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
    door::Opened,
    routes::Slot,
    running::{Running, Scope, Started},
};
use soloist_heart::clock::BootTime;

/// What is to run.
#[derive(Clone)]
pub(super) struct Desired {
    /// The action, in one version.
    pub(super) action: Arc<Action>,
    /// Where its requests come in, if it answers any.
    pub(super) door: Option<Opened>,
}

impl PartialEq for Desired {
    fn eq(&self, other: &Self) -> bool {
        let same_door = match (&self.door, &other.door) {
            (Some(one), Some(another)) => one.same_channel(another),
            (one, another) => one.is_none() && another.is_none(),
        };
        Arc::ptr_eq(&self.action, &other.action) && same_door
    }
}

/// Whether nothing runs. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Idle(Arc<AtomicBool>);

impl Idle {
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self, idle: bool) {
        self.0.store(idle, Ordering::Release);
    }
}

/// What the task tells.
pub(super) struct Links {
    /// How the version that runs has started.
    pub(super) started: watch::Sender<Started>,
    /// Told when everything in flight is finished, in a term that drains.
    pub(super) drained: CancellationToken,
    /// Whether the task could as well end.
    pub(super) idle: Idle,
}

/// The task that runs an action.
pub(super) struct Act {
    scope: Scope,
    slot: Arc<Slot>,
    /// Nothing, while the action is not to run.
    desired: watch::Receiver<Option<Desired>>,
    links: Links,
    versions: Versions,
}

/// The version that runs, and those that are finishing.
#[derive(Default)]
struct Versions {
    current: Option<Running>,
    leaving: FuturesUnordered<BoxFuture<'static, ()>>,
}

impl Act {
    /// Begins at once with what is desired, unless that is on trial, in a term that was
    /// `won` then.
    pub(super) fn new(
        scope: Scope,
        slot: Arc<Slot>,
        mut desired: watch::Receiver<Option<Desired>>,
        links: Links,
        won: BootTime,
    ) -> Self {
        let first = desired.borrow_and_update().clone();
        let mut act = Self { scope, slot, desired, links, versions: Versions::default() };
        match first {
            Some(Desired { action, door }) if !action.on_trial() => {
                let version =
                    Running::new(&action, &act.scope, act.links.started.clone(), Some(won));
                act.slot.put(version.server().cloned());
                act.begin(version, door);
            }
            _ => act.desired.mark_changed(),
        }
        act
    }

    /// Runs what is desired, until it is `cut`; then nothing of the action is left.
    pub(super) async fn run(mut self, cut: CancellationToken) {
        let gate = Arc::clone(&self.scope.term.gate);
        loop {
            self.links.idle.set(self.versions.is_empty());
            tokio::select! {
                biased;
                () = cut.cancelled() => break,
                () = gate.ending(), if !self.links.drained.is_cancelled() => {
                    self.versions.drain(&cut).await;
                    self.links.drained.cancel();
                }
                // Without a stage there is no term; or the action has left it.
                changed = self.desired.changed() => match changed {
                    Ok(()) => self.turn().await,
                    Err(_) => break,
                },
                Some(()) = self.versions.leaving.next() => {}
            }
        }
        self.slot.put(None);
        self.versions.stop().await;
    }

    /// Brings what is desired about.
    async fn turn(&mut self) {
        self.links.idle.set(false);
        let desired = self.desired.borrow_and_update().clone();
        match (desired, &mut self.versions.current) {
            (Some(desired), Some(running)) if Arc::ptr_eq(running.action(), &desired.action) => {
                running.move_to(desired.door);
            }
            (Some(desired), _) => self.replace(desired).await,
            (None, _) => {
                self.slot.put(None);
                self.versions.leave(&self.scope).await;
                self.links.started.send_replace(None);
            }
        }
    }

    async fn replace(&mut self, Desired { action, door }: Desired) {
        let version = Running::new(&action, &self.scope, self.links.started.clone(), None);
        if action.on_trial()
            && let Err(reason) = version.rehearse().await
        {
            return version.refuse(reason).await;
        }
        // Requests move over first, so that none finds nobody.
        self.slot.put(version.server().cloned());
        self.versions.leave(&self.scope).await;
        // From here on nothing is said by the old one.
        self.links.started.send_replace(None);
        self.begin(version, door);
    }

    fn begin(&mut self, mut version: Running, door: Option<Opened>) {
        version.go(door);
        self.versions.current = Some(version);
    }
}

impl Versions {
    fn is_empty(&self) -> bool {
        self.current.is_none() && self.leaving.is_empty()
    }

    /// Lets the version that runs finish what it has begun. Its service has ended when
    /// this resolves.
    async fn leave(&mut self, scope: &Scope) {
        let Some(mut old) = self.current.take() else { return };
        old.end_service(scope.drain).await;
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
