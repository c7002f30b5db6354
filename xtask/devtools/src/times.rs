//! Percentiles of measured times.

use std::fmt;
use std::time::Duration;

/// The times that one thing took in repeated measurements, sorted.
#[derive(Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Adds a measurement.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
        self.0.sort_unstable();
    }

    /// The time that `percent` % of the measurements did not exceed.
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, percent) in [("p50", 50), ("p90", 90), ("p99", 99), ("max", 100)] {
            write!(f, "  {name} {:7.2} ms", ms(self.percentile(percent)))?;
        }
        Ok(())
    }
}

/// A time in milliseconds, for people.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let mut times = Times::default();
        (1..=50).rev().for_each(|ms| times.add(Duration::from_millis(ms)));
        assert_eq!(times.percentile(50), Duration::from_millis(25));
        assert_eq!(times.percentile(99), Duration::from_millis(50));
        assert_eq!(times.percentile(100), Duration::from_millis(50));
    }
}
