//! The pause before a host that crashed is started again.

use std::time::Duration;

/// The pause before the second restart in a row; the first has none.
const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);
/// After a run of this length the pauses begin with none again.
const GOOD_RUN: Duration = Duration::from_secs(60);

/// The pauses between the runs of a host: none at first, then doubling while the runs are short.
#[derive(Debug, Default)]
pub(super) struct BackOff(Duration);

impl BackOff {
    /// The pause after a run that took `lived`.
    pub(super) fn after(&mut self, lived: Duration) -> Duration {
        let pause = if lived >= GOOD_RUN { Duration::ZERO } else { self.0 };
        self.0 = (pause * 2).clamp(FIRST, LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_its_limit_and_forgets_after_a_good_run() {
        let (short, good) = (GOOD_RUN - Duration::from_millis(1), GOOD_RUN);
        let mut back_off = BackOff::default();
        let pauses: Vec<_> = (0..11).map(|_| back_off.after(short).as_millis()).collect();
        let doubling = [0, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000];
        assert_eq!(pauses, doubling);
        assert_eq!(back_off.after(good), Duration::ZERO);
        assert_eq!(back_off.after(short), FIRST);
    }
}
