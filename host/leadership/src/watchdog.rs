//! The watchdog: a plain OS thread that relies on nothing but the clock.
//!
//! It closes the gate of every term whose deadline has passed, even if every task of this process
//! hangs. If a term stays alive behind a closed gate, it aborts the process: no leader is better
//! than two.
//!
//! It also aborts a process in which a runtime hangs. If the actions' runtime hangs, the election,
//! which has a thread of its own, would keep renewing the lease forever, and no other host could
//! take the work over. If the election's runtime hangs, the host only appears to stand by.

use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::gate::Gate;
use soloist_heart::{Timings, clock::BootTime};

/// The interval between two checks.
const LOOK: Duration = Duration::from_millis(5);
/// The interval between two checks while there is no term. The thread is woken for the first one.
const REST: Duration = Duration::from_secs(1);
/// The interval at which a runtime shows that it is alive.
const PULSE: Duration = Duration::from_secs(1);
/// How long a runtime may show no sign of life, in addition to two TTLs: a machine may be slow.
const SLOW: Duration = Duration::from_secs(3);

/// Watches over the terms and the runtimes of this process.
#[derive(Clone)]
pub struct Watchdog {
    watched: Arc<Mutex<Vec<WatchedTerm>>>,
    pulses: Arc<Mutex<Vec<RuntimePulse>>>,
    thread: Thread,
}

/// The sign of life of one runtime.
#[derive(Default)]
struct RuntimePulse {
    /// The name of the runtime, for the log.
    of: &'static str,
    /// Incremented by the runtime.
    counter: Arc<AtomicU64>,
    /// The count at the last check.
    beats: u64,
    /// How long the count has not changed, excluding time that this process was frozen.
    silent: Duration,
}

struct WatchedTerm {
    gate: Arc<Gate>,
    /// How long the gate has been closed, excluding time that this process was frozen.
    closed: Duration,
    /// How long the gate has been closed because another host may lead. The lease itself is in
    /// doubt then.
    lost: Duration,
}

/// Keeps a term under watch; dropped when nothing of the term is alive.
pub(crate) struct WatchGuard {
    watchdog: Watchdog,
    gate: Arc<Gate>,
}

impl Drop for WatchGuard {
    fn drop(&mut self) {
        lock(&self.watchdog.watched).retain(|watched| !Arc::ptr_eq(&watched.gate, &self.gate));
    }
}

impl Watchdog {
    /// Starts the thread; it ends with the last clone of the watchdog.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(timings: Timings) -> std::io::Result<Self> {
        let watched = Arc::new(Mutex::new(Vec::new()));
        let (weak, pulses) = (Arc::downgrade(&watched), Arc::<Mutex<Vec<RuntimePulse>>>::default());
        let felt = Arc::clone(&pulses);
        let run = move || {
            let mut last = BootTime::now();
            while let Some(watched) = weak.upgrade() {
                let now = BootTime::now();
                let passed = now.since(last);
                let rests = look(&mut lock(&watched), now, passed, &timings);
                for pulse in lock(&felt).iter_mut() {
                    let beats = pulse.counter.load(Ordering::Relaxed);
                    if let Some(silent) = pulse.check(beats, passed, &timings) {
                        let (of, ms) = (pulse.of, silent.as_millis());
                        abort(&format!("{of} has not responded for {ms} ms"));
                    }
                }
                last = now;
                drop(watched);
                thread::park_timeout(if rests { REST } else { LOOK });
            }
        };
        let thread = thread::Builder::new().name("watchdog".into()).spawn(run)?;
        Ok(Self { watched, pulses, thread: thread.thread().clone() })
    }

    /// A future that shows that the runtime named `of` is alive, if it is polled there. From its
    /// first poll on, the process does not outlive that runtime's progress.
    pub fn pulse(&self, of: &'static str) -> impl Future<Output = ()> + Send + use<> {
        let (counter, watched) = (Arc::<AtomicU64>::default(), Arc::downgrade(&self.watched));
        lock(&self.pulses).push(RuntimePulse {
            of,
            counter: Arc::clone(&counter),
            ..RuntimePulse::default()
        });
        async move {
            while watched.strong_count() > 0 {
                counter.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(PULSE).await;
            }
        }
    }

    pub(crate) fn watch(&self, gate: Arc<Gate>) -> WatchGuard {
        lock(&self.watched).push(WatchedTerm::new(Arc::clone(&gate)));
        self.thread.unpark();
        WatchGuard { watchdog: self.clone(), gate }
    }
}

