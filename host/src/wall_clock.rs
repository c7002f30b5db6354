//! Wall time, which is used for the schedules of jobs only.
//!
//! The wall clock may be set forwards or backwards at any moment, and the machine may sleep while a
//! timer runs. Code that waits for a moment of wall time must wait for [`WallClock::changed`] too.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use chrono::{DateTime, Utc};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use soloist_heart::clock::{BootTime, ClockComparison, ClockTrust, ClockVerdict};

/// How often the wall clock is compared with the boot-time clock.
const LOOK: Duration = Duration::from_secs(1);
/// How far the two may drift apart between two comparisons before the clock counts as set.
const DRIFT: Duration = Duration::from_millis(100);

/// The wall clock of this host. Knows when it was set, and the result of the comparison with other
/// hosts' clocks. Clones share the clock, but each has its own [`WallClock::changed`].
#[derive(Clone)]
pub struct WallClock {
    read: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    set_signal: watch::Receiver<()>,
    compared: Option<watch::Receiver<Option<ClockComparison>>>,
}

impl WallClock {
    /// The clock of this machine, and the task that watches it.
    #[must_use]
    pub fn of_this_machine() -> (Self, WallClockWatch) {
        let (tell, set) = watch::channel(());
        (Self::new(|| SystemTime::now().into(), set), WallClockWatch(tell))
    }

    /// A clock that is read by calling `read`; `set` changes whenever the clock was set.
    #[must_use]
    pub fn new(
        read: impl Fn() -> DateTime<Utc> + Send + Sync + 'static,
        set_signal: watch::Receiver<()>,
    ) -> Self {
        Self { read: Arc::new(read), set_signal, compared: None }
    }

    /// The same clock, for which the results of the comparison with other hosts come in here.
    #[must_use]
    pub fn compared_by(self, compared: watch::Receiver<Option<ClockComparison>>) -> Self {
        Self { compared: Some(compared), ..self }
    }

    /// Whether jobs may be run by this clock when it shows `now`.
    #[must_use]
    pub fn permission(&self, now: DateTime<Utc>) -> ClockTrust {
        let Some(compared) = &self.compared else { return ClockTrust::Trusted };
        ClockTrust::of(compared.borrow().as_ref(), now, BootTime::now())
    }

    /// The verdict of the last comparison with other hosts, if there was one.
    #[must_use]
    pub fn verdict(&self) -> Option<ClockVerdict> {
        let compared = self.compared.as_ref()?.borrow();
        compared.as_ref().map(|comparison| comparison.verdict().clone())
    }

    /// The current wall time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        (self.read)()
    }

    /// Makes [`WallClock::changed`] wait for changes from now on only.
    pub fn mark_unchanged(&mut self) {
        self.set_signal.mark_unchanged();
        if let Some(compared) = &mut self.compared {
            compared.mark_unchanged();
        }
    }

    /// Resolves when the clock was set, the machine has slept, or there is a new comparison, since
    /// the last call on this clone.
    pub async fn changed(&mut self) {
        let Self { set_signal: set, compared, .. } = self;
        let compared = async {
            match compared {
                Some(compared) => compared.changed().await.is_ok(),
                None => false,
            }
        };
        // If both senders are gone, nothing changes any more.
        tokio::select! {
            Ok(()) = set.changed() => {}
            true = compared => {}
            else => std::future::pending().await,
        }
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WallClock").field(&self.now()).finish()
    }
}

/// Watches the clock of this machine; one task of a host.
#[derive(Debug)]
pub struct WallClockWatch(watch::Sender<()>);

impl WallClockWatch {
    /// Signals, until `stop`, when wall time and boot time have drifted apart or timers have stood
    /// still.
    pub async fn run(self, stop: CancellationToken) {
        let mut last = ClockReadings::now();
        while stop.run_until_cancelled(sleep(LOOK)).await.is_some() {
            let look = ClockReadings::now();
            if look.differs(&last) {
                tracing::info!(event = "clock-set", "the clock was set, or the machine slept");
                self.0.send_replace(());
            }
            last = look;
        }
    }
}

/// What the clocks of this machine show at one moment.
#[derive(Clone, Copy, Debug)]
struct ClockReadings {
    wall: DateTime<Utc>,
    boot: BootTime,
    timers: Instant,
}

impl ClockReadings {
    fn now() -> Self {
        Self { wall: SystemTime::now().into(), boot: BootTime::now(), timers: Instant::now() }
    }

    /// Whether the clocks have advanced by different spans since `earlier`.
    fn differs(&self, earlier: &Self) -> bool {
        let boot = self.boot.since(earlier.boot);
        let timers = self.timers.duration_since(earlier.timers);
        // None if the wall clock has gone backwards.
        let wall = (self.wall - earlier.wall).to_std();
        wall.map_or(true, |wall| wall.abs_diff(boot) > DRIFT) || boot.abs_diff(timers) > DRIFT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_go_apart_are_noticed() {
        let first = ClockReadings::now();
        let after = |wall: i64, boot: u64, timers: u64| ClockReadings {
            wall: first.wall + chrono::TimeDelta::milliseconds(wall),
            boot: first.boot + Duration::from_millis(boot),
            timers: first.timers + Duration::from_millis(timers),
        };
        for (wall, boot, timers, differs) in [
            (1000, 1000, 1000, false),
            // The wall clock is slowed down or sped up by a time service.
            (1050, 1000, 1000, false),
            // The process was not scheduled for a while.
            (9000, 9000, 9000, false),
            (1200, 1000, 1000, true),
            (3_601_000, 1000, 1000, true),
            (-3_599_000, 1000, 1000, true),
            (0, 1000, 1000, true),
            // The machine slept: timers stood still, the two other clocks did not.
            (61_000, 61_000, 1000, true),
        ] {
            assert_eq!(
                after(wall, boot, timers).differs(&first),
                differs,
                "{wall} {boot} {timers}"
            );
        }
    }

    #[tokio::test]
    async fn a_change_is_told_to_every_clone_once() {
        let (set, changes) = watch::channel(());
        let mut clocks = [(); 2].map(|()| WallClock::new(|| DateTime::UNIX_EPOCH, changes.clone()));
        set.send_replace(());
        for clock in &mut clocks {
            clock.changed().await;
            assert!(futures::poll!(Box::pin(clock.changed())).is_pending());
        }
    }
}
