//! The open connections of an address, and which of them give way when there are too many.
//!
//! Guarantees:
//! - Each client has its share of an address ([`shares`](soloist_resources::shares)), and all
//!   addresses of actions together have their share of the files that the process may open.
//! - An idle connection gives way to a new one, the one that has been idle longest first: one of
//!   the same client if the client has used up its share, any one if the address is full. A
//!   connection with a response under way never gives way.

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
    shares::{ClientAddress, ShareError, ShareTable},
};

/// How many connections all addresses of actions in this process have open.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// The connections of one address.
#[derive(Debug)]
pub(crate) struct ConnectionSlots {
    list: Mutex<SlotList>,
    /// How many connections are open, including those that were evicted and are ending.
    open: watch::Sender<usize>,
    most: usize,
    /// Whether they count towards the limit of all addresses together.
    counted: bool,
}

/// How many evicted connections may be open in addition to the limit.
const EVICTED_MAX: usize = 8;
/// How long an evicted connection may take to end before new ones are accepted regardless.
const EVICTION_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct SlotList {
    taken: ShareTable,
    connections: HashMap<u64, Arc<ConnectionState>>,
    next: u64,
}

/// The slot of one connection; it is released on drop.
#[derive(Debug)]
pub(crate) struct ConnectionSlot {
    number: u64,
    state: Arc<ConnectionState>,
    slots: Arc<ConnectionSlots>,
}

/// The state of a connection.
#[derive(Debug)]
pub(super) struct ConnectionState {
    client: ClientAddress,
    /// How many responses are under way.
    in_flight: AtomicUsize,
    /// Whether a request has ever come.
    begun: AtomicBool,
    /// Whether a write waits for the client to read.
    write_blocked: AtomicBool,
    /// Whether the connection was upgraded to something other than HTTP.
    upgraded: AtomicBool,
    /// Since when nothing is being asked for, in nanoseconds of the boot-time clock.
    idle_since: AtomicU64,
    /// Cancelled when another connection gets the slot.
    evicted: CancellationToken,
}

/// A response under way; its end is noted on drop.
#[derive(Debug)]
pub(super) struct InFlightGuard(Arc<ConnectionState>);

impl ConnectionSlots {
    /// The slots of the control API, `most` of them.
    pub(crate) fn for_control(most: usize) -> Arc<Self> {
        Self::new(descriptors::for_control(most), false)
    }

    /// The slots of an address of actions, `most` of them.
    pub(super) fn for_address(most: usize) -> Arc<Self> {
        Self::new(descriptors::for_an_address(most), true)
    }

    fn new(most: usize, counted: bool) -> Arc<Self> {
        let list = SlotList { taken: ShareTable::new(most), connections: HashMap::new(), next: 0 };
        Arc::new(Self { list: Mutex::new(list), open: watch::Sender::new(0), most, counted })
    }

    /// Waits until all but a few of the evicted connections are closed: in a burst there would be
    /// as many of them as new ones, and they would use up the process's files.
    pub(super) async fn wait_for_closing(&self) {
        let few = |open: &usize| *open < self.most + EVICTED_MAX;
        if few(&self.open.borrow()) {
            return;
        }
        let mut open = self.open.subscribe();
        // The sender is `self`, so an error is impossible; and one connection that does not end in
        // time blocks nobody.
        let _ = timeout(EVICTION_TIMEOUT, open.wait_for(few)).await;
    }

    /// A slot for a connection of the client at `ip`; an idle connection may be evicted for it.
    pub(crate) fn acquire(self: &Arc<Self>, ip: IpAddr) -> Option<ConnectionSlot> {
        let client = ClientAddress::at(ip);
        let mut list = self.list();
        loop {
            let short = match self.take(&mut list, client) {
                Ok(()) => break,
                Err(short) => short,
            };
            let number = list
                .longest_idle(|state| short == ShareError::Exhausted || state.client == client)?;
            self.release(&mut list, number);
        }
        let number = list.next;
        list.next += 1;
        let state = Arc::new(ConnectionState::of(client));
        list.connections.insert(number, Arc::clone(&state));
        self.open.send_modify(|open| *open += 1);
        Some(ConnectionSlot { number, state, slots: Arc::clone(self) })
    }

    fn take(&self, list: &mut SlotList, client: ClientAddress) -> Result<(), ShareError> {
        if self.counted && OPEN.load(Ordering::Relaxed) >= descriptors::for_all_addresses() {
            return Err(ShareError::Exhausted);
        }
        list.taken.take(client, 1)?;
        if self.counted {
            OPEN.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Releases a slot unless that has happened before, and evicts its connection.
    fn release(&self, list: &mut SlotList, number: u64) {
        let Some(state) = list.connections.remove(&number) else { return };
        list.taken.give_back(state.client, 1);
        if self.counted {
            OPEN.fetch_sub(1, Ordering::Relaxed);
        }
        state.evicted.cancel();
    }

    /// Do not hold this lock across an await.
    fn list(&self) -> MutexGuard<'_, SlotList> {
        self.list.lock()
    }
}

impl SlotList {
    /// The connection that has been idle longest among those that `may` be evicted.
    fn longest_idle(&self, may: impl Fn(&ConnectionState) -> bool) -> Option<u64> {
        let idle = self.connections.iter().filter(|(_, state)| state.is_idle() && may(state));
        let since = |(number, state): &(&u64, &Arc<ConnectionState>)| {
            (state.idle_since.load(Ordering::Relaxed), **number)
        };
        idle.min_by_key(since).map(|(number, _)| *number)
    }
}

impl ConnectionSlot {
    /// The state of the connection.
    pub(super) fn state(&self) -> &Arc<ConnectionState> {
        &self.state
    }

