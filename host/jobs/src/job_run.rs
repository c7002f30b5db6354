//! One run of a job: a moment at which it should run, with an id that is the same on every host.

use std::{fmt, time::Duration};

use chrono::{DateTime, SubsecRound, Utc};
use sha2::{Digest, Sha256};

use soloist_config::{JobConfig, moment};

/// A run that is due by the schedule, or that a person has asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRun {
    /// Tells it from every other run in the cluster, for ever.
    pub id: String,
    /// When it should start, without its jitter.
    pub scheduled: DateTime<Utc>,
    /// Whether a person asked for it.
    pub by_hand: bool,
}

impl JobRun {
    /// A run of the schedule, with an id such as `report@2026-11-22T03:00:00Z`.
    #[must_use]
    pub fn scheduled(action: &str, at: DateTime<Utc>) -> Self {
        Self { id: format!("{action}@{}", moment(at)), scheduled: at, by_hand: false }
    }

    /// A run that was asked for at `now`, with an id such as
    /// `report@2026-11-22T03:00:07.250Z-by-hand`.
    #[must_use]
    pub fn by_hand(action: &str, now: DateTime<Utc>) -> Self {
        let at = now.trunc_subsecs(3);
        let told = at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        Self { id: format!("{action}@{told}-by-hand"), scheduled: at, by_hand: true }
    }

    /// When it should start, jitter included. The delay follows from its id, is at most `jitter`,
    /// and never reaches the next run, so runs keep their order.
    #[must_use]
    pub fn due(&self, job: &JobConfig) -> DateTime<Utc> {
        let next = job.schedule.after(self.scheduled);
        let room = next.and_then(|next| (next - self.scheduled).to_std().ok());
        let most = room.unwrap_or(Duration::MAX).min(job.jitter);
        self.scheduled + jitter_share(&self.id, most)
    }
}

impl fmt::Display for JobRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

/// A delay in whole milliseconds, less than `most`, that follows from `id`.
fn jitter_share(id: &str, most: Duration) -> Duration {
    let hash = Sha256::digest(id);
    let number = hash.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(number.checked_rem(most).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_tell_runs_apart() {
        let at = "2026-11-22T03:00:00.2504Z".parse::<DateTime<Utc>>().unwrap();
        assert_eq!(
            JobRun::scheduled("report", at.trunc_subsecs(0)).id,
            "report@2026-11-22T03:00:00Z"
        );
        let by_hand = JobRun::by_hand("report", at);
        assert_eq!(by_hand.id, "report@2026-11-22T03:00:00.250Z-by-hand");
        // Also if it was asked for at the very moment of a scheduled one.
        let whole = JobRun::by_hand("report", at.trunc_subsecs(0));
        assert_eq!(whole.id, "report@2026-11-22T03:00:00.000Z-by-hand");
    }

    #[test]
    fn shares_are_spread_and_stay_the_same() {
        let hour = Duration::from_secs(3600);
        let shares: Vec<_> = (0..1000).map(|i| jitter_share(&format!("job-{i}@x"), hour)).collect();
        assert!(shares.iter().all(|share| *share < hour));
        // About a tenth of them in each tenth.
        for tenth in 0..10 {
            let within = shares.iter().filter(|share| share.as_secs() / 360 == tenth).count();
            assert!((60..=140).contains(&within), "{within} in tenth {tenth}");
        }
        assert_eq!(jitter_share("job-1@x", hour), shares[1]);
        assert_eq!(jitter_share("job-1@x", Duration::ZERO), Duration::ZERO);
    }
}
