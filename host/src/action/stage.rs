//! All that runs of a group under one term: its actions, and the addresses they share.

use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc};

use futures::future::join_all;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Absent, Action, Failure, Refused, Scope, Tasks, absent,
    act::{Act, Desired, Idle, Links},
    door::{Door, Opened, Opening, Persistence},
    lobby::Performer,
    routes::{Routes, Slot},
    running::Started,
};
use soloist_config::{self as config, ActionConfig, Mount, TlsFiles};
use soloist_guests::plugin::Kind;
use soloist_heart::clock::BootTime;
use soloist_tls::Acceptor;

/// An address, and what it takes to be let in. Port 0 is a port of its own for each
/// action that asks for it.
pub(crate) type DoorKey = (SocketAddr, Option<Arc<TlsFiles>>, Option<Arc<str>>);

/// Runs actions under a term. Dropping it cancels what [`Stage::stop`] awaits.
pub struct Stage {
    scope: Scope,
    doors: BTreeMap<DoorKey, Door<Routes>>,
    /// What is asked from beyond the doors.
    visits: Tasks,
    slots: BTreeMap<Arc<str>, Arc<Slot>>,
    acts: BTreeMap<Arc<str>, Hold>,
    /// When the term was won, or as good as that.
    won: BootTime,
}

/// An address that is to be open.
#[derive(Default)]
struct Wanted {
    tls: Option<Acceptor>,
    paths: Vec<(Arc<str>, Arc<Slot>)>,
    /// Whether somebody is to answer there who performs.
    performs: bool,
}

/// The hold on the task of an action.
struct Hold {
    desired: watch::Sender<Option<Desired>>,
    started: watch::Sender<Started>,
    drained: CancellationToken,
    idle: Idle,
}

impl Hold {
    /// Whether nothing runs, and nothing is to run.
    fn is_over(&self) -> bool {
        // In this order: it is told before what is desired is looked at.
        self.desired.borrow().is_none() && self.idle.get()
    }