/// Checks each term. Returns whether there is none.
fn look(watched: &mut [WatchedTerm], now: BootTime, passed: Duration, timings: &Timings) -> bool {
    // A process that was frozen had no time to tear anything down.
    let awake = passed.min(LOOK * 4);
    for watched in watched.iter_mut() {
        if let Some(overdue) = watched.look(now, awake, timings) {
            abort(&format!(
                "the term {} is still alive {} ms after its end",
                watched.gate.term(),
                overdue.as_millis()
            ));
        }
    }
    watched.is_empty()
}

fn lock<T>(list: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    // A list of watched things cannot be left half-written.
    list.lock()
}

impl RuntimePulse {
    /// Returns how long the runtime has shown no sign of life, if that is too long. `passed` is the
    /// time since the last check; a process that was frozen had no time to show any.
    fn check(&mut self, beats: u64, passed: Duration, timings: &Timings) -> Option<Duration> {
        // The runtime has not started yet, or it is alive.
        if beats == 0 || beats != self.beats {
            (self.beats, self.silent) = (beats, Duration::ZERO);
            return None;
        }
        self.silent += passed.min(REST * 2);
        (self.silent > timings.ttl * 2 + SLOW).then_some(self.silent)
    }
}

impl WatchedTerm {
    const fn new(gate: Arc<Gate>) -> Self {
        Self { gate, closed: Duration::ZERO, lost: Duration::ZERO }
    }

    /// Closes the gate when its deadline has passed. Returns how long the term has outlived its
    /// end, if that is too long.
    fn look(&mut self, now: BootTime, awake: Duration, timings: &Timings) -> Option<Duration> {
        if self.gate.deadline().seal(now) {
            self.gate.revoke();
        }
        if self.gate.is_closed() {
            self.closed += awake;
        }
        if self.gate.is_revoked() {
            self.lost += awake;
        }
        // While the lease holds, a slow teardown only costs time; afterwards it endangers safety.
        if self.lost > timings.stop_timeout {
            return Some(self.lost);
        }
        (self.closed > timings.stop_limit).then_some(self.closed)
    }
}

/// The last resort. Nothing here may block: neither the log nor whoever reads stderr.
fn abort(why: &str) -> ! {
    let line = format!("soloist: {why}: aborting, so that only one host runs the actions\n");
    let stderr = rustix::stdio::stderr();
    let mut ready = [PollFd::new(&stderr, PollFlags::OUT)];
    if poll(&mut ready, Some(&Timespec::default())).is_ok_and(|ready| ready > 0) {
        let _ = rustix::io::write(stderr, line.as_bytes());
    }
    process::abort();
}

#[cfg(test)]
mod tests {
    use std::{env, os::unix::process::ExitStatusExt, process::Command};

    use super::*;
    use crate::gate::{GateShut, tests::gate_until};

    const fn at(ms: u64) -> BootTime {
        BootTime::from_nanos(ms * 1_000_000)
    }

    fn watched(deadline: BootTime) -> WatchedTerm {
        WatchedTerm::new(gate_until(deadline))
    }

    fn timings() -> Timings {
        let ms = Duration::from_millis;
        Timings::derive(ms(5000), ms(500), ms(10_000))
    }

    /// Checks a term every 5 ms from `from` on, until it has outlived its end for too long.
    fn patience(watched: &mut WatchedTerm, from: u64) -> Option<Duration> {
        (0..4000).find_map(|look| watched.look(at(from + look * 5), LOOK, &timings()))
    }

    #[test]
    fn past_the_deadline_it_closes_the_gate_and_then_runs_out_of_patience() {
        let mut watched = watched(at(1000));
        assert_eq!(watched.look(at(999), LOOK, &timings()), None);
        assert!(!watched.gate.is_closed());
        assert_eq!(watched.look(at(1000), LOOK, &timings()), None);
        assert_eq!(watched.gate.pass(), Err(GateShut::Closed));
        assert_eq!(patience(&mut watched, 1005), Some(Duration::from_millis(505)));
    }

