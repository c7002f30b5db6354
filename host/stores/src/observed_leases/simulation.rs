//! A simulated store, a holder of a lease, and observers who wait for its end, all with clocks of
//! their own, which run apart as far as the heart allows. Messages take any time and get lost;
//! everybody freezes at times.

use std::{cmp::Reverse, collections::BinaryHeap};

use fastrand::Rng;

use super::*;

const MS: u64 = 1_000_000;
const TTL: u64 = 1000 * MS;
/// How long any message, or a freeze, takes at most. Longer than the TTL, so that every order
/// occurs.
const SLOWEST: u64 = 3 * TTL;

/// What happens at some moment of the true time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The holder sends a renewal.
    Renew,
    /// A renewal that was sent at this moment reaches the store.
    Renewed { sent: u64 },
    /// The holder learns that the renewal was made.
    Answered { sent: u64 },
    /// An observer asks for the leases.
    Look { observer: usize },
    /// Its question reaches the store.
    Read { observer: usize },
    /// It gets to know the counter that was read.
    Known { observer: usize, counter: Option<i64> },
    /// A request to end the lease if it has this counter reaches the store.
    End { counter: i64 },
}

/// A clock that runs too fast or too slow.
struct DriftingClock {
    /// Where it stood at the beginning.
    start: u64,
    /// Its rate, in millionths.
    rate: u64,
}

impl DriftingClock {
    /// Any two of them run apart by less than the drift that the heart allows.
    fn random(random: &mut Rng) -> Self {
        let most = 1_000_000 / u64::from(Timings::DRIFT_DIVISOR) / 2 - 200;
        let off = [0, random.u64(0..=2 * most), 2 * most][random.usize(0..3)];
        Self { start: random.u64(0..1000 * TTL), rate: 1_000_000 - most + off }
    }

    fn shows(&self, now: u64) -> BootTime {
        BootTime::from_nanos(self.start + now / 1000 * self.rate / 1000)
    }
}

struct Simulation {
    random: Rng,
    /// Whether nothing takes long: only then a lease that ends too early by little is found out.
    is_quick: bool,
    /// How long the holder renews.
    renews_for: u64,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    now: u64,
    /// The lease's counter in the store, as long as it exists.
    counter: Option<i64>,
    holder: DriftingClock,
    /// By the holder's clock, until when it relies on the lease.
    relied_on: BootTime,
    observers: Vec<(DriftingClock, ObservedLeases)>,
    ended: Option<u64>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let is_quick = seed.is_multiple_of(4);
        let renews_for = random.u64(0..if is_quick { 2 * TTL } else { 20 * TTL });
        let holder = DriftingClock::random(&mut random);
        let relied_on = holder.shows(0) + Duration::from_nanos(TTL);
        let count = random.usize(1..4);
        let observers =
            (0..count).map(|_| (DriftingClock::random(&mut random), ObservedLeases::default()));
        let observers = observers.collect();
        let events = BinaryHeap::new();
        let mut simulation = Self {
            random,
            is_quick,
            renews_for,
            events,
            now: 0,
            counter: Some(1),
            holder,
            relied_on,
            observers,
            ended: None,
        };
        simulation.at(0, Event::Renew);
        (0..count).for_each(|observer| simulation.at(0, Event::Look { observer }));
        simulation
    }

    fn at(&mut self, moment: u64, event: Event) {
        self.events.push(Reverse((moment, event)));
    }

    /// The event happens after a delay, or never.
    fn send(&mut self, event: Event) {
        if self.random.u8(0..100) < 95 {
            let moment = self.now + self.delay();
            self.at(moment, event);
        }
    }

    /// Mostly short, at times long.
    fn delay(&mut self) -> u64 {
        if self.is_quick {
            return self.random.u64(0..MS / 10);
        }
        match self.random.u8(0..20) {
            0 => self.random.u64(0..SLOWEST),
            1..4 => self.random.u64(0..TTL / 2),
            _ => self.random.u64(0..5 * MS),
        }
    }

    /// Runs until the lease has ended; panics if that is too early or never.
    fn run(mut self) {
        while self.ended.is_none() {
            let Reverse((now, event)) = self.events.pop().expect("somebody always looks again");
            self.now = now;
            assert!(now < self.renews_for + 20 * SLOWEST, "the lease never ended");
            self.happen(event);
        }
        let shown = self.holder.shows(self.now);
        assert!(
            shown >= self.relied_on,
            "ended at {shown:?}, relied on until {:?}",
            self.relied_on
        );
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Renew => {
                self.send(Event::Renewed { sent: self.now });
                let next = self.now + TTL / 5 + self.delay();
                if next < self.renews_for {
                    self.at(next, Event::Renew);
                }
            }
            Event::Renewed { sent } => {
                if let Some(counter) = &mut self.counter {
                    *counter += 1;
                    self.send(Event::Answered { sent });
                }
            }
            Event::Answered { sent } => {
                let until = self.holder.shows(sent) + Duration::from_nanos(TTL);
                self.relied_on = self.relied_on.max(until);
            }
            Event::Look { observer } => {
                self.send(Event::Read { observer });
                let next =
                    self.now + 1 + self.random.u64(0..if self.is_quick { 4 * MS } else { TTL / 5 });
                self.at(next, Event::Look { observer });
            }
            Event::Read { observer } => {
                self.send(Event::Known { observer, counter: self.counter });
            }
            Event::Known { observer, counter } => self.know(observer, counter),
            Event::End { counter } => {
                if self.counter == Some(counter) {
                    self.counter = None;
                    self.ended = Some(self.now);
                }
            }
        }
    }

    fn know(&mut self, observer: usize, counter: Option<i64>) {
        let (clock, leases) = &mut self.observers[observer];
        let now = clock.shows(self.now);
        let ttl = Duration::from_nanos(TTL);
        let lease = counter.map(|counter| ObservedLease { lease: LeaseId(7), counter, ttl });
        leases.observe(lease.as_slice(), now);
        for ObservedLease { counter, .. } in leases.over(now) {
            self.send(Event::End { counter });
        }
    }
}

#[test]
fn no_lease_ends_while_its_holder_relies_on_it_and_every_one_ends() {
    for seed in 0..2000 {
        Simulation::new(seed).run();
    }
}
