//! The connections that an address has open, and who gives way when there are too many.
//!
//! Invariants:
//! - Each client has its share of an address ([`shares`](soloist_resources::shares)), and all addresses of
//!   actions together have theirs of what the process may open.
//! - A connection on which nothing is asked for gives way to a new one, the one that has been
//!   idle longest first: of the same client where that has its share, of anybody where all is
//!   taken. One on which an answer is under way never does.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use soloist_heart::clock::BootTime;
use soloist_resources::{
    descriptors,
    shares::{Client, Short, Taken},
};

/// How many connections all addresses of actions of this process have open.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// The connections of one address.
#[derive(Debug)]
pub(crate) struct Places {
    list: Mutex<List>,
    /// How many connections are open, those among them that have given way and end.
    open: watch::Sender<usize>,
    most: usize,
    /// Whether they count among those of all addresses.
    counted: bool,
}

/// How many that have given way may be open besides.
const ENDING: usize = 8;
/// How long one that has given way may take to end, before others come in all the same.
const END: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct List {
    taken: Taken,
    seats: HashMap<u64, Arc<Seat>>,
    next: u64,
}

/// A connection's place; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    number: u64,
    seat: Arc<Seat>,
    places: Arc<Places>,
}

/// How a connection is.
#[derive(Debug)]
pub(super) struct Seat {
    client: Client,
    /// How many answers are under way.
    visits: AtomicUsize,
    /// Whether something that was written waits for the client to take it.
    stuck: AtomicBool,
    /// Whether it has become something else than HTTP.
    switched: AtomicBool,
    /// Since when nothing is asked for, in nanoseconds of the boot-time clock.
    idle_since: AtomicU64,
    /// Told when another one is to have the place.
    wanted: CancellationToken,
}

/// An answer under way.
#[derive(Debug)]
pub(super) struct Visit(Arc<Seat>);

impl Places {
    /// Those of the control API: so many.
    pub(crate) fn of_control(most: usize) -> Arc<Self> {
        Self::new(descriptors::for_control(most), false)
    }

    /// Those of an address of actions: so many.
    pub(super) fn of_address(most: usize) -> Arc<Self> {
        Self::new(descriptors::for_an_address(most), true)
    }

    fn new(most: usize, counted: bool) -> Arc<Self> {
        let list = List { taken: Taken::nothing_of(most), seats: HashMap::new(), next: 0 };
        Arc::new(Self { list: Mutex::new(list), open: watch::Sender::new(0), most, counted })
    }

    /// Waits until those that have given way are closed, but for a few: in a burst they would be
    /// as many as come in, and take the files of all else.
    pub(super) async fn settle(&self) {
        let few = |open: &usize| *open < self.most + ENDING;
        if few(&self.open.borrow()) {
            return;
        }
        let mut open = self.open.subscribe();
        // Its sender is here; and one that does not end in time keeps nobody out.
        let _ = timeout(END, open.wait_for(few)).await;
    }

    /// A place for a connection of the client at `ip`, be it that of an idle one.
    pub(crate) fn seat(self: &Arc<Self>, ip: IpAddr) -> Option<Place> {
        let client = Client::at(ip);
        let mut list = self.list();
        loop {
            let short = match self.take(&mut list, client) {
                Ok(()) => break,
                Err(short) => short,
            };
            let number = list.idlest(|seat| short == Short::All || seat.client == client)?;
            self.leave(&mut list, number);
        }
        let number = list.next;
        list.next += 1;
        let seat = Arc::new(Seat::of(client));
        list.seats.insert(number, Arc::clone(&seat));
        self.open.send_modify(|open| *open += 1);
        Some(Place { number, seat, places: Arc::clone(self) })
    }

    fn take(&self, list: &mut List, client: Client) -> Result<(), Short> {
        if self.counted && OPEN.load(Ordering::Relaxed) >= descriptors::for_all_addresses() {
            return Err(Short::All);
        }
        list.taken.take(client, 1)?;
        if self.counted {
            OPEN.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Frees a place, if it was not freed before, and tells whose it was.
    fn leave(&self, list: &mut List, number: u64) {
        let Some(seat) = list.seats.remove(&number) else { return };
        list.taken.give_back(seat.client, 1);
        if self.counted {
            OPEN.fetch_sub(1, Ordering::Relaxed);
        }
        seat.wanted.cancel();
    }

    /// Not to be held across an await.
    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock()
    }
}

impl List {
    /// The connection that has been idle longest, of those that `may` give way.
    fn idlest(&self, may: impl Fn(&Seat) -> bool) -> Option<u64> {
        let idle = self.seats.iter().filter(|(_, seat)| seat.is_idle() && may(seat));
        let since = |(number, seat): &(&u64, &Arc<Seat>)| {
            (seat.idle_since.load(Ordering::Relaxed), **number)
        };
        idle.min_by_key(since).map(|(number, _)| *number)
    }
}

impl Place {
    /// What the connection says of itself.
    pub(super) fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }

