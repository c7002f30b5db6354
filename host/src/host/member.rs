//! The entry of this host among the members in the store.

use std::collections::BTreeSet;

use tokio::sync::watch;

use crate::{action::TaskOffers, term::FailureReport};
use soloist_config::Config;
use soloist_stores::Member;

/// The part of the entry that does not change while the host runs.
pub(super) fn own_entry(config: &Config, url: String) -> Member {
    Member {
        url,
        labels: config.host.labels.clone(),
        priority: config.host.priority,
        version: env!("CARGO_PKG_VERSION").into(),
        ..Member::of_this_process(&*config.host.name)
    }
}

/// Keeps the part of the entry current that changes: the actions that fail on this host, and the
/// tasks that it takes calls of.
pub(super) async fn publish_member(
    to: watch::Sender<Member>,
    mut failing: watch::Receiver<FailureReport>,
    mut offers: watch::Receiver<TaskOffers>,
) {
    loop {
        to.send_modify(|member| {
            member.failing = failing.borrow_and_update().clone();
            member.tasks = BTreeSet::clone(&offers.borrow_and_update());
        });
        tokio::select! {
            Ok(()) = failing.changed() => {}
            Ok(()) = offers.changed() => {}
            else => return,
        }
    }
}
