//! Watches the addresses that the hosts of the cluster advertise.

use std::collections::BTreeSet;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::address_warnings::{AddressWarning, address_warnings};
use soloist_stores::{Member, Roster};

/// Publishes what is wrong with the addresses of hosts, and logs each change once.
pub struct AddressWatch {
    /// This host's own entry.
    pub member: Member,
    /// Whether other machines could use this host's store as well.
    pub store_is_remote: bool,
    /// The members.
    pub roster: watch::Receiver<Option<Roster>>,
}

impl AddressWatch {
    /// Follows the roster until `stop`, from before the first one was read.
    pub async fn run(
        mut self,
        warnings: watch::Sender<BTreeSet<AddressWarning>>,
        stop: CancellationToken,
    ) {
        let following = async {
            loop {
                let now = self.look();
                warnings.send_if_modified(|before| {
                    log_change(before, &now);
                    std::mem::replace(before, now) != *before
                });
                if self.roster.changed().await.is_err() {
                    return;
                }
            }
        };
        stop.run_until_cancelled(following).await;
    }

    fn look(&mut self) -> BTreeSet<AddressWarning> {
        let roster = self.roster.borrow_and_update();
        let members = roster.iter().flat_map(|roster| &roster.members);
        let members = members.map(|(_, member)| &**member);
        address_warnings(&self.member, members, self.store_is_remote)
    }
}

fn log_change(before: &BTreeSet<AddressWarning>, now: &BTreeSet<AddressWarning>) {
    for warning in now.difference(before) {
        warn!(event = warning.event(), "{warning}");
    }
    if now.is_empty() && !before.is_empty() {
        info!(event = "addresses-right", "the addresses of all hosts are in order again");
    }
}