    /// Resolves when another connection is to have the place.
    pub(super) async fn wanted(&self) {
        self.seat.wanted.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.leave(&mut self.places.list(), self.number);
        self.places.open.send_modify(|open| *open -= 1);
    }
}

impl Seat {
    fn of(client: Client) -> Self {
        Self {
            client,
            visits: AtomicUsize::new(0),
            stuck: AtomicBool::new(false),
            switched: AtomicBool::new(false),
            idle_since: AtomicU64::new(BootTime::now().as_nanos()),
            wanted: CancellationToken::new(),
        }
    }

    /// Whether nothing is asked for, nor is anything on its way to the client.
    pub(super) fn is_idle(&self) -> bool {
        self.is_answered() && !self.stuck.load(Ordering::Acquire)
    }

    /// Whether nothing is asked for.
    pub(super) fn is_answered(&self) -> bool {
        self.visits.load(Ordering::Acquire) == 0
    }

    /// Something that was written waits for the client, or does not any more.
    pub(super) fn stick(&self, stuck: bool) {
        self.stuck.store(stuck, Ordering::Release);
    }

    /// From now on its bytes are none of HTTP's.
    pub(super) fn switch(&self) {
        self.switched.store(true, Ordering::Release);
    }

    /// Whether its bytes are none of HTTP's.
    pub(super) fn is_switched(&self) -> bool {
        self.switched.load(Ordering::Acquire)
    }

    /// Something is asked for, until what is returned is dropped.
    pub(super) fn visit(self: &Arc<Self>) -> Visit {
        self.visits.fetch_add(1, Ordering::AcqRel);
        Visit(Arc::clone(self))
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.idle_since.store(BootTime::now().as_nanos(), Ordering::Relaxed);
        self.0.visits.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn is_wanted(place: &Place) -> bool {
        place.seat.wanted.is_cancelled()
    }

    #[test]
    fn who_has_its_share_gives_way_to_itself() {
        let places = Places::of_control(16);
        let mine: Vec<_> = (0..12).map(|_| places.seat(ip(1)).unwrap()).collect();
        let other = places.seat(ip(2)).unwrap();
        assert!(!mine.iter().chain([&other]).any(is_wanted));
        let busy = mine[0].seat.visit();
        let more = places.seat(ip(1)).unwrap();
        // Not the first, where something is asked for, and nobody else's.
        let gone: Vec<_> = (0..12).filter(|at| is_wanted(&mine[*at])).collect();
        assert!(gone == [1] || gone == [1, 2], "{gone:?}");
        assert!(!is_wanted(&other) && !is_wanted(&more));
        drop(busy);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_waits_for_those_that_have_given_way_to_end() {
        let places = Places::of_control(4);
        let mut all: Vec<_> = (0..4 + ENDING).map(|_| places.seat(ip(1)).unwrap()).collect();
        let begun = tokio::time::Instant::now();
        places.settle().await;
        assert_eq!(begun.elapsed(), END, "one that hangs keeps nobody out");
        let settle = places.settle();
        let end = async {
            tokio::time::sleep(END / 2).await;
            all.pop();
        };
        tokio::join!(settle, end);
        assert_eq!(begun.elapsed(), END * 3 / 2);
        places.settle().await;
        assert_eq!(begun.elapsed(), END * 3 / 2);
    }

    #[test]
    fn where_all_is_taken_the_idlest_gives_way() {
        let places = Places::of_control(4);
        let all: Vec<_> = (1..=4).map(|last| places.seat(ip(last)).unwrap()).collect();
        let busy: Vec<_> = [0, 2].map(|at: usize| all[at].seat.visit()).into();
        all[1].seat.stick(true);
        let fifth = places.seat(ip(5)).unwrap();
        assert_eq!((0..4).filter(|at| is_wanted(&all[*at])).collect::<Vec<_>>(), [3]);
        let _fifth = (fifth.seat.visit(), fifth);
        // Nobody is idle any more: whoever comes finds nothing.
        assert!(places.seat(ip(6)).is_none());
        drop((busy, all));
        assert!(places.seat(ip(6)).is_some());
    }
}
