//! What is known of the cluster, and whether it is so still.
//!
//! Those who act go by the last roster that there was: the store decides whether what they do
//! holds. Those who tell people must not: a roster that nobody confirms any more is the past.
//!
//! It is confirmed by whatever the watch of it brings, and by each renewal of the session that
//! is acknowledged while that watch is there. After as long as a lease may be relied on,
//! whoever led has stopped, if it was as cut off as this host is; so nobody knows any more.

use std::{sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use soloist_heart::{
    Timings,
    clock::{BootTime, unix_ms},
};
use soloist_stores::Roster;

/// When the store has confirmed last what the roster shows. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct RosterFreshness(Arc<Mutex<Confirmation>>);

#[derive(Debug, Default)]
struct Confirmation {
    at: BootTime,
    /// The same, in milliseconds of Unix time; for people.
    unix: u64,
    /// Whether changes would be heard of.
    followed: bool,
}

impl RosterFreshness {
    /// The roster has just come from the store.
    pub fn told(&self) {
        *self.lock() = Confirmation { at: BootTime::now(), unix: unix_ms(), followed: true };
    }

    /// Changes are not heard of any more.
    pub fn watch_lost(&self) {
        self.lock().followed = false;
    }

    /// The store has answered a call that was sent at this moment.
    pub fn answered(&self, sent: BootTime) {
        let mut confirmed = self.lock();
        if confirmed.followed && sent > confirmed.at {
            (confirmed.at, confirmed.unix) = (sent, unix_ms());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Confirmation> {
        self.0.lock()
    }
}

/// The roster, for those who tell people of it. Clones are the same.
#[derive(Clone, Debug)]
pub struct RosterView {
    roster: watch::Receiver<Option<Roster>>,
    freshness: RosterFreshness,
    /// How old a confirmation may be.
    within: Duration,
}

impl RosterView {
    /// What `roster` shows, as fresh as `freshness` says.
    #[must_use]
    pub fn new(
        roster: watch::Receiver<Option<Roster>>,
        freshness: RosterFreshness,
        timings: Timings,
    ) -> Self {
        Self { roster, freshness, within: timings.ttl.saturating_sub(timings.margin) }
    }

    /// Of a host that never reads the store.
    #[must_use]
    pub fn empty() -> Self {
        let (_, roster) = watch::channel(None);
        Self { roster, freshness: RosterFreshness::default(), within: Duration::ZERO }
    }

    /// What is known at this moment.
    #[must_use]
    pub fn current(&self) -> KnownRoster {
        let Some(roster) = self.roster.borrow().clone() else { return KnownRoster::Nothing };
        let confirmed = self.freshness.lock();
        if BootTime::now().since(confirmed.at) <= self.within {
            return KnownRoster::Now(roster);
        }
        KnownRoster::Before { roster, seen: confirmed.unix }
    }

    /// The rosters as they come, for those who wait for one.
    #[must_use]
    pub fn rosters(&self) -> watch::Receiver<Option<Roster>> {
        self.roster.clone()
    }
}

/// What is known of the cluster at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownRoster {
    /// The store has not been read yet.
    Nothing,
    /// It is so.
    Now(Roster),
    /// It was so; the store does not say what is.
    Before {
        /// What it has said last.
        roster: Roster,
        /// When it has last confirmed that, in milliseconds of Unix time.
        seen: u64,
    },
}

impl KnownRoster {
    /// The cluster as it is, if that is known.
    #[must_use]
    pub const fn now(&self) -> Option<&Roster> {
        match self {
            Self::Now(roster) => Some(roster),
            Self::Nothing | Self::Before { .. } => None,
        }
    }

    /// The cluster as it was seen last.
    #[must_use]
    pub const fn last(&self) -> Option<&Roster> {
        match self {
            Self::Now(roster) | Self::Before { roster, .. } => Some(roster),
            Self::Nothing => None,
        }
    }

    /// When it was seen last, if that is over.
    #[must_use]
    pub const fn seen(&self) -> Option<u64> {
        match self {
            Self::Before { seen, .. } => Some(*seen),
            Self::Nothing | Self::Now(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(ttl: Duration) -> (watch::Sender<Option<Roster>>, RosterFreshness, RosterView) {
        let (to, roster) = watch::channel(None);
        let freshness = RosterFreshness::default();
        let timings = Timings::derive(ttl, Duration::ZERO, Duration::ZERO);
        let sight = RosterView::new(
            roster,
            freshness.clone(),
            Timings { margin: Duration::ZERO, ..timings },
        );
        (to, freshness, sight)
    }

    #[test]
    fn what_was_never_read_is_not_known() {
        let (to, freshness, sight) = sight(Duration::from_secs(60));
        assert_eq!(sight.current(), KnownRoster::Nothing);
        to.send_replace(Some(Roster::default()));
        freshness.told();
        assert_eq!(sight.current(), KnownRoster::Now(Roster::default()));
    }

    #[test]
    fn what_nobody_confirms_is_the_past() {
        let (to, freshness, sight) = sight(Duration::ZERO);
        to.send_replace(Some(Roster::default()));
        freshness.told();
        let before = unix_ms();
        std::thread::sleep(Duration::from_millis(1));
        let known = sight.current();
        assert_eq!((known.now(), known.last()), (None, Some(&Roster::default())));
        assert!(known.seen().is_some_and(|seen| seen.abs_diff(before) < 5_000));
    }

    #[test]
    fn an_answer_confirms_what_is_followed_and_nothing_else() {
        let freshness = RosterFreshness::default();
        freshness.answered(BootTime::now());
        assert_eq!(freshness.lock().at, BootTime::ZERO);
        freshness.told();
        freshness.watch_lost();
        let at = freshness.lock().at;
        freshness.answered(BootTime::now() + Duration::from_secs(1));
        assert_eq!(freshness.lock().at, at);
        freshness.told();
        freshness.answered(at + Duration::from_secs(5));
        assert_eq!(freshness.lock().at, at + Duration::from_secs(5));
        freshness.answered(at);
        assert_eq!(freshness.lock().at, at + Duration::from_secs(5), "an answer of before");
    }
}