    fn set(&self, new: Option<Desired>) {
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

impl Stage {
    /// Nothing runs yet. What will is started in the current runtime.
    #[must_use]
    pub fn new(scope: Scope) -> Self {
        let (doors, slots, acts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let visits = scope.tasks.child();
        Self { scope, doors, visits, slots, acts, won: BootTime::now() }
    }

    /// Runs `actions`, and no other: what is new is started, what was changed is
    /// replaced without a request being lost, and what is not among them is ended.
    pub fn set(&mut self, actions: &[Arc<Action>]) {
        self.arrange(actions, &Absent::default());
    }

    /// The same without those that are `absent`, who keep their places: whoever asks for them
    /// there is told why they do not answer.
    pub fn arrange(&mut self, all: &[Arc<Action>], absent: &Absent) {
        let performs = |action: &&Arc<Action>| !absent.parked.contains_key(action.name());
        let actions: Vec<_> = all.iter().filter(performs).collect();
        // The others end when they have finished what they have begun.
        self.acts.retain(|_, hold| !hold.is_over());
        // A slot goes with its task, which empties it at its end, whoever is there by then.
        self.slots.retain(|name, _| self.acts.contains_key(name));
        for action in all {
            let slot = || Slot::new(self.scope.lobby.clone()).into();
            let slot = self.slots.entry(Arc::clone(action.name())).or_insert_with(slot);
            slot.close(absent.parked(action.name()));
        }
        self.open_doors(all, absent);
        self.show(all);
        let desired = |action: &Arc<Action>| Desired {
            action: Arc::clone(action),
            door: self.opened(action),
        };
        for (name, hold) in &self.acts {
            let action = actions.iter().find(|action| action.name() == name);
            hold.set(action.copied().map(desired));
        }
        let new: Vec<_> = (actions.into_iter())
            .filter(|action| !self.acts.contains_key(action.name()))
            .map(|action| (Arc::clone(action.name()), self.begin(desired(action))))
            .collect();
        self.acts.extend(new);
    }

    /// How far the address of `action` is open, whoever opens it.
    fn opened(&self, action: &Action) -> Option<Opened> {
        let own = || self.doors.get(&door_key(action)).map(Door::opened);
        self.scope.lobby.opened(action).or_else(own)
    }

    /// Tells those who look for them where the actions that answer requests are.
    fn show(&self, actions: &[Arc<Action>]) {
        let http = actions.iter().filter(|action| action.kinds().has(Kind::Http));
        let performers = http.filter_map(|action| {
            let slot = Arc::clone(self.slots.get(action.name())?);
            let (gate, visits) = (Arc::clone(&self.scope.term.gate), self.visits.clone());
            Some((Arc::clone(action.name()), Performer { slot, gate, visits }))
        });
        self.scope.lobby.enter(&self.scope.term.gate, performers.collect());
    }

    fn begin(&self, desired: Desired) -> Hold {
        let slot = self.slots.get(desired.action.name()).cloned();
        let slot = slot.unwrap_or_else(|| Slot::new(self.scope.lobby.clone()).into());
        let (desired_to, desired) = watch::channel(Some(desired));
        let (started, _) = watch::channel(None);
        let drained = CancellationToken::new();
        let (scope, told) = (self.scope.clone(), drained.clone());
        let idle = Idle::default();
        let links = Links { started: started.clone(), drained: told, idle: idle.clone() };
        let act = Act::new(scope, slot, desired, links, self.won);
        self.scope.tasks.spawn_told(|cut| act.run(cut));
        Hold { desired: desired_to, started, drained, idle }
    }

    /// Opens the addresses that are new, lets go of those that nobody is at any more,
    /// and says who answers at each.
    fn open_doors(&mut self, all: &[Arc<Action>], absent: &Absent) {
        let mut wanted = self.wanted(all, absent);
        let useless = |key: &DoorKey, door: &mut Door<Routes>| match wanted.get(key) {
            // What could not be had is tried for again once somebody is to answer there.
            Some(wanted) => wanted.performs && door.has_failed(),
            None => true,
        };
        for (_, door) in self.doors.extract_if(.., useless) {
            self.scope.tasks.spawn(async move {
                door.close().await;
                door.join().await;
            });
        }
        let Scope { term, tasks, .. } = &self.scope;
        while let Some((key, Wanted { tls, paths, .. })) = wanted.pop_first() {
            let address = key.0;
            let open = || {
                let answers = Routes::new(Arc::clone(&term.gate)).into();
                let (outcome, _) = watch::channel(Opening::Begun);
                Door::open(address, tls, answers, tasks, Persistence::Once, outcome)
            };
            self.doors.entry(key).or_insert_with(open).answers().set(paths);
        }
    }

    /// The addresses that are to be open in this term, and who is at each.
    fn wanted(&self, all: &[Arc<Action>], absent: &Absent) -> BTreeMap<DoorKey, Wanted> {
        let mounts = mounts(all, &absent.refused);
        let mut wanted: BTreeMap<DoorKey, Wanted> = BTreeMap::new();
        for action in all {
            let (mount, slot) = (mounts.get(action.name()), self.slots.get(action.name()));
            let (Some(mount), Some(slot)) = (mount, slot) else { continue };
            // Its address outlives the term.
            if action.config().relayed.standby.listens() {
                continue;
            }
            let door = wanted.entry(door_key(action)).or_default();
            door.tls = action.tls().cloned();
            door.performs |= !absent.parked.contains_key(action.name());
            door.paths.extend(mount.paths.iter().map(|path| (Arc::clone(path), Arc::clone(slot))));
        }
        let closed = |why| {
            let slot = Slot::new(self.scope.lobby.clone());
            slot.close(Some(why));
            slot.into()
        };
        for (key, door) in &mut wanted {
            absent::keep_places(&absent.refused, key.0, &mut door.paths, closed);
        }
        wanted
    }

    /// Waits until every action is up: it listens, and its first instance runs.
    ///
    /// # Errors
    /// When one was given up, or stopped, before that.
    pub async fn started(&mut self) -> Result<(), Failure> {
        for hold in self.acts.values() {
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
        join_all(self.doors.values().map(Door::close)).await;
        join_all(self.acts.values().map(|hold| hold.drained.cancelled())).await;
        join_all(self.doors.values().map(Door::join)).await;
        self.visits.join().await;
    }

    /// Ends at once: the addresses are let go, guests are interrupted, connections cut
    /// and stores dropped. When this resolves, nothing of the actions is alive. The
    /// caller closes the gate before.
    pub async fn stop(self) {
        let actions: Vec<_> = self
            .acts
            .values()
            .filter_map(|hold| {
                hold.desired.borrow().as_ref().map(|desired| Arc::clone(&desired.action))
            })
            .collect();
        // One engine serves all actions.
        let _hurry = actions.first().map(|action| action.engine().hurry());
        self.scope.tasks.stop().await;
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.scope.lobby.leave(&self.scope.term.gate);
        self.scope.tasks.cancel();
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("actions", &self.acts.keys()).finish_non_exhaustive()
    }
}

/// Where each of `actions` that answers requests does so, beside what is `refused`.
#[must_use]
pub fn mounts(actions: &[Arc<Action>], refused: &[Refused]) -> BTreeMap<Arc<str>, Mount> {
    let http = actions.iter().filter(|action| action.kinds().has(Kind::Http));
    config::mounts(http.map(|action| action.config()), absent::reserved(refused))
}

/// What tells the address of `action` from others.
pub(crate) fn door_key(action: &Action) -> DoorKey {
    let ActionConfig { name, listen, tls, .. } = action.config();
    (*listen, tls.clone(), (listen.port() == 0).then(|| Arc::clone(name)))
}
