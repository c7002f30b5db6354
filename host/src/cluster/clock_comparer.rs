//! Compares this host's wall clock with those of other hosts, which it asks for theirs.
//!
//! The result goes to everything that depends on wall time. It is logged when the verdict changes.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::PeerClient;
use crate::wall_clock::WallClock;
use soloist_heart::clock::{BootTime, ClockComparison, ClockReading, ClockVerdict};
use soloist_stores::{Member, Roster, ThisHost};
use soloist_telemetry::measure;

/// The time from one comparison to the next, unless something calls for one.
const ROUND: Duration = Duration::from_secs(10);
/// How many other hosts are asked in a large cluster: the first by name, so that all hosts ask
/// nearly the same ones.
const ASKED_MAX: usize = 15;

/// Compares the clocks; one task of a host.
pub struct ClockComparer {
    /// This host.
    pub host: ThisHost,
    /// The clock of this host.
    pub clock: WallClock,
    /// The client of other hosts.
    pub peers: PeerClient,
    /// The last roster that was read from the store.
    pub roster: watch::Receiver<Option<Roster>>,
    /// Where the result of each comparison goes.
    pub compared: watch::Sender<Option<ClockComparison>>,
}

impl ClockComparer {
    /// Compares until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        // When the clock is set, it is compared at once. Changes that are caused by the comparison
        // itself are ignored (`mark_unchanged`).
        let mut set = self.clock.clone();
        let comparing = async {
            let mut logged = ClockVerdict::Right;
            loop {
                let others = self.others().await;
                let comparison = self.compare(&others).await;
                self.log_verdict(comparison.verdict(), &mut logged);
                let holds = self.publish(comparison);
                set.mark_unchanged();
                if !holds {
                    continue;
                }
                tokio::select! {
                    () = sleep(ROUND) => {}
                    () = set.changed() => {}
                    () = self.members_changed(&others) => {}
                }
            }
        };
        stop.run_until_cancelled(comparing).await;
    }

    /// The other members, as soon as there is a roster.
    async fn others(&mut self) -> Vec<Arc<Member>> {
        let known = self.roster.wait_for(Option::is_some).await;
        let others = known.ok().map(|roster| others(&self.host, roster.as_ref()));
        match others {
            Some(others) => others,
            // The roster's sender is gone: the host is stopping.
            None => std::future::pending().await,
        }
    }

    /// Resolves when the other members are not these any more.
    async fn members_changed(&mut self, others_before: &[Arc<Member>]) {
        let names = |members: &[Arc<Member>]| -> Vec<_> {
            members.iter().map(|member| (member.name.clone(), member.joined)).collect()
        };
        let before = names(others_before);
        let host = self.host.clone();
        let is_new = |roster: &Option<Roster>| names(&others(&host, roster.as_ref())) != before;
        let has_changed = self.roster.wait_for(is_new).await.is_ok();
        if !has_changed {
            std::future::pending().await
        }
    }

    async fn compare(&self, others: &[Arc<Member>]) -> ClockComparison {
        let (wall, boot) = (self.clock.now(), BootTime::now());
        let asked = others.iter().take(ASKED_MAX).map(|member| self.read_clock(member));
        let readings: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
        let verdict = ClockVerdict::of(&readings, others.len().min(ASKED_MAX) + 1);
        ClockComparison::new(verdict, wall, boot)
    }

    /// Reads the clock of another host.
    async fn read_clock(&self, member: &Member) -> Option<ClockReading> {
        let (asked, own) = (BootTime::now(), self.clock.now());
        let shown = self.peers.clock(member.into(), self.host.name()).await?;
        ClockReading::of(member.name.clone(), shown, own, BootTime::now().since(asked))
    }

    fn log_verdict(&self, verdict: &ClockVerdict, logged: &mut ClockVerdict) {
        measure::clock_ahead(verdict.ahead());
        if std::mem::discriminant(verdict) == std::mem::discriminant(logged) {
            return;
        }
        match verdict {
            ClockVerdict::Right => info!(event = "clock-right", "{verdict}"),
            ClockVerdict::Off(_) | ClockVerdict::Disputed(_) => {
                warn!(event = "clock-off", "{verdict}: jobs begin early or late by as much");
            }
            ClockVerdict::Wrong(_) => warn!(
                event = "clock-wrong",
                "{verdict}: until then this host claims no run of a job, and leads no group \
                 that has one with a schedule"
            ),
        }
        logged.clone_from(verdict);
    }

    /// Publishes a comparison, and returns whether it still holds: the clock may have been set
    /// while the others were asked. Receivers are woken only if there is something new.
    fn publish(&self, comparison: ClockComparison) -> bool {
        let (wall, boot) = (self.clock.now(), BootTime::now());
        let holds = comparison.holds(wall, boot);
        self.compared.send_if_modified(|known| {
            let is_news = known
                .as_ref()
                .is_none_or(|it| it.verdict() != comparison.verdict() || !it.holds(wall, boot));
            *known = Some(comparison);
            is_news
        });
        holds
    }
}

