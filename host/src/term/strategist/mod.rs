//! Holds the roster against what people and strategies want, and tells the heart.
//!
//! ```text
//!   notes: drained, frozen ───► barred, unbarred; resign asked
//!   strategies, settings ─────► step back, preferred
//! ```
//!
//! It decides nothing about safety: the heart may be told any of this at any
//! time. What the store shows is all that it goes by, so every host comes to the
//! same; where hosts disagree all the same, [`Patience`] ends the to and fro.

mod patience;
mod place;
mod ranking;
mod scores;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub use self::ranking::Ranking;
use self::{patience::Patience, place::Place, ranking::Places, scores::Spreads};
use super::view::{GroupView, HostView, Role};
use crate::{
    clock::BootTime,
    config::GroupConfig,
    election::{Cause, Event, Group, LeaseId, Token},
    store::{Order, Pause, Roster},
    words::because,
};

/// The longest nap: timers stand still while the machine is suspended.
const NAP: Duration = Duration::from_secs(1);
/// How long changes may gather: a thousand groups change one by one.
const GATHER: Duration = Duration::from_millis(20);
/// How many groups a host hands over at once to spread them.
const AT_ONCE: usize = 16;

/// Tells the heart what people and strategies want of this host.
pub struct Strategist {
    /// This host's name.
    pub host: Arc<str>,
    /// Who should lead which group; the others go by the default.
    pub groups: BTreeMap<Group, GroupConfig>,
    /// What plugins say of it.
    pub ranking: Ranking,
    /// What is known of the cluster.
    pub roster: watch::Receiver<Option<Roster>>,
    /// What the heart lets others see.
    pub view: watch::Receiver<HostView>,
    /// Where events for the heart go in.
    pub events: UnboundedSender<Event>,
    /// Cancelled when people want this host to leave the cluster.
    pub leave: CancellationToken,
}

/// What was said of a group, and what is being waited for.
#[derive(Debug, Default)]
struct Memory {
    /// Why the heart was told not to stand.
    barred: Option<String>,
    /// The candidate that was last asked to step back.
    stepped_back: Option<Token>,
    /// The term that was last asked to hand over.
    handed_over: Option<Token>,
    /// Since when this session should lead rather than this host.
    better: Option<(LeaseId, BootTime)>,
    patience: Patience,
}

/// What this host knows of its own part, at one moment.
struct Look<'a> {
    roster: &'a Roster,
    view: &'a HostView,
    lease: LeaseId,
    now: BootTime,
    places: Places,
    spreads: Spreads<'a>,
}

impl Strategist {
    /// Follows until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let (mut roster, mut view) = (self.roster.clone(), self.view.clone());
        let mut memories = BTreeMap::new();
        let (mut nap, mut seen, mut was_in) = (NAP, false, false);
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
                    let places = self.ranking.places(&roster).await;
                    nap = self.look(&roster, &view, places, &mut memories).min(NAP);
                }
            }
        };
        stop.run_until_cancelled(following).await;
    }

    /// Tells the heart what follows, and returns when to look again at the latest.
    fn look(
        &self,
        roster: &Roster,
        view: &HostView,
        places: Places,
        memories: &mut BTreeMap<Group, Memory>,
    ) -> Duration {
        for group in view.groups.keys() {
            let memory = memories.entry(group.clone()).or_default();
            self.bar(group, roster, memory);
        }
        let Some((lease, _)) = view.session else { return NAP };
        let spreads = Spreads::plan(roster, &self.groups);
        let look = Look { roster, view, lease, now: BootTime::now(), places, spreads };
        self.give_up(&look, memories);
        // By preference one leadership at a time: who leads what bears on the next.
        let (mut nap, mut preferred, mut spread) = (NAP, 1, AT_ONCE);
        for group in view.groups.keys() {
            let config = self.groups.get(group).unwrap_or(&GroupConfig::DEFAULT);
            let memory = memories.entry(group.clone()).or_default();
            let Some(mut place) = Place::of(&look, group, config, memory) else { continue };
            let left = if config.spread { &mut spread } else { &mut preferred };
            let (event, wait) = place.judge(left);
            // Without a driver nobody stands.
            event.into_iter().for_each(|event| drop(self.events.send(event)));
            nap = nap.min(wait.unwrap_or(NAP));
        }
        nap
    }

    /// Bars this host from standing while people want that.
    fn bar(&self, group: &Group, roster: &Roster, memory: &mut Memory) {
        let wanted = bar(&self.host, group, roster);
        if memory.barred == wanted {
            return;
        }
        let (told, group) = (wanted.clone(), group.clone());
        // Without a driver nobody stands.
        let _ = self.events.send(match wanted {
            Some(reason) => Event::Barred { group, reason },
            None => Event::Unbarred { group },
        });
        memory.barred = told;
    }

    /// Hands over what a host leads that is to stay out.
    fn give_up(&self, look: &Look<'_>, memories: &mut BTreeMap<Group, Memory>) {
        let Some((what, order)) = kept_out(&self.host, look.roster) else { return };
        for (group, here) in &look.view.groups {
            let Some(own) = look.roster.queue(group).iter().find(|s| s.key.lease == look.lease)
            else {
                continue;
            };
            let memory = memories.entry(group.clone()).or_default();
            if here.role == Role::Leader && memory.handed_over != Some(own.key.token) {
                memory.handed_over = Some(own.key.token);
                let (key, by) = (own.key.clone(), order.by.clone());
                let reason = because(&format!("this host is {what}"), &order.reason);
                let cause = Cause::Commanded { by, reason };
                let _ = self.events.send(Event::HandOver { key, cause });
            }
        }
    }

    /// Leaves when people have removed this host, which was there, and it leads nothing more.
    /// One that was removed before it was started stays up, to say so.
    fn leave(&self, roster: &Roster, view: &HostView) {
        let Some(removal) = roster.notes.removed.get(&*self.host) else { return };
        let leads = |here: &GroupView| matches!(here.role, Role::Leader | Role::Draining);
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

/// How people keep `host` out, if they do, and who wants that.
fn kept_out<'a>(host: &str, roster: &'a Roster) -> Option<(&'static str, &'a Order)> {
    let removed = roster.notes.removed.get(host).map(|removal| ("removed", &removal.order));
    removed.or_else(|| Some(("drained", &roster.notes.drained.get(host)?.order)))
}

/// Why `host` must not stand in `group`, if people want that.
pub(super) fn bar(host: &str, group: &Group, roster: &Roster) -> Option<String> {
    if let Some((what, order)) = kept_out(host, roster) {
        return Some(because(&format!("{} {what} this host", order.by), &order.reason));
    }
    let Pause { order, .. } = roster.notes.pause_of(group).filter(|pause| pause.freeze)?;
    Some(because(&format!("{} froze it", order.by), &order.reason))
}
