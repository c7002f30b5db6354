//! # job-runner
//!
//! Does one unit of work a second, for as long as it is let run: it counts the
//! primes in the next hundred thousand numbers and prints the result, with the
//! fencing token of the term that it works under:
//!
//! ```text
//! unit 1: 9592 primes from 0 to 99999 (host a, fencing token 42)
//! ```
//!
//! A standard `wasi:cli` program that asks soloist for one thing more, the term.
//! It works until the term is ending. Where there is time, because the host
//! hands its leadership over, it is told and leaves between two units; else it
//! is stopped where it is. The next leader starts it anew, with unit 1.

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "imports",
        generate_all,
    });
}

use bindings::soloist::plugin::term;
use bindings::wasi::clocks::monotonic_clock::subscribe_duration;
use bindings::wasi::io::poll::poll;

/// How many numbers are one unit of work.
const UNIT: u32 = 100_000;

/// In nanoseconds. Long beside the work, which takes about a millisecond.
const PAUSE: u64 = 1_000_000_000;

fn main() {
    let term = term::current();
    let ending = term::subscribe_ending();
    for unit in 1.. {
        // After some twelve hours the numbers are used up, and it starts over.
        let from = (unit - 1) % (u32::MAX / UNIT) * UNIT;
        let to = from + UNIT - 1;
        let primes = count_primes(from, to);
        println!(
            "unit {unit}: {primes} primes from {from} to {to} (host {}, fencing token {})",
            term.host, term.fencing_token
        );
        // Whichever comes first; the end stays ready once it has come.
        poll(&[&ending, &subscribe_duration(PAUSE)]);
        if ending.ready() {
            println!(
                "the term is ending: {unit} units done (fencing token {})",
                term.fencing_token
            );
            return;
        }
    }
}

/// Counts the primes from `from` to `to`, by striking out the multiples of all
/// smaller primes (the segmented sieve of Eratosthenes).
fn count_primes(from: u32, to: u32) -> usize {
    let mut prime = vec![true; (to - from + 1) as usize];
    let mut strike = |number: u32| prime[(number - from) as usize] = false;
    (from..=to).take_while(|&number| number < 2).for_each(&mut strike);
    for factor in 2..=to.isqrt() {
        let multiple = from.next_multiple_of(factor).max(factor * factor);
        (multiple..=to).step_by(factor as usize).for_each(&mut strike);
    }
    prime.into_iter().filter(|&prime| prime).count()
}

#[cfg(test)]
mod tests {
    use super::count_primes;

    #[test]
    fn counts_known_ranges() {
        assert_eq!(count_primes(0, 10), 4);
        assert_eq!(count_primes(0, 99_999), 9_592);
        assert_eq!(count_primes(100_000, 199_999), 8_392);
        let top = u32::MAX / super::UNIT * super::UNIT;
        assert!(count_primes(top - super::UNIT, top - 1) > 4_000);
    }
}
