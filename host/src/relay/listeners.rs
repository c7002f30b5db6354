//! The addresses of actions that every host listens on (`standby` is `forward` or `redirect`),
//! kept in step with the programme.

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

/// The open listeners, by address.
pub(super) struct RelayListeners {
    context: Arc<RelayContext>,
    open: BTreeMap<ListenerKey, AddressListener<RelayService>>,
}

impl RelayListeners {
    /// Without any listener yet.
    pub(super) fn new(context: Arc<RelayContext>) -> Self {
        Self { context, open: BTreeMap::new() }
    }

    /// Opens and closes listeners as `programme` changes, until the host begins to stop. Then it
    /// closes them all, and returns when no connection is left.
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
        let mut wanted = targets_by_address(programme);
        let unused: Vec<_> = self.open.extract_if(.., |key, _| !wanted.contains_key(key)).collect();
        for (key, listener) in unused {
            let state = self.context.directory.listener_state(&key);
            self.context.scope.spawn(async move {
                listener.close().await;
                state.send_replace(ListenerState::Starting);
                listener.join().await;
            });
        }
        while let Some((key, AddressTargets { tls, targets })) = wanted.pop_first() {
            let state = self.context.directory.listener_state(&key);
            let (context, address) = (&self.context, key.0);
            let open = || {
                let service = Arc::new(RelayService::new(context));
                let retry = BindRetry::Forever;
                let options = ListenerOptions { address, tls, retry, outcome: state };
                AddressListener::open(options, service, &context.scope)
            };
            self.open.entry(key).or_insert_with(open).handler().set_targets(targets);
        }
    }
}

/// What is served at one address, by path.
#[derive(Default)]
struct AddressTargets {
    tls: Option<ReloadingAcceptor>,
    targets: Vec<(Arc<str>, RelayTarget)>,
}

/// What every host serves, by address. A refused action keeps its path, so that no other action
/// answers there.
fn targets_by_address(programme: &Programme) -> BTreeMap<ListenerKey, AddressTargets> {
    let mounts = action::mounts(&programme.actions, &programme.refused);
    let mut addresses: BTreeMap<ListenerKey, AddressTargets> = BTreeMap::new();
    for action in programme.actions.iter().filter(|it| it.config().relay.standby.listens()) {
        let Some(mount) = mounts.get(action.name()) else { continue };
        let served = addresses.entry(listener_key(action)).or_default();
        served.tls = action.tls().cloned();
        let target = |path: &Arc<str>| (Arc::clone(path), RelayTarget::Action(Arc::clone(action)));
        served.targets.extend(mount.paths.iter().map(target));
    }
    for (key, served) in &mut addresses {
        keep_reserved_paths(&programme.refused, key.0, &mut served.targets, RelayTarget::Refused);
    }
    addresses
}