    /// Resolves when another connection gets the slot.
    pub(super) async fn evicted(&self) {
        self.state.evicted.cancelled().await;
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.slots.release(&mut self.slots.list(), self.number);
        self.slots.open.send_modify(|open| *open -= 1);
    }
}

impl ConnectionState {
    fn of(client: ClientAddress) -> Self {
        Self {
            client,
            in_flight: AtomicUsize::new(0),
            begun: AtomicBool::new(false),
            write_blocked: AtomicBool::new(false),
            upgraded: AtomicBool::new(false),
            idle_since: AtomicU64::new(BootTime::now().as_nanos()),
            evicted: CancellationToken::new(),
        }
    }

    /// Whether nothing is being asked for, and nothing is on its way to the client.
    pub(super) fn is_idle(&self) -> bool {
        self.has_no_requests() && !self.write_blocked.load(Ordering::Acquire)
    }

    /// Whether nothing is being asked for.
    pub(super) fn has_no_requests(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) == 0
    }

    /// Whether the head of a request has ever come.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Notes whether a write waits for the client to read.
    pub(super) fn set_write_blocked(&self, blocked: bool) {
        self.write_blocked.store(blocked, Ordering::Release);
    }

    /// Notes that the connection is no longer HTTP.
    pub(super) fn set_upgraded(&self) {
        self.upgraded.store(true, Ordering::Release);
    }

    /// Whether the connection is no longer HTTP.
    pub(super) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Ordering::Acquire)
    }

    /// Counts a request as under way until the guard is dropped.
    pub(super) fn begin_request(self: &Arc<Self>) -> InFlightGuard {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        self.begun.store(true, Ordering::Release);
        InFlightGuard(Arc::clone(self))
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.idle_since.store(BootTime::now().as_nanos(), Ordering::Relaxed);
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn is_wanted(slot: &ConnectionSlot) -> bool {
        slot.state.evicted.is_cancelled()
    }

    #[test]
    fn who_has_its_share_gives_way_to_itself() {
        let places = ConnectionSlots::for_control(16);
        let mine: Vec<_> = (0..12).map(|_| places.acquire(ip(1)).unwrap()).collect();
        let other = places.acquire(ip(2)).unwrap();
        assert!(!mine.iter().chain([&other]).any(is_wanted));
        let busy = mine[0].state.begin_request();
        let more = places.acquire(ip(1)).unwrap();
        // Not the first one, which has a request, and not another client's.
        let gone: Vec<_> = (0..12).filter(|at| is_wanted(&mine[*at])).collect();
        assert!(gone == [1] || gone == [1, 2], "{gone:?}");
        assert!(!is_wanted(&other) && !is_wanted(&more));
        drop(busy);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_waits_for_those_that_have_given_way_to_end() {
        let places = ConnectionSlots::for_control(4);
        let mut all: Vec<_> =
            (0..4 + EVICTED_MAX).map(|_| places.acquire(ip(1)).unwrap()).collect();
        let begun = tokio::time::Instant::now();
        places.wait_for_closing().await;
        assert_eq!(begun.elapsed(), EVICTION_TIMEOUT, "one that hangs keeps nobody out");
        let settle = places.wait_for_closing();
        let end = async {
            tokio::time::sleep(EVICTION_TIMEOUT / 2).await;
            all.pop();
        };
        tokio::join!(settle, end);
        assert_eq!(begun.elapsed(), EVICTION_TIMEOUT * 3 / 2);
        places.wait_for_closing().await;
        assert_eq!(begun.elapsed(), EVICTION_TIMEOUT * 3 / 2);
    }

    #[test]
    fn where_all_is_taken_the_idlest_gives_way() {
        let places = ConnectionSlots::for_control(4);
        let all: Vec<_> = (1..=4).map(|last| places.acquire(ip(last)).unwrap()).collect();
        let busy: Vec<_> = [0, 2].map(|at: usize| all[at].state.begin_request()).into();
        all[1].state.set_write_blocked(true);
        let fifth = places.acquire(ip(5)).unwrap();
        assert_eq!((0..4).filter(|at| is_wanted(&all[*at])).collect::<Vec<_>>(), [3]);
        let _fifth = (fifth.state.begin_request(), fifth);
        // No connection is idle any more: a new one gets no slot.
        assert!(places.acquire(ip(6)).is_none());
        drop((busy, all));
        assert!(places.acquire(ip(6)).is_some());
    }
}
