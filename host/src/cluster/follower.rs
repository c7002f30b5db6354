//! Follows the cluster's roster in the store, through every loss of the store.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::StreamExt;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::{
    election::Group,
    journal::{Journal, Transition},
    store::{Roster, Standing, Store, StoreError},
};

/// Keeps the last known roster.
pub struct Follower {
    /// Where the roster is.
    pub store: Arc<dyn Store>,
    /// This host's name: its own leadership it hears of elsewhere.
    pub host: Arc<str>,
    /// Where changes of others' leaderships are taken down.
    pub journal: Journal,
    /// From a lost watch to the next.
    pub retry: Duration,
}

impl Follower {
    /// Follows until `stop`. A roster stays what it was while the store is lost.
    pub async fn run(self, to: watch::Sender<Option<Roster>>, stop: CancellationToken) {
        let following = async {
            loop {
                // Who cares whether the store answers hears it from the session.
                if let Err(error) = self.follow(&to).await {
                    debug!(%error, "lost sight of the cluster");
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
            self.report(to.borrow().as_ref(), &roster);
            let before = to.borrow().clone().unwrap_or_default();
            groups(Some(&before), &roster)
                .for_each(|group| self.take_down(group, &before, &roster));
            to.send_replace(Some(roster));
        }
        Ok(())
    }

    /// Tells the changes that concern whoever reads a standby's log.
    fn report(&self, before: Option<&Roster>, now: &Roster) {
        for group in groups(before, now) {
            let was = before.and_then(|roster| roster.leader(group)).map(|s| s.key.token);
            match now.leader(group) {
                Some(leader) if was == Some(leader.key.token) => {}
                Some(leader) if *leader.candidate.host == *self.host => {}
                Some(leader) => {
                    let (name, token) = (&leader.candidate.host, leader.key.token.0);
                    info!(event = "following", %group, leader = name, token, "{name} leads");
                }
                None if was.is_some() => info!(event = "leaderless", %group, "nobody leads"),
                None => {}
            }
        }
    }
}

impl Follower {
    /// Takes down how the terms of other hosts begin and end, as far as that is seen: this
    /// host's own are told by its heart, with their causes.
    fn take_down(&self, group: &Group, before: &Roster, now: &Roster) {
        let (was, is) = (before.leader(group), now.leader(group));
        if was.map(|it| it.key.token) == is.map(|it| it.key.token) {
            return;
        }
        let others = |it: &&Standing| *it.candidate.host != *self.host;
        let of = |event, it: &Standing| Transition::of(event, &it.candidate.host).in_term(&it.key);
        if let Some(was) = was.filter(others) {
            let cause = match now.member_of(was.key.lease) {
                Some(_) => "seen: it gave the leadership up",
                None => "seen: its session has ended",
            };
            self.journal.write(of("ended", was).since(cause));
        }
        if let Some(is) = is.filter(others) {
            self.journal.write(of("following", is));
        } else if is.is_none() {
            self.journal.write(Transition::of("leaderless", &self.host).in_group(group));
        }
    }
}

/// The groups that either shows.
fn groups<'a>(before: Option<&'a Roster>, now: &'a Roster) -> impl Iterator<Item = &'a Group> {
    let groups = before.into_iter().flat_map(|r| r.groups.keys()).chain(now.groups.keys());
    groups.collect::<BTreeSet<_>>().into_iter()
}
