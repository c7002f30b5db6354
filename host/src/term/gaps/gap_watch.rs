//! Watches for groups in which nobody performs.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Gap, Gaps, gap_reporter::GapReporter, leader_inquiry::LeaderInquiry};
use crate::{action::Programme, cluster::PeerClient};
use soloist_heart::clock::{BootTime, unix_ms};
use soloist_leadership::{GapReason, HostView, RosterView};
use soloist_stores::{QueuedCandidate, ThisHost};
use soloist_telemetry::journal::Journal;

/// The longest sleep: timers stand still while the machine is suspended.
const NAP: Duration = Duration::from_millis(500);
/// How long changes are gathered before they are handled: a thousand groups change one by one.
const GATHER: Duration = Duration::from_millis(20);

/// Watches for groups in which nobody performs.
pub struct GapWatch {
    /// This host.
    pub host: ThisHost,
    /// The client of other hosts.
    pub peers: PeerClient,
    /// How long a hand-over or a take-over may take; longer gaps are reported.
    pub patience: Duration,
    /// The actions of this host.
    pub programme: watch::Receiver<Arc<Programme>>,
    /// What is known of the cluster.
    pub roster_view: RosterView,
    /// What the heart shows of itself.
    pub view: watch::Receiver<HostView>,
    /// Where the beginnings and ends of gaps are recorded.
    pub journal: Journal,
}

impl GapWatch {
    /// Watches until `stop` is cancelled; what it finds goes to `gaps`.
    pub async fn run(mut self, gaps: watch::Sender<Gaps>, stop: CancellationToken) {
        let mut reporter = GapReporter::new(Arc::clone(self.host.name()), self.journal.clone());
        let (host, peers) = (self.host.clone(), self.peers.clone());
        let mut inquiry = LeaderInquiry::new(host, peers, self.patience / 2);
        let mut roster = self.roster_view.rosters();
        let watching = async {
            loop {
                roster.mark_unchanged();
                self.refresh(&gaps, &inquiry);
                let silent = self.silent_heads(&gaps.borrow());
                inquiry.ask(&silent).await;
                reporter.report(&gaps.borrow());
                tokio::select! {
                    Ok(()) = roster.changed() => {}
                    Ok(()) = self.view.changed() => {}
                    Ok(()) = self.programme.changed() => {}
                    () = sleep(NAP) => {}
                }
                let gathered = async { while roster.changed().await.is_ok() {} };
                let _ = timeout(GATHER, gathered).await;
            }
        };
        stop.run_until_cancelled(watching).await;
    }

    /// The heads of queues that have been silent for half the time that a hand-over may take, or
    /// of which only their hosts know that they lead.
    fn silent_heads(&self, gaps: &Gaps) -> Vec<QueuedCandidate> {
        let known = self.roster_view.current();
        let Some(roster) = known.now() else { return Vec::new() };
        let lasts = |gap: &Gap| BootTime::now().since(gap.reason_since) >= self.patience / 2;
        let silent = gaps.groups.iter().filter_map(|(group, gap)| match &gap.reason {
            GapReason::Silent { .. } if lasts(gap) => Some(group),
            _ => None,
        });
        let groups = silent.chain(gaps.unproclaimed.keys());
        groups.filter_map(|group| roster.leader(group).cloned()).collect()
    }

    fn refresh(&mut self, gaps: &watch::Sender<Gaps>, inquiry: &LeaderInquiry) {
        let view = self.view.borrow_and_update().clone().at(BootTime::now());
        let mut groups = self.programme.borrow_and_update().groups();
        let known = self.roster_view.current();
        let roster = known.last().cloned().unwrap_or_default();
        groups.extend(roster.groups.keys().cloned());
        let now = (BootTime::now(), unix_ms());
        gaps.send_modify(|gaps| {
            let mut found = Gaps { threshold: self.patience, ..Gaps::default() };
            for group in groups {
                if let Some(reason) = GapReason::of_known(&group, &known, &view) {
                    if let GapReason::Silent { key, .. } = &reason
                        && let Some(term) = inquiry.term(key)
                    {
                        found.unproclaimed.insert(group, term.clone());
                        continue;
                    }
                    let before = gaps.groups.get(&group);
                    let (since, since_unix) = before.map_or(now, |gap| (gap.since, gap.since_unix));
                    let same = before.filter(|gap| gap.reason == reason);
                    let reason_since = same.map_or(now.0, |gap| gap.reason_since);
                    found.groups.insert(group, Gap { since, since_unix, reason, reason_since });
                }
            }
            for stranger in roster.foreign_candidates.values().flatten() {
                let first = gaps.strangers_seen.get(stranger).copied().unwrap_or(now.1);
                found.strangers_seen.insert(Arc::clone(stranger), first);
            }
            *gaps = found;
        });
    }
}
