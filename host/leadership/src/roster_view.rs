//! What is known of the cluster, and whether that is still current.
//!
//! Code that acts may use the latest roster, however old: the store decides whether its actions
//! take effect. Code that informs people must not: a roster that is no longer confirmed describes
//! the past.
//!
//! A roster is confirmed by everything that its watch delivers, and by each acknowledged renewal of
//! the session while the watch is alive. If nothing confirms it for as long as a lease may be
//! relied on, then even the former leader has stopped, if it was cut off like this host; so nobody
//! knows who leads.

use std::{sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use soloist_heart::{
    Timings,
    clock::{BootTime, unix_ms},
};
use soloist_stores::Roster;

/// When the store last confirmed the roster. Clones share their state.
#[derive(Clone, Debug, Default)]
pub(crate) struct RosterFreshness(Arc<Mutex<Confirmation>>);

#[derive(Debug, Default)]
struct Confirmation {
    at: BootTime,
    /// The same moment in milliseconds of Unix time, for people.
    unix: u64,
    /// Whether a watch is running, so that changes would be noticed.
    followed: bool,
}

impl RosterFreshness {
    /// The roster has just arrived from the store.
    pub(crate) fn roster_received(&self) {
        *self.lock() = Confirmation { at: BootTime::now(), unix: unix_ms(), followed: true };
    }

    /// The watch was lost: changes are no longer noticed.
    pub(crate) fn watch_lost(&self) {
        self.lock().followed = false;
    }

    /// The store has answered a call that was sent at this moment.
    pub(crate) fn call_answered(&self, sent: BootTime) {
        let mut confirmed = self.lock();
        if confirmed.followed && sent > confirmed.at {
            (confirmed.at, confirmed.unix) = (sent, unix_ms());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Confirmation> {
        self.0.lock()
    }
}

/// The roster, for code that informs people. Clones share their state.
#[derive(Clone, Debug)]
pub struct RosterView {
    roster: watch::Receiver<Option<Roster>>,
    freshness: RosterFreshness,
    /// How old a confirmation may be.
    within: Duration,
}

impl RosterView {
    /// A view of `roster` that counts as current while `freshness` says so.
    #[must_use]
    pub(crate) fn new(
        roster: watch::Receiver<Option<Roster>>,
        freshness: RosterFreshness,
        timings: Timings,
    ) -> Self {
        Self { roster, freshness, within: timings.ttl.saturating_sub(timings.margin) }
    }

    /// The view of a host that never reads the store.
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

    /// The rosters as they arrive, for waiting for a certain one.
    #[must_use]
    pub fn rosters(&self) -> watch::Receiver<Option<Roster>> {
        self.roster.clone()
    }
}

/// What is known of the cluster at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownRoster {
    /// The store has not been read yet.
    Nothing,
    /// This is the current state of the cluster.
    Now(Roster),
    /// This was the last known state; the store does not tell the current one.
    Before {
        /// The last known roster.
        roster: Roster,
        /// When the store last confirmed it, in milliseconds of Unix time.
        seen: u64,
    },
}

impl KnownRoster {
    /// The current state of the cluster, if it is known.
    #[must_use]
    pub const fn now(&self) -> Option<&Roster> {
        match self {
            Self::Now(roster) => Some(roster),
            Self::Nothing | Self::Before { .. } => None,
        }
    }

    /// The last known state of the cluster.
    #[must_use]
    pub const fn last(&self) -> Option<&Roster> {
        match self {
            Self::Now(roster) | Self::Before { roster, .. } => Some(roster),
            Self::Nothing => None,
        }
    }

    /// When the last known state was confirmed, if it is no longer current. In milliseconds of Unix
    /// time.
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

    fn view(ttl: Duration) -> (watch::Sender<Option<Roster>>, RosterFreshness, RosterView) {
        let (to, roster) = watch::channel(None);
        let freshness = RosterFreshness::default();
        let timings = Timings::derive(ttl, Duration::ZERO, Duration::ZERO);
        let view = RosterView::new(
            roster,
            freshness.clone(),
            Timings { margin: Duration::ZERO, ..timings },
        );
        (to, freshness, view)
    }

    #[test]
    fn what_was_never_read_is_not_known() {
        let (to, freshness, view) = view(Duration::from_secs(60));
        assert_eq!(view.current(), KnownRoster::Nothing);
        to.send_replace(Some(Roster::default()));
        freshness.roster_received();
        assert_eq!(view.current(), KnownRoster::Now(Roster::default()));
    }

    #[test]
    fn what_nobody_confirms_is_the_past() {
        let (to, freshness, view) = view(Duration::ZERO);
        to.send_replace(Some(Roster::default()));
        freshness.roster_received();
        let before = unix_ms();
        std::thread::sleep(Duration::from_millis(1));
        let known = view.current();
        assert_eq!((known.now(), known.last()), (None, Some(&Roster::default())));
        assert!(known.seen().is_some_and(|seen| seen.abs_diff(before) < 5_000));
    }

    #[test]
    fn an_answer_confirms_what_is_followed_and_nothing_else() {
        let freshness = RosterFreshness::default();
        freshness.call_answered(BootTime::now());
        assert_eq!(freshness.lock().at, BootTime::ZERO);
        freshness.roster_received();
        freshness.watch_lost();
        let at = freshness.lock().at;
        freshness.call_answered(BootTime::now() + Duration::from_secs(1));
        assert_eq!(freshness.lock().at, at);
        freshness.roster_received();
        freshness.call_answered(at + Duration::from_secs(5));
        assert_eq!(freshness.lock().at, at + Duration::from_secs(5));
        freshness.call_answered(at);
        assert_eq!(freshness.lock().at, at + Duration::from_secs(5), "an answer of before");
    }
}
