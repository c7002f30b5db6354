//! Wall time, for schedules: the one thing that people mean by it.
//!
//! It may be set forwards and backwards at any moment, and the machine may sleep while a
//! timer runs. Whoever waits for a moment of it waits for [`WallClock::changed`] as well.

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

/// How often the clocks are compared.
const LOOK: Duration = Duration::from_secs(1);
/// By how much they may drift apart from one look to the next.
const DRIFT: Duration = Duration::from_millis(100);

/// Tells wall time, when it was set, and what other hosts' clocks say of it. Clones are the
/// same.
#[derive(Clone)]
pub struct WallClock {
    read: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    set_signal: watch::Receiver<()>,
    compared: Option<watch::Receiver<Option<ClockComparison>>>,
}

impl WallClock {
    /// The clock of this machine, and who has to watch it.
    #[must_use]
    pub fn of_this_machine() -> (Self, WallClockWatch) {
        let (tell, set) = watch::channel(());
        (Self::new(|| SystemTime::now().into(), set), WallClockWatch(tell))
    }

    /// A clock that is read by `read`; `set` changes whenever it is set.
    #[must_use]
    pub fn new(
        read: impl Fn() -> DateTime<Utc> + Send + Sync + 'static,
        set_signal: watch::Receiver<()>,
    ) -> Self {
        Self { read: Arc::new(read), set_signal, compared: None }
    }

    /// The same clock, which is compared with those of other hosts: here comes what that
    /// came to.
    #[must_use]
    pub fn compared_by(self, compared: watch::Receiver<Option<ClockComparison>>) -> Self {
        Self { compared: Some(compared), ..self }
    }

    /// Whether what goes by this clock may go on, where it shows `now`.
    #[must_use]
    pub fn permission(&self, now: DateTime<Utc>) -> ClockTrust {
        let Some(compared) = &self.compared else { return ClockTrust::Trusted };
        ClockTrust::of(compared.borrow().as_ref(), now, BootTime::now())
    }

    /// What was found out last, if anything was.
    #[must_use]
    pub fn verdict(&self) -> Option<ClockVerdict> {
        let compared = self.compared.as_ref()?.borrow();
        compared.as_ref().map(|comparison| comparison.verdict().clone())
    }

    /// This moment.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        (self.read)()
    }

    /// What is known by now is not told as a change.
    pub fn mark_unchanged(&mut self) {
        self.set_signal.mark_unchanged();
        if let Some(compared) = &mut self.compared {
            compared.mark_unchanged();
        }
    }

    /// Resolves when the clock was set, or the machine has slept, or something else is
    /// known of the clock, since the last time that this was asked of this clone.
    pub async fn changed(&mut self) {
        let Self { set_signal: set, compared, .. } = self;
        let compared = async {
            match compared {
                Some(compared) => compared.changed().await.is_ok(),
                None => false,
            }
        };
        // Nobody sets a clock any more that nobody watches, nor compares it.
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

/// Watches the clock of this machine: one task a host.
#[derive(Debug)]
pub struct WallClockWatch(watch::Sender<()>);

impl WallClockWatch {
    /// Tells, until `stop`, when wall time and boot time went apart, or timers stood still.
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

/// What the clocks show at one moment.
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

    /// Whether the clocks have not all gone on by the same since `earlier`.
    fn differs(&self, earlier: &Self) -> bool {
        let boot = self.boot.since(earlier.boot);
        let timers = self.timers.duration_since(earlier.timers);
        // Backwards is no span at all.
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
            // Slowed down or hurried up by a time service.
            (1050, 1000, 1000, false),
            // A process that was not scheduled for a while.
            (9000, 9000, 9000, false),
            (1200, 1000, 1000, true),
            (3_601_000, 1000, 1000, true),
            (-3_599_000, 1000, 1000, true),
            (0, 1000, 1000, true),
            // Asleep: timers stand still, the two others do not.
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
