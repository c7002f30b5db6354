//! Everything that runs of a group under one term: its actions, and the addresses that they share.

use std::{collections::BTreeMap, fmt, sync::Arc};

use futures::future::join_all;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    action_directory::ActiveAction,
    action_failure::{ActionFailure, StartOutcome},
    action_term::{ActionSignals, ActionTerm, DesiredVersion, IdleFlag},
    inactive_actions::{self, InactiveActions},
    listener_key::{ListenerKey, listener_key},
    mounts::mounts,
    prepared_action::Action,
    term_routes::{RouteTarget, TermRoutes},
    term_services::TermServices,
};
use crate::{
    http::{AddressListener, BindRetry, ListenerOptions, ListenerState, ListenerWatch},
    task_scope::TaskScope,
};
use soloist_guests::plugin::Kind;
use soloist_heart::clock::BootTime;
use soloist_tls::ReloadingAcceptor;

/// Runs the actions of a group under a term. Dropping it cancels the tasks that [`GroupTerm::stop`]
/// waits for.
pub struct GroupTerm {
    services: TermServices,
    listeners: BTreeMap<ListenerKey, AddressListener<TermRoutes>>,
    /// Requests that come in through the directory rather than through a listener of this term.
    relayed_requests: TaskScope,
    targets: BTreeMap<Arc<str>, Arc<RouteTarget>>,
    actions: BTreeMap<Arc<str>, ActionTermHandle>,
    /// When the term was won (this is created right after that).
    won_at: BootTime,
}

/// An address that should be open.
#[derive(Default)]
struct WantedListener {
    tls: Option<ReloadingAcceptor>,
    paths: Vec<(Arc<str>, Arc<RouteTarget>)>,
    /// Whether an action that runs should answer there.
    performs: bool,
}

/// Controls the task of an action.
struct ActionTermHandle {
    desired: watch::Sender<Option<DesiredVersion>>,
    started: watch::Sender<StartOutcome>,
    drained: CancellationToken,
    idle: IdleFlag,
}

impl ActionTermHandle {
    /// Whether nothing runs and nothing should run.
    fn is_over(&self) -> bool {
        // The order matters: the task sets `idle` to false before it takes what is desired.
        self.desired.borrow().is_none() && self.idle.get()
    }

    fn set(&self, new: Option<DesiredVersion>) {
        self.desired.send_if_modified(|desired| {
            let changes = *desired != new;
            if changes {
                // Until the change takes effect, nothing is known of its start.
                self.started.send_replace(None);
                *desired = new;
            }
            changes
        });
    }
}

impl GroupTerm {
    /// A term in which nothing runs yet. Tasks are spawned on the current runtime.
    #[must_use]
    pub fn new(services: TermServices) -> Self {
        let (listeners, targets, actions) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let relayed_requests = services.tasks.child();
        Self { services, listeners, relayed_requests, targets, actions, won_at: BootTime::now() }
    }

    /// Runs exactly these actions: new ones are started, changed ones are replaced without losing a
    /// request, and all others are ended.
    pub fn set(&mut self, actions: &[Arc<Action>]) {
        self.set_with_inactive(actions, &InactiveActions::default());
    }

    /// Like [`GroupTerm::set`], without the actions that are `inactive`. Those keep their addresses
    /// and paths, and clients are told there why they do not answer.
    pub fn set_with_inactive(&mut self, all: &[Arc<Action>], inactive: &InactiveActions) {
        let performs = |action: &&Arc<Action>| !inactive.parked.contains_key(action.name());
        let actions: Vec<_> = all.iter().filter(performs).collect();
        // An action that should end keeps its handle until it has finished what it has started.
        self.actions.retain(|_, handle| !handle.is_over());
        // A target is removed together with its task, which clears the target's server when it
        // ends.
        self.targets.retain(|name, _| self.actions.contains_key(name));
        for action in all {
            let target = || self.services.directory.new_target();
            let target = self.targets.entry(Arc::clone(action.name())).or_insert_with(target);
            target.close(inactive.parked_reason(action.name()));
        }
        self.update_listeners(all, inactive);
        self.publish(all);
        let desired = |action: &Arc<Action>| DesiredVersion {
            action: Arc::clone(action),
            listener: self.listener_of(action),
        };
        for (name, handle) in &self.actions {
            let action = actions.iter().find(|action| action.name() == name);
            handle.set(action.copied().map(desired));
        }
        let new: Vec<_> = (actions.into_iter())
            .filter(|action| !self.actions.contains_key(action.name()))
            .map(|action| (Arc::clone(action.name()), self.start_action(desired(action))))
            .collect();
        self.actions.extend(new);
    }

    /// The listener of `action`: the one that outlives terms, or this term's own.
    fn listener_of(&self, action: &Action) -> Option<ListenerWatch> {
        let own = || self.listeners.get(&listener_key(action)).map(AddressListener::watch_state);
        self.services.directory.watch_listener(action).or_else(own)
    }

    /// Registers the actions that answer requests in the directory.
    fn publish(&self, actions: &[Arc<Action>]) {
        let http = actions.iter().filter(|action| action.kinds().has(Kind::Http));
        let performers = http.filter_map(|action| {
            let target = Arc::clone(self.targets.get(action.name())?);
            let gate = Arc::clone(&self.services.term.gate);
            let relayed_requests = self.relayed_requests.clone();
            Some((Arc::clone(action.name()), ActiveAction { target, gate, relayed_requests }))
        });
        self.services.directory.set_active(&self.services.term.gate, performers.collect());
    }

