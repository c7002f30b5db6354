//! Follows the cluster's roster in the store, and resumes whenever the store was unreachable.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::roster_view::RosterFreshness;
use soloist_heart::Group;
use soloist_stores::{QueuedCandidate, Roster, Store, StoreError, ThisHost};
use soloist_telemetry::journal::{Journal, Transition};

/// Keeps the latest known roster up to date.
pub(crate) struct RosterFollower {
    /// The store that is watched.
    pub(crate) store: Arc<dyn Store>,
    /// This host: its own terms are reported elsewhere.
    pub(crate) host: ThisHost,
    /// Notified when the roster is confirmed, and when it is no longer followed.
    pub(crate) freshness: RosterFreshness,
    /// Where changes of other hosts' leaderships are recorded.
    pub(crate) journal: Journal,
    /// The pause between the loss of a watch and the next one.
    pub(crate) retry: Duration,
}

impl RosterFollower {
    /// Follows the roster until `stop`. While the store is unreachable the roster stays as it was;
    /// [`RosterView`] tells whether it is still current.
    ///
    /// [`RosterView`]: crate::RosterView
    pub(crate) async fn run(self, to: watch::Sender<Option<Roster>>, stop: CancellationToken) {
        let following = async {
            loop {
                // Whether the store answers is reported by the session, not here.
                let lost = self.follow(&to).await;
                self.freshness.watch_lost();
                if let Err(error) = lost {
                    debug!(%error, "can no longer read the cluster");
                }
                sleep(self.retry).await;
            }
        };
        stop.run_until_cancelled(following).await;
    }

    async fn follow(&self, to: &watch::Sender<Option<Roster>>) -> Result<(), StoreError> {
        let mut rosters = self.store.watch().await?;
        while let Some(roster) = rosters.next().await {
            let roster = roster?;
            self.compare(to.borrow().as_ref(), &roster);
            self.freshness.roster_received();
            to.send_replace(Some(roster));
        }
        Ok(())
    }

    /// Reports how terms of other hosts begin and end, as far as the roster shows it. This host's
    /// own terms are reported by its heart, with their causes.
    fn compare(&self, before: Option<&Roster>, now: &Roster) {
        let before_too = before.into_iter().flat_map(|roster| roster.groups.keys());
        let gone = before_too.filter(|group| !now.groups.contains_key(*group));
        for group in now.groups.keys().chain(gone) {
            let was = before.and_then(|roster| roster.leader(group));
            let is = now.leader(group);
            if was.map(|it| it.key.fencing_token) != is.map(|it| it.key.fencing_token) {
                self.record_change(group, was, is, now);
            }
        }
    }

    fn record_change(
        &self,
        group: &Group,
        was: Option<&QueuedCandidate>,
        is: Option<&QueuedCandidate>,
        now: &Roster,
    ) {
        let others = |it: &&QueuedCandidate| self.host.is_other(&it.candidate);
        let of = |event, it: &QueuedCandidate| {
            Transition::of(event, &it.candidate.host).in_term(&it.key)
        };
        if let Some(was) = was.filter(others) {
            let cause = match now.member_of(was.key.lease) {
                Some(_) => "the leader resigned",
                None => "the leader's session ended",
            };
            self.journal.record(of("ended", was).because(cause));
        }
        if let Some(is) = is.filter(others) {
            let (name, fencing_token) = (&is.candidate.host, is.key.fencing_token.0);
            info!(event = "following", %group, leader = name, fencing_token, "{name} leads");
            self.journal.record(of("following", is));
        } else if is.is_none() {
            info!(event = "leaderless", %group, "nobody leads");
            self.journal.record(Transition::of("leaderless", self.host.name()).in_group(group));
        }
    }
}
