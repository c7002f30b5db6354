//! Compares this host's wall clock with those of the others, which it asks.
//!
//! What comes of it goes to whatever runs by wall time; people hear of it once when it
//! changes.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::PeerClient;
use crate::wall_clock::WallClock;
use soloist_heart::clock::{BootTime, ClockComparison, ClockReading, ClockVerdict};
use soloist_stores::{Member, Roster};
use soloist_telemetry::measure;

/// From one comparison to the next, unless there is a reason for one.
const ROUND: Duration = Duration::from_secs(10);
/// So many other hosts are asked, in a cluster of more: the first by name, so that all
/// ask about the same.
const ASKED_MAX: usize = 15;

/// Compares the clocks: one task a host.
pub struct ClockComparer {
    /// This host.
    pub host: Arc<str>,
    /// Its clock.
    pub clock: WallClock,
    /// The way to the others.
    pub peers: PeerClient,
    /// Who is there.
    pub roster: watch::Receiver<Option<Roster>>,
    /// Where it goes what the comparison came to.
    pub compared: watch::Sender<Option<ClockComparison>>,
}

impl ClockComparer {
    /// Compares until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        // A clock that is set is compared at once. What comes of it is no news here.
        let mut set = self.clock.clone();
        let comparing = async {
            let mut said = ClockVerdict::Right;
            loop {
                let others = self.others().await;
                let comparison = self.compare(&others).await;
                self.log_verdict(comparison.verdict(), &mut said);
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

    /// The others, once it is known who is there.
    async fn others(&mut self) -> Vec<Arc<Member>> {
        let known = self.roster.wait_for(Option::is_some).await;
        let others = known.ok().map(|roster| others(&self.host, roster.as_ref()));
        match others {
            Some(others) => others,
            // Nobody tells any more.
            None => std::future::pending().await,
        }
    }

    /// Resolves when others are there than these.
    async fn members_changed(&mut self, others_before: &[Arc<Member>]) {
        let names = |members: &[Arc<Member>]| -> Vec<_> {
            members.iter().map(|member| (member.name.clone(), member.joined)).collect()
        };
        let before = names(others_before);
        let host = Arc::clone(&self.host);
        let is_new = |roster: &Option<Roster>| names(&others(&host, roster.as_ref())) != before;
        let told = self.roster.wait_for(is_new).await.is_ok();
        if !told {
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

    /// What the clock of another host shows.
    async fn read_clock(&self, member: &Member) -> Option<ClockReading> {
        let (asked, own) = (BootTime::now(), self.clock.now());
        let shown = self.peers.clock(&member.url).await?;
        ClockReading::of(member.name.clone(), shown, own, BootTime::now().since(asked))
    }

    fn log_verdict(&self, verdict: &ClockVerdict, said: &mut ClockVerdict) {
        measure::clock_ahead(verdict.ahead());
        if std::mem::discriminant(verdict) == std::mem::discriminant(said) {
            return;
        }
        match verdict {
            ClockVerdict::Right => info!(event = "clock-right", "{verdict}"),
            ClockVerdict::Off(_) | ClockVerdict::Disputed(_) => {
                warn!(event = "clock-off", "{verdict}: jobs begin early or late by as much");
            }
            ClockVerdict::Wrong(_) => warn!(
                event = "clock-wrong",
                "{verdict}: until then this host claims no firing of a job, and leads no group \
                 that has one with a schedule"
            ),
        }
        said.clone_from(verdict);
    }

    /// Says whether it still holds: the clock may have been set while others were asked.
    /// Wakes nobody who would learn nothing by it.
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

/// The members other than `host`, by name.
fn others(host: &str, roster: Option<&Roster>) -> Vec<Arc<Member>> {
    let members = roster.map_or(&[][..], |roster| &roster.members);
    let mut others: Vec<_> = members
        .iter()
        .filter(|(_, member)| member.name != host)
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

    /// What is found out of a clock is nothing about what somebody sets it to meanwhile.
    #[tokio::test]
    async fn a_clock_that_is_set_while_others_are_asked_is_compared_anew() {
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
            host: "a".into(),
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
        // It does not answer, so that nothing speaks against the clock as it was.
        drop(asked);
        compared.changed().await.unwrap();
        assert_eq!(clock.permission(clock.now()), ClockTrust::Unknown);
        // Long before the next round, the other is asked again.
        let again = timeout(ROUND / 2, other.accept()).await;
        drop(again.expect("the clock is compared anew").unwrap());
        compared.changed().await.unwrap();
        assert_eq!(clock.permission(clock.now()), ClockTrust::Trusted);
        stop.cancel();
        running.await.unwrap();
    }
}
