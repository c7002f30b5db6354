//! Follows the cluster's roster in the store, through every loss of the store.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::StreamExt;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::store::{Roster, Store, StoreError};

/// Keeps the last known roster.
pub struct Follower {
    /// Where the roster is.
    pub store: Arc<dyn Store>,
    /// This host's name: its own leadership it hears of elsewhere.
    pub host: Arc<str>,
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
            to.send_replace(Some(roster));
        }
        Ok(())
    }

    /// Tells the changes that concern whoever reads a standby's log.
    fn report(&self, before: Option<&Roster>, now: &Roster) {
        let groups = before.iter().flat_map(|r| r.groups.keys()).chain(now.groups.keys());
        for group in groups.collect::<BTreeSet<_>>() {
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
