//! All that runs of a group under one term: its actions, and the addresses they share.

use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc};

use futures::future::join_all;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Action, ActionFailure, InactiveActions, RefusedPlugin, TaskScope, TermServices,
    action_directory::ActiveAction,
    action_term::{ActionSignals, ActionTerm, DesiredVersion, IdleFlag},
    action_version::StartOutcome,
    address_listener::{AddressListener, BindRetry, ListenerState, ListenerWatch},
    inactive_actions,
    term_routes::{RouteTarget, TermRoutes},
};
use soloist_config::{self as config, ActionConfig, Mount, TlsFiles};
use soloist_guests::plugin::Kind;
use soloist_heart::clock::BootTime;
use soloist_tls::ReloadingAcceptor;

/// An address, and what it takes to be let in. Port 0 is a port of its own for each
/// action that asks for it.
pub(crate) type ListenerKey = (SocketAddr, Option<Arc<TlsFiles>>, Option<Arc<str>>);

/// Runs actions under a term. Dropping it cancels what [`Stage::stop`] awaits.
pub struct GroupTerm {
    services: TermServices,
    listeners: BTreeMap<ListenerKey, AddressListener<TermRoutes>>,
    /// What is asked from beyond the doors.
    relayed_requests: TaskScope,
    targets: BTreeMap<Arc<str>, Arc<RouteTarget>>,
    actions: BTreeMap<Arc<str>, ActionTermHandle>,
    /// When the term was won, or as good as that.
    won_at: BootTime,
}

/// An address that is to be open.
#[derive(Default)]
struct WantedListener {
    tls: Option<ReloadingAcceptor>,
    paths: Vec<(Arc<str>, Arc<RouteTarget>)>,
    /// Whether somebody is to answer there who performs.
    performs: bool,
}

/// The hold on the task of an action.
struct ActionTermHandle {
    desired: watch::Sender<Option<DesiredVersion>>,
    started: watch::Sender<StartOutcome>,
    drained: CancellationToken,
    idle: IdleFlag,
}

impl ActionTermHandle {
    /// Whether nothing runs, and nothing is to run.
    fn is_over(&self) -> bool {
        // In this order: it is told before what is desired is looked at.
        self.desired.borrow().is_none() && self.idle.get()
    }

    fn set(&self, new: Option<DesiredVersion>) {
        self.desired.send_if_modified(|desired| {
            let changes = *desired != new;
            if changes {
                // Until it is, whatever ran before.
                self.started.send_replace(None);
                *desired = new;
            }
            changes
        });
    }
}

impl GroupTerm {
    /// Nothing runs yet. What will is started in the current runtime.
    #[must_use]
    pub fn new(services: TermServices) -> Self {
        let (listeners, targets, actions) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let relayed_requests = services.tasks.child();
        Self { services, listeners, relayed_requests, targets, actions, won_at: BootTime::now() }
    }

    /// Runs `actions`, and no other: what is new is started, what was changed is
    /// replaced without a request being lost, and what is not among them is ended.
    pub fn set(&mut self, actions: &[Arc<Action>]) {
        self.set_with_inactive(actions, &InactiveActions::default());
    }

    /// The same without those that are `absent`, who keep their places: whoever asks for them
    /// there is told why they do not answer.
    pub fn set_with_inactive(&mut self, all: &[Arc<Action>], absent: &InactiveActions) {
        let performs = |action: &&Arc<Action>| !absent.parked.contains_key(action.name());
        let actions: Vec<_> = all.iter().filter(performs).collect();
        // The others end when they have finished what they have begun.
        self.actions.retain(|_, hold| !hold.is_over());
        // A slot goes with its task, which empties it at its end, whoever is there by then.
        self.targets.retain(|name, _| self.actions.contains_key(name));
        for action in all {
            let slot = || RouteTarget::new(self.services.directory.clone()).into();
            let slot = self.targets.entry(Arc::clone(action.name())).or_insert_with(slot);
            slot.close(absent.parked_reason(action.name()));
        }
        self.update_listeners(all, absent);
        self.publish(all);
        let desired = |action: &Arc<Action>| DesiredVersion {
            action: Arc::clone(action),
            listener: self.listener_of(action),
        };
        for (name, hold) in &self.actions {
            let action = actions.iter().find(|action| action.name() == name);
            hold.set(action.copied().map(desired));
        }
        let new: Vec<_> = (actions.into_iter())
            .filter(|action| !self.actions.contains_key(action.name()))
            .map(|action| (Arc::clone(action.name()), self.start_action(desired(action))))
            .collect();
        self.actions.extend(new);
    }

    /// How far the address of `action` is open, whoever opens it.
    fn listener_of(&self, action: &Action) -> Option<ListenerWatch> {
        let own = || self.listeners.get(&listener_key(action)).map(AddressListener::watch_state);
        self.services.directory.watch_listener(action).or_else(own)
    }

    /// Tells those who look for them where the actions that answer requests are.
    fn publish(&self, actions: &[Arc<Action>]) {
        let http = actions.iter().filter(|action| action.kinds().has(Kind::Http));
        let performers = http.filter_map(|action| {
            let slot = Arc::clone(self.targets.get(action.name())?);
            let (gate, visits) =
                (Arc::clone(&self.services.term.gate), self.relayed_requests.clone());
            Some((Arc::clone(action.name()), ActiveAction { slot, gate, relayed_requests: visits }))
        });
        self.services.directory.set_active(&self.services.term.gate, performers.collect());
    }

