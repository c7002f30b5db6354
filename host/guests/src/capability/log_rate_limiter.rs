//! Limits how much the instances of an action print, together.

use std::time::Duration;

use parking_lot::Mutex;

use soloist_heart::clock::BootTime;

/// What a line costs in addition to its text, in bytes: the fields that the log writes around it.
const LINE_COST: u64 = 100;
const SECOND: Duration = Duration::from_secs(1);

/// Lets `rate` bytes of log lines pass in each second, and counts the lines that it drops.
#[derive(Debug)]
pub(crate) struct LogRateLimiter {
    /// Bytes per second.
    rate: u64,
    second: Mutex<CurrentSecond>,
}

#[derive(Clone, Copy, Debug, Default)]
struct CurrentSecond {
    began: BootTime,
    spent: u64,
    dropped: u64,
}

impl LogRateLimiter {
    /// Lets `rate` bytes pass per second.
    pub(crate) fn new(rate: u64) -> Self {
        Self { rate, second: Mutex::default() }
    }

    /// Whether a line of this many bytes may be printed. If so, returns how many lines were dropped
    /// since the last line that passed.
    pub(crate) fn admit(&self, bytes: usize, now: BootTime) -> Option<u64> {
        let mut second = self.second.lock();
        if now >= second.began + SECOND {
            *second = CurrentSecond { began: now, spent: 0, dropped: second.dropped };
        }
        second.spent = second.spent.saturating_add(bytes as u64 + LINE_COST);
        if second.spent > self.rate {
            second.dropped += 1;
            return None;
        }
        Some(std::mem::take(&mut second.dropped))
    }

    /// How many lines were dropped since the last line that passed; resets the count.
    pub(crate) fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.second.lock().dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_bytes_and_tells_once_what_was_dropped() {
        let meter = LogRateLimiter::new(3 * (10 + LINE_COST));
        let at = |ms| BootTime::ZERO + Duration::from_secs(9) + Duration::from_millis(ms);
        let admit = |ms| meter.admit(10, at(ms));
        assert_eq!([admit(0), admit(1), admit(2)], [Some(0); 3]);
        assert_eq!([admit(3), admit(998)], [None; 2]);
        assert_eq!([admit(1000), admit(1001)], [Some(2), Some(0)]);
        assert_eq!([admit(1002), admit(1003), admit(1004)], [Some(0), None, None]);
        assert_eq!((meter.take_dropped(), meter.take_dropped()), (2, 0));
    }
}
