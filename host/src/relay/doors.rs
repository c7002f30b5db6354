//! The addresses that every host listens on, kept up with the programme.

use std::{collections::BTreeMap, sync::Arc};

use futures::future::join_all;
use tokio::sync::watch;

use super::{Shared, desk::Desk};
use crate::action::{self, Action, Door, DoorKey, Opening, Persistence, Programme, door_key};

/// The addresses.
pub(super) struct Doors {
    shared: Arc<Shared>,
    open: BTreeMap<DoorKey, Door<Desk>>,
}

impl Doors {
    /// None yet.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, open: BTreeMap::new() }
    }

    /// Opens and closes addresses as `programme` changes, until the host is about to stop;
    /// then lets go of them all, and returns when no connection is left.
    pub(super) async fn keep(mut self, mut programme: watch::Receiver<Arc<Programme>>) {
        let closing = self.shared.closing.clone();
        loop {
            let now = Arc::clone(&programme.borrow_and_update());
            self.set(&now.actions);
            tokio::select! {
                biased;
                () = closing.cancelled() => break,
                changed = programme.changed() => if changed.is_err() {
                    closing.cancelled().await;
                    break;
                }
            }
        }
        join_all(self.open.values().map(Door::close)).await;
        join_all(self.open.values().map(Door::join)).await;
    }

    fn set(&mut self, actions: &[Arc<Action>]) {
        let mounts = action::mounts(actions);
        let mut tables: BTreeMap<DoorKey, Vec<_>> = BTreeMap::new();
        for action in actions.iter().filter(|it| it.config().relayed.standby.listens()) {
            let Some(mount) = mounts.get(action.name()) else { continue };
            let table = tables.entry(door_key(action)).or_default();
            table.push((Arc::clone(&mount.path), Arc::clone(action)));
        }
        let unused: Vec<_> = self.open.extract_if(.., |key, _| !tables.contains_key(key)).collect();
        for (key, door) in unused {
            let opening = self.shared.lobby.opening(&key);
            self.shared.tasks.spawn(async move {
                door.close().await;
                opening.send_replace(Opening::Begun);
                door.join().await;
            });
        }
        for (key, table) in tables {
            let tls = table.first().and_then(|(_, action)| action.tls().cloned());
            let opening = self.shared.lobby.opening(&key);
            let (shared, address) = (&self.shared, key.0);
            let open = || {
                let desk = Arc::new(Desk::new(shared));
                Door::open(address, tls, desk, &shared.tasks, Persistence::Endless, opening)
            };
            self.open.entry(key).or_insert_with(open).answers().set(table);
        }
    }
}