    #[test]
    fn a_leadership_that_was_lost_otherwise_is_given_no_longer() {
        let mut watched = watched(BootTime::NEVER);
        watched.gate.revoke();
        assert_eq!(patience(&mut watched, 0), Some(Duration::from_millis(505)));
    }

    #[test]
    fn under_a_lease_that_holds_a_stop_may_take_longer() {
        let mut watched = watched(BootTime::NEVER);
        watched.gate.close();
        assert_eq!(patience(&mut watched, 0), Some(Duration::from_millis(5005)));
    }

    /// Set in the environment of the process that is expected to abort.
    const DOOMED: &str = "SOLOIST_TEST_DOOMED";

    /// Runs this test in a process of its own, and expects that process to be aborted.
    fn doomed(test: &str) -> std::process::Output {
        let mut doomed = Command::new(env::current_exe().unwrap());
        let test = format!("watchdog::tests::{test}");
        doomed.args([&test, "--exact", "--nocapture"]).env(DOOMED, "1");
        let ended = doomed.output().unwrap();
        assert_eq!(ended.status.signal(), Some(rustix::process::Signal::ABORT.as_raw()));
        ended
    }

    #[test]
    fn a_term_that_does_not_go_takes_the_process_with_it() {
        if env::var_os(DOOMED).is_some() {
            let watchdog = Watchdog::start(timings()).unwrap();
            // By now the thread sleeps, so that it has to be woken.
            thread::sleep(LOOK * 4);
            let gate = gate_until(BootTime::now() + Duration::from_millis(100));
            let _alive = watchdog.watch(gate);
            thread::sleep(Duration::from_secs(60));
            return;
        }
        let ended = doomed("a_term_that_does_not_go_takes_the_process_with_it");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(said.contains("main/7 of a is still alive"), "{said}");
    }

    /// The same in a process whose only worker thread blocks forever.
    #[test]
    fn a_runtime_that_hangs_takes_the_process_with_it() {
        if env::var_os(DOOMED).is_some() {
            let ms = Duration::from_millis;
            let watchdog = Watchdog::start(Timings::derive(ms(1000), ms(100), ms(1000))).unwrap();
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_time()
                .build()
                .unwrap();
            // Another runtime that is alive makes no difference.
            let other = watchdog.pulse("this host");
            runtime.spawn(watchdog.pulse("its election"));
            let moving = tokio::runtime::Builder::new_current_thread().enable_time().build();
            thread::spawn(move || moving.unwrap().block_on(other));
            // It is alive for longer than it may hang.
            thread::sleep(ms(6000));
            println!("it moves");
            runtime.spawn(async { thread::sleep(Duration::from_secs(60)) });
            thread::sleep(Duration::from_secs(60));
            return;
        }
        let ended = doomed("a_runtime_that_hangs_takes_the_process_with_it");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(said.contains("its election has not responded for 5"), "{said}");
        assert!(String::from_utf8_lossy(&ended.stdout).contains("it moves"), "{said}");
    }

    #[test]
    fn a_process_that_was_frozen_had_no_time_to_move() {
        let mut pulse = RuntimePulse::default();
        assert_eq!(pulse.check(0, Duration::from_secs(60), &timings()), None);
        assert_eq!(pulse.check(1, Duration::from_secs(60), &timings()), None);
        assert_eq!(pulse.check(1, Duration::from_secs(3600), &timings()), None);
        assert_eq!(pulse.check(2, LOOK, &timings()), None);
        let felt = (1..).find_map(|_| pulse.check(2, REST, &timings()));
        assert_eq!(felt, Some(Duration::from_secs(14)), "two TTLs, and what a machine may be slow");
    }

    #[test]
    fn time_that_a_process_was_frozen_does_not_count() {
        let mut watched = [watched(at(1000))];
        // An abort would end this test.
        for minute in 1..=10 {
            look(&mut watched, at(minute * 60_000), Duration::from_secs(60), &timings());
        }
        assert_eq!(watched[0].lost, LOOK * 40);
    }
}
