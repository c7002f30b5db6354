//! The strategist compares the roster with what people and strategies want, and sends the resulting
//! events to the heart.
//!
//! ```text
//!   notes: drained, frozen ───► barred, unbarred; resign asked
//!   strategies, settings ─────► step back, preferred
//! ```
//!
//! It has no influence on safety: the heart can take any of these events at any time. The
//! strategist uses only what the store shows, so every host comes to the same result; where hosts
//! disagree anyway, [`HandOverLimit`](hand_over_limit) stops them from handing over back and forth.
//! The decisions are made by the [`Adviser`], which waits for nothing and reads no clock.

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
use crate::host_view::{CandidacyRole, GroupView, HostView};
use soloist_config::GroupConfig;
use soloist_heart::{Group, HeartEvent, clock::BootTime};
use soloist_stores::{Roster, ThisHost};
use soloist_telemetry::log_throttle::LogThrottle;

/// The longest sleep: timers stand still while the machine is suspended.
const NAP: Duration = Duration::from_secs(1);
/// How long to collect changes before looking: a thousand groups change one by one.
const GATHER: Duration = Duration::from_millis(20);

/// Tells the heart what people and strategies want of this host.
pub struct Strategist {
    /// This host.
    pub host: ThisHost,
    /// The settings of the groups; groups that are not listed use the defaults.
    pub groups: BTreeMap<Group, GroupConfig>,
    /// Ranks the hosts of groups that use no built-in strategy.
    pub ranker: Box<dyn HostRanker>,
    /// The latest known roster of the cluster.
    pub roster: watch::Receiver<Option<Roster>>,
    /// The view of this host's heart.
    pub view: watch::Receiver<HostView>,
    /// The channel for the heart's events.
    pub events: UnboundedSender<HeartEvent>,
    /// Cancelled when people want this host to leave the cluster.
    pub leave: CancellationToken,
}

impl Strategist {
    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let (mut roster, mut view) = (self.roster.clone(), self.view.clone());
        let mut adviser = Adviser::new(Arc::clone(self.host.name()), self.groups.clone());
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
                    let ranks = self.ranker.rank(&roster).await;
                    let advised = adviser.advise(&roster, &view, &ranks, BootTime::now());
                    nap = advised.look_again.unwrap_or(NAP).min(NAP);
                    // Without a driver this host does not stand at all.
                    advised.events.into_iter().for_each(|event| drop(self.events.send(event)));
                }
            }
        };
        stop.run_until_cancelled(following).await;
    }

    /// Reports whether other hosts spread groups that this host does not spread, or the other way
    /// round. Those that do follow a plan that the others take no part in.
    fn report_disagreements(&self, roster: &Roster, view: &HostView, at_odds: &LogThrottle) {
        let config = |group| self.groups.get(group).unwrap_or(&GroupConfig::DEFAULT);
        let groups = view.groups.keys().map(|group| (group, config(group)));
        match spread_disagreement::spread_disagreements(&self.host, groups, roster) {
            Some(odds) => at_odds.report_text(&odds.who, |repeats| {
                let odds = &odds.text;
                warn!(
                    event = "spread-differs",
                    "hosts have different settings of `spread`, so they follow no common \
                     plan: {odds}; give the groups the same `spread` on each host{repeats}"
                );
            }),
            None => at_odds.recovered(|_| {
                info!(
                    event = "spread-agreed",
                    "all hosts have the same settings of `spread` again"
                );
            }),
        }
    }

    /// Makes this host leave when people have removed it and it leads nothing any more. Only a host
    /// that had joined leaves; one that was removed before it started stays up to say so.
    fn leave(&self, roster: &Roster, view: &HostView) {
        let Some(removal) = roster.notes.removed.get(&**self.host.name()) else { return };
        let leads = |here: &GroupView| {
            matches!(
                here.role,
                CandidacyRole::Leader | CandidacyRole::Draining | CandidacyRole::Resigning
            )
        };
        if self.leave.is_cancelled() || view.groups.values().any(leads) {
            return;
        }
        let (name, by) = (self.host.name(), &removal.order.by);
        info!(
            event = "leaving",
            by, "{by} removed this host from the cluster; `soloist admit {name}` lets it in again"
        );
        self.leave.cancel();
    }
}

#[cfg(test)]
mod tests;
