//! The addresses that every host listens on, kept up with the programme.

use std::{collections::BTreeMap, sync::Arc};

use futures::future::join_all;
use tokio::sync::watch;

use super::{
    context::RelayContext,
    service::{RelayService, RelayTarget},
};
use crate::{
    action::{self, ListenerKey, Programme, keep_reserved_paths, listener_key},
    http::{AddressListener, BindRetry, ListenerOptions, ListenerState},
};
use soloist_tls::ReloadingAcceptor;

/// The addresses.
pub(super) struct RelayListeners {
    context: Arc<RelayContext>,
    open: BTreeMap<ListenerKey, AddressListener<RelayService>>,
}

impl RelayListeners {
    /// None yet.
    pub(super) fn new(context: Arc<RelayContext>) -> Self {
        Self { context, open: BTreeMap::new() }
    }

    /// Opens and closes addresses as `programme` changes, until the host is about to stop;
    /// then lets go of them all, and returns when no connection is left.
    pub(super) async fn run(mut self, mut programme: watch::Receiver<Arc<Programme>>) {
        let closing = self.context.closing.clone();
        loop {
            let now = Arc::clone(&programme.borrow_and_update());
            self.apply_programme(&now);
            tokio::select! {
                biased;
                () = closing.cancelled() => break,
                changed = programme.changed() => if changed.is_err() {
                    closing.cancelled().await;
                    break;
                }
            }
        }
        join_all(self.open.values().map(AddressListener::close)).await;
        join_all(self.open.values().map(AddressListener::join)).await;
    }

    fn apply_programme(&mut self, programme: &Programme) {
        let mut tables = targets_by_address(programme);
        let unused: Vec<_> = self.open.extract_if(.., |key, _| !tables.contains_key(key)).collect();
        for (key, door) in unused {
            let opening = self.context.directory.listener_state(&key);
            self.context.tasks.spawn(async move {
                door.close().await;
                opening.send_replace(ListenerState::Starting);
                door.join().await;
            });
        }
        while let Some((key, AddressTargets { tls, targets: seats })) = tables.pop_first() {
            let opening = self.context.directory.listener_state(&key);
            let (shared, address) = (&self.context, key.0);
            let open = || {
                let desk = Arc::new(RelayService::new(shared));
                let retry = BindRetry::Forever;
                let options = ListenerOptions { address, tls, retry, outcome: opening };
                AddressListener::open(options, desk, &shared.tasks)
            };
            self.open.entry(key).or_insert_with(open).handler().set_targets(seats);
        }
    }
}

/// Who is at an address.
#[derive(Default)]
struct AddressTargets {
    tls: Option<ReloadingAcceptor>,
    targets: Vec<(Arc<str>, RelayTarget)>,
}

/// The addresses that every host listens on, and who is at each: what cannot be had keeps its
/// place.
fn targets_by_address(programme: &Programme) -> BTreeMap<ListenerKey, AddressTargets> {
    let mounts = action::mounts(&programme.actions, &programme.refused);
    let mut tables: BTreeMap<ListenerKey, AddressTargets> = BTreeMap::new();
    for action in programme.actions.iter().filter(|it| it.config().relay.standby.listens()) {
        let Some(mount) = mounts.get(action.name()) else { continue };
        let table = tables.entry(listener_key(action)).or_default();
        table.tls = action.tls().cloned();
        let seat = |path: &Arc<str>| (Arc::clone(path), RelayTarget::Action(Arc::clone(action)));
        table.targets.extend(mount.paths.iter().map(seat));
    }
    for (key, table) in &mut tables {
        keep_reserved_paths(&programme.refused, key.0, &mut table.targets, RelayTarget::Closed);
    }
    tables
}
