//! The addresses that every host listens on, kept up with the programme.

use std::{collections::BTreeMap, sync::Arc};

use futures::future::join_all;
use tokio::sync::watch;

use super::{
    desk::{Desk, Seat},
    shared::Shared,
};
use crate::action::{self, Door, DoorKey, Opening, Persistence, Programme, door_key, keep_places};
use soloist_tls::Acceptor;

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
            self.set(&now);
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

    fn set(&mut self, programme: &Programme) {
        let mut tables = tables(programme);
        let unused: Vec<_> = self.open.extract_if(.., |key, _| !tables.contains_key(key)).collect();
        for (key, door) in unused {
            let opening = self.shared.lobby.opening(&key);
            self.shared.tasks.spawn(async move {
                door.close().await;
                opening.send_replace(Opening::Begun);
                door.join().await;
            });
        }
        while let Some((key, Table { tls, seats })) = tables.pop_first() {
            let opening = self.shared.lobby.opening(&key);
            let (shared, address) = (&self.shared, key.0);
            let open = || {
                let desk = Arc::new(Desk::new(shared));
                Door::open(address, tls, desk, &shared.tasks, Persistence::Endless, opening)
            };
            self.open.entry(key).or_insert_with(open).answers().set(seats);
        }
    }
}

/// Who is at an address.
#[derive(Default)]
struct Table {
    tls: Option<Acceptor>,
    seats: Vec<(Arc<str>, Seat)>,
}

/// The addresses that every host listens on, and who is at each: what cannot be had keeps its
/// place.
fn tables(programme: &Programme) -> BTreeMap<DoorKey, Table> {
    let mounts = action::mounts(&programme.actions, &programme.refused);
    let mut tables: BTreeMap<DoorKey, Table> = BTreeMap::new();
    for action in programme.actions.iter().filter(|it| it.config().relayed.standby.listens()) {
        let Some(mount) = mounts.get(action.name()) else { continue };
        let table = tables.entry(door_key(action)).or_default();
        table.tls = action.tls().cloned();
        let seat = |path: &Arc<str>| (Arc::clone(path), Seat::Action(Arc::clone(action)));
        table.seats.extend(mount.paths.iter().map(seat));
    }
    for (key, table) in &mut tables {
        keep_places(&programme.refused, key.0, &mut table.seats, Seat::Closed);
    }
    tables
}
