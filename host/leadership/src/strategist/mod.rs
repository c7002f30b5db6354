//! Holds the roster against what people and strategies want, and tells the heart.
//!
//! ```text
//!   notes: drained, frozen ───► barred, unbarred; resign asked
//!   strategies, settings ─────► step back, preferred
//! ```
//!
//! It decides nothing about safety: the heart may be told any of this at any
//! time. What the store shows is all that it goes by, so every host comes to the
//! same; where hosts disagree all the same, [`Patience`](patience) ends the to and fro.
//! What follows from a look is the [`Adviser`]'s to say, which waits for nothing and
//! reads no clock.

mod adviser;
mod adviser_input;
mod expected_back;
mod group_position;
mod hand_over_limit;
mod host_ranker;
mod host_scores;
mod spread_disagreement;
mod spreader;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::{
    adviser::{Adviser, bar},
    adviser_input::AdviserOutcome,
    host_ranker::{GroupRanks, HostRanker},
    spread_disagreement::spread_disagreement,
};
use crate::host_view::{GroupRole, GroupView, HostView};
use soloist_config::GroupConfig;
use soloist_heart::{Group, HeartEvent, clock::BootTime};
use soloist_stores::Roster;
use soloist_telemetry::log_throttle::LogThrottle;

/// The longest nap: timers stand still while the machine is suspended.
const NAP: Duration = Duration::from_secs(1);
/// How long changes may gather: a thousand groups change one by one.
const GATHER: Duration = Duration::from_millis(20);

/// Tells the heart what people and strategies want of this host.
pub struct Strategist {
    /// This host's name.
    pub host: Arc<str>,
    /// Who should lead which group; the others go by the default.
    pub groups: BTreeMap<Group, GroupConfig>,
    /// Who is asked about groups that no built-in strategy is for.
    pub ranker: Box<dyn HostRanker>,
    /// What is known of the cluster.
    pub roster: watch::Receiver<Option<Roster>>,
    /// What the heart lets others see.
    pub view: watch::Receiver<HostView>,
    /// Where events for the heart go in.
    pub events: UnboundedSender<HeartEvent>,
    /// Cancelled when people want this host to leave the cluster.
    pub leave: CancellationToken,
}

impl Strategist {
    /// Follows until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let (mut roster, mut view) = (self.roster.clone(), self.view.clone());
        let mut adviser = Adviser::new(Arc::clone(&self.host), self.groups.clone());
        let (mut nap, mut seen, mut was_in) = (NAP, false, false);
        let at_odds = LogThrottle::default();
        let following = async {
            loop {
                tokio::select! {
                    Ok(()) = roster.changed() => {}
                    Ok(()) = view.changed() => {}
                    () = sleep(nap) => {}
                }
                if seen {
                    let gathered = async { while roster.changed().await.is_ok() {} };
                    let _ = timeout(GATHER, gathered).await;
                }
                let known = roster.borrow_and_update().clone();
                let view = view.borrow_and_update().clone();
                (nap, seen) = (NAP, known.is_some());
                was_in |= view.joined;
                if let Some(roster) = known {
                    if was_in {
                        self.leave(&roster, &view);
                    }
                    self.report_disagreements(&roster, &view, &at_odds);
                    let places = self.ranker.rank(&roster).await;
                    let advised = adviser.look(&roster, &view, &places, BootTime::now());
                    nap = advised.look_again.unwrap_or(NAP).min(NAP);
                    // Without a driver nobody stands.
                    advised.events.into_iter().for_each(|event| drop(self.events.send(event)));
                }
            }
        };
        stop.run_until_cancelled(following).await;
    }

    /// Tells whether others spread what this host does not, or the other way round: those who
    /// do go by a plan that this one takes no part in.
    fn report_disagreements(&self, roster: &Roster, view: &HostView, at_odds: &LogThrottle) {
        let config = |group| self.groups.get(group).unwrap_or(&GroupConfig::DEFAULT);
        let groups = view.groups.keys().map(|group| (group, config(group)));
        match spread_disagreement::spread_disagreements(&self.host, groups, roster) {
            Some(odds) => at_odds.report_text(&odds.who, |told| {
                let odds = &odds.text;
                warn!(
                    event = "spread-differs",
                    "hosts do not agree on what is spread, so no plan is followed by all of \
                     them: {odds}; give the groups the same `spread` on each host{told}"
                );
            }),
            None => at_odds.recovered(|_| {
                info!(event = "spread-agreed", "hosts agree on what is spread");
            }),
        }
    }

    /// Leaves when people have removed this host, which was there, and it leads nothing more.
    /// One that was removed before it was started stays up, to say so.
    fn leave(&self, roster: &Roster, view: &HostView) {
        let Some(removal) = roster.notes.removed.get(&*self.host) else { return };
        let leads = |here: &GroupView| {
            matches!(here.role, GroupRole::Leader | GroupRole::Draining | GroupRole::Resigning)
        };
        if self.leave.is_cancelled() || view.groups.values().any(leads) {
            return;
        }
        let (name, by) = (&self.host, &removal.order.by);
        warn!(
            event = "leaving",
            by, "{by} removed this host from the cluster; `soloist admit {name}` lets it in again"
        );
        self.leave.cancel();
    }
}

#[cfg(test)]
mod tests;