    fn start_action(&self, desired: DesiredVersion) -> ActionTermHandle {
        let target = self.targets.get(desired.action.name()).cloned();
        let target = target.unwrap_or_else(|| self.services.directory.new_target());
        let (desired_sender, desired) = watch::channel(Some(desired));
        let (started, _) = watch::channel(None);
        let drained = CancellationToken::new();
        let (services, drained_signal) = (self.services.clone(), drained.clone());
        let idle = IdleFlag::default();
        let signals =
            ActionSignals { started: started.clone(), drained: drained_signal, idle: idle.clone() };
        let task = ActionTerm::new(services, target, desired, signals, self.won_at);
        self.services.tasks.spawn_cancellable(|cut| task.run(cut));
        ActionTermHandle { desired: desired_sender, started, drained, idle }
    }

    /// Opens new addresses, closes those without actions, and sets who answers on each.
    fn update_listeners(&mut self, all: &[Arc<Action>], inactive: &InactiveActions) {
        let mut wanted = self.wanted_listeners(all, inactive);
        let useless =
            |key: &ListenerKey, listener: &mut AddressListener<TermRoutes>| match wanted.get(key) {
                // An address that could not be had is tried again once an action should answer
                // there.
                Some(wanted) => wanted.performs && listener.has_failed(),
                None => true,
            };
        for (_, listener) in self.listeners.extract_if(.., useless) {
            self.services.tasks.spawn(async move {
                listener.close().await;
                listener.join().await;
            });
        }
        let TermServices { term, tasks, .. } = &self.services;
        while let Some((key, WantedListener { tls, paths, .. })) = wanted.pop_first() {
            let address = key.0;
            let open = || {
                let routes = TermRoutes::new(Arc::clone(&term.gate)).into();
                let (outcome, _) = watch::channel(ListenerState::Starting);
                let retry = BindRetry::Never;
                let options = ListenerOptions { address, tls, retry, outcome };
                AddressListener::open(options, routes, tasks)
            };
            self.listeners.entry(key).or_insert_with(open).handler().set(paths);
        }
    }

    /// The addresses that should be open in this term, and who answers on each.
    fn wanted_listeners(
        &self,
        all: &[Arc<Action>],
        inactive: &InactiveActions,
    ) -> BTreeMap<ListenerKey, WantedListener> {
        let mounts = mounts(all, &inactive.refused);
        let mut wanted: BTreeMap<ListenerKey, WantedListener> = BTreeMap::new();
        for action in all {
            let (mount, target) = (mounts.get(action.name()), self.targets.get(action.name()));
            let (Some(mount), Some(target)) = (mount, target) else { continue };
            // This address outlives the term; the relay listens there.
            if action.config().relay.standby.listens() {
                continue;
            }
            let listener = wanted.entry(listener_key(action)).or_default();
            listener.tls = action.tls().cloned();
            listener.performs |= !inactive.parked.contains_key(action.name());
            listener
                .paths
                .extend(mount.paths.iter().map(|path| (Arc::clone(path), Arc::clone(target))));
        }
        let closed = |why| {
            let target = self.services.directory.new_target();
            target.close(Some(why));
            target
        };
        for (key, listener) in &mut wanted {
            inactive_actions::keep_reserved_paths(
                &inactive.refused,
                key.0,
                &mut listener.paths,
                closed,
            );
        }
        wanted
    }

    /// Waits until every action is up: it listens, and its first instance runs.
    ///
    /// # Errors
    /// An action was given up or stopped before that.
    pub async fn started(&mut self) -> Result<(), ActionFailure> {
        for handle in self.actions.values() {
            let (running, mut started) =
                (handle.desired.borrow().is_some(), handle.started.subscribe());
            if let Ok(started) = started.wait_for(|it| it.is_some() || !running).await
                && let Some(Err(failure)) = &*started
            {
                return Err(failure.clone());
            }
        }
        Ok(())
    }

    /// Ends gracefully: listening sockets and idle connections are closed at once, and this
    /// resolves when everything in flight is finished. The caller drains the gate first, and limits
    /// the time.
    pub async fn drain(&mut self) {
        join_all(self.listeners.values().map(AddressListener::close)).await;
        join_all(self.actions.values().map(|handle| handle.drained.cancelled())).await;
        join_all(self.listeners.values().map(AddressListener::join)).await;
        self.relayed_requests.join().await;
    }

    /// Ends at once: addresses are closed, guests interrupted, connections cut and stores dropped.
    /// When this resolves, nothing of the actions is alive. The caller closes the gate first.
    pub async fn stop(self) {
        let actions: Vec<_> = self
            .actions
            .values()
            .filter_map(|handle| {
                handle.desired.borrow().as_ref().map(|desired| Arc::clone(&desired.action))
            })
            .collect();
        // All actions share one engine.
        let _hurry = actions.first().map(|action| action.engine().tick_fast());
        self.services.tasks.stop().await;
    }
}

impl Drop for GroupTerm {
    fn drop(&mut self) {
        self.services.directory.remove_term(&self.services.term.gate);
        self.services.tasks.cancel();
    }
}

impl fmt::Debug for GroupTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("actions", &self.actions.keys()).finish_non_exhaustive()
    }
}