    fn start_action(&self, desired: DesiredVersion) -> ActionTermHandle {
        let slot = self.targets.get(desired.action.name()).cloned();
        let slot = slot.unwrap_or_else(|| RouteTarget::new(self.services.directory.clone()).into());
        let (desired_to, desired) = watch::channel(Some(desired));
        let (started, _) = watch::channel(None);
        let drained = CancellationToken::new();
        let (scope, told) = (self.services.clone(), drained.clone());
        let idle = IdleFlag::default();
        let links = ActionSignals { started: started.clone(), drained: told, idle: idle.clone() };
        let act = ActionTerm::new(scope, slot, desired, links, self.won_at);
        self.services.tasks.spawn_cancellable(|cut| act.run(cut));
        ActionTermHandle { desired: desired_to, started, drained, idle }
    }

    /// Opens the addresses that are new, lets go of those that nobody is at any more,
    /// and says who answers at each.
    fn update_listeners(&mut self, all: &[Arc<Action>], absent: &InactiveActions) {
        let mut wanted = self.wanted_listeners(all, absent);
        let useless =
            |key: &ListenerKey, door: &mut AddressListener<TermRoutes>| match wanted.get(key) {
                // What could not be had is tried for again once somebody is to answer there.
                Some(wanted) => wanted.performs && door.has_failed(),
                None => true,
            };
        for (_, door) in self.listeners.extract_if(.., useless) {
            self.services.tasks.spawn(async move {
                door.close().await;
                door.join().await;
            });
        }
        let TermServices { term, tasks, .. } = &self.services;
        while let Some((key, WantedListener { tls, paths, .. })) = wanted.pop_first() {
            let address = key.0;
            let open = || {
                let answers = TermRoutes::new(Arc::clone(&term.gate)).into();
                let (outcome, _) = watch::channel(ListenerState::Starting);
                AddressListener::open(address, tls, answers, tasks, BindRetry::Never, outcome)
            };
            self.listeners.entry(key).or_insert_with(open).answers().set(paths);
        }
    }

    /// The addresses that are to be open in this term, and who is at each.
    fn wanted_listeners(
        &self,
        all: &[Arc<Action>],
        absent: &InactiveActions,
    ) -> BTreeMap<ListenerKey, WantedListener> {
        let mounts = mounts(all, &absent.refused);
        let mut wanted: BTreeMap<ListenerKey, WantedListener> = BTreeMap::new();
        for action in all {
            let (mount, slot) = (mounts.get(action.name()), self.targets.get(action.name()));
            let (Some(mount), Some(slot)) = (mount, slot) else { continue };
            // Its address outlives the term.
            if action.config().relay.standby.listens() {
                continue;
            }
            let door = wanted.entry(listener_key(action)).or_default();
            door.tls = action.tls().cloned();
            door.performs |= !absent.parked.contains_key(action.name());
            door.paths.extend(mount.paths.iter().map(|path| (Arc::clone(path), Arc::clone(slot))));
        }
        let closed = |why| {
            let slot = RouteTarget::new(self.services.directory.clone());
            slot.close(Some(why));
            slot.into()
        };
        for (key, door) in &mut wanted {
            inactive_actions::keep_reserved_paths(&absent.refused, key.0, &mut door.paths, closed);
        }
        wanted
    }

    /// Waits until every action is up: it listens, and its first instance runs.
    ///
    /// # Errors
    /// When one was given up, or stopped, before that.
    pub async fn started(&mut self) -> Result<(), ActionFailure> {
        for hold in self.actions.values() {
            let (running, mut started) =
                (hold.desired.borrow().is_some(), hold.started.subscribe());
            if let Ok(started) = started.wait_for(|it| it.is_some() || !running).await
                && let Some(Err(failure)) = &*started
            {
                return Err(failure.clone());
            }
        }
        Ok(())
    }

    /// Ends gracefully: the addresses are let go at once, idle connections are closed,
    /// and this resolves when everything in flight is finished. The caller drains the
    /// gate before, and bounds the time.
    pub async fn drain(&mut self) {
        join_all(self.listeners.values().map(AddressListener::close)).await;
        join_all(self.actions.values().map(|hold| hold.drained.cancelled())).await;
        join_all(self.listeners.values().map(AddressListener::join)).await;
        self.relayed_requests.join().await;
    }

    /// Ends at once: the addresses are let go, guests are interrupted, connections cut
    /// and stores dropped. When this resolves, nothing of the actions is alive. The
    /// caller closes the gate before.
    pub async fn stop(self) {
        let actions: Vec<_> = self
            .actions
            .values()
            .filter_map(|hold| {
                hold.desired.borrow().as_ref().map(|desired| Arc::clone(&desired.action))
            })
            .collect();
        // One engine serves all actions.
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

/// Where each of `actions` that answers requests does so, beside what is `refused`.
#[must_use]
pub fn mounts(actions: &[Arc<Action>], refused: &[RefusedPlugin]) -> BTreeMap<Arc<str>, Mount> {
    let http = actions.iter().filter(|action| action.kinds().has(Kind::Http));
    config::mounts(http.map(|action| action.config()), inactive_actions::reserved_mounts(refused))
}

/// What tells the address of `action` from others.
pub(crate) fn listener_key(action: &Action) -> ListenerKey {
    let ActionConfig { name, listen, tls, .. } = action.config();
    (*listen, tls.clone(), (listen.port() == 0).then(|| Arc::clone(name)))
}