/// The members other than `host`, sorted by name.
fn others(host: &ThisHost, roster: Option<&Roster>) -> Vec<Arc<Member>> {
    let members = roster.map_or(&[][..], |roster| &roster.members);
    let mut others: Vec<_> = members
        .iter()
        .filter(|(_, member)| host.is_other(&**member))
        .map(|(_, member)| Arc::clone(member))
        .collect();
    others.sort_by(|one, other| one.name.cmp(&other.name));
    others
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use tokio::{net::TcpListener, time::timeout};

    use super::*;
    use crate::cluster::PeerCredentials;
    use soloist_heart::{LeaseId, clock::ClockTrust};

    /// The result of a comparison says nothing about a clock that was set meanwhile.
    #[tokio::test]
    async fn a_clock_that_is_set_while_others_are_asked_is_compared_again() {
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", other.local_addr().unwrap());
        let member = Member { url, ..Member::named("b") };
        let roster = Roster { members: vec![(LeaseId(2), member.into())], ..Roster::default() };
        let (hours, (tell, set)) = (Arc::new(AtomicI64::new(0)), watch::channel(()));
        let ahead = Arc::clone(&hours);
        let began = BootTime::now();
        let read = move || {
            let passed = chrono::TimeDelta::from_std(BootTime::now().since(began)).unwrap();
            let ahead = chrono::TimeDelta::hours(ahead.load(Ordering::SeqCst));
            chrono::DateTime::UNIX_EPOCH + passed + ahead
        };
        let clock = WallClock::new(read, set);
        let (to, mut compared) = watch::channel(None);
        let clocks = ClockComparer {
            host: ThisHost::of(&Member::named("a")),
            clock: clock.clone(),
            peers: PeerClient::new(&PeerCredentials::default()).unwrap(),
            roster: watch::channel(Some(roster)).1,
            compared: to,
        };
        let clock = clock.compared_by(compared.clone());
        let stop = CancellationToken::new();
        let running = tokio::spawn(clocks.run(stop.clone()));
        let (asked, _) = other.accept().await.unwrap();
        hours.store(20, Ordering::SeqCst);
        tell.send_replace(());
        // The other host does not answer, so that nothing contradicts the clock as it was.
        drop(asked);
        compared.changed().await.unwrap();
        assert_eq!(clock.permission(clock.now()), ClockTrust::Unknown);
        // The other host is asked again long before the next round.
        let again = timeout(ROUND / 2, other.accept()).await;
        drop(again.expect("the clock is compared again").unwrap());
        compared.changed().await.unwrap();
        assert_eq!(clock.permission(clock.now()), ClockTrust::Trusted);
        stop.cancel();
        running.await.unwrap();
    }
}
