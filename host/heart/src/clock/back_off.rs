//! How long to wait before something that failed is tried again.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// The pause after the given number of attempts: one second, doubling up to one minute. Up to half
/// of it is random, so that things which failed together are not all retried at the same moment.
#[must_use]
pub fn back_off(attempts: u32, random: &mut fastrand::Rng) -> Duration {
    let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
    let longest = FIRST.saturating_mul(doubled).min(LONGEST);
    longest.mul_f64(0.5 + 0.5 * random.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_its_limit_and_half_is_chance() {
        let mut random = fastrand::Rng::with_seed(1);
        for (attempts, seconds) in [(0, 1), (1, 1), (2, 2), (6, 32), (7, 60), (u32::MAX, 60)] {
            let longest = Duration::from_secs(seconds);
            let pauses: Vec<_> = (0..1000).map(|_| back_off(attempts, &mut random)).collect();
            assert!(pauses.iter().all(|pause| *pause >= longest / 2 && *pause <= longest));
            assert!(pauses.iter().any(|pause| *pause < longest * 6 / 10));
            assert!(pauses.iter().any(|pause| *pause > longest * 9 / 10));
        }
    }
}
