//! The switch of the store network: a thread that forwards each packet, delayed or not, or drops
//! it.
//!
//! Packets between two nodes keep their order. Delays are as exact as the scheduler.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use fastrand::Rng;

use super::clock;
use super::frame::Frame;
use super::links::{Delivery, Link, Links};
use super::net::{Node, SWITCH};

/// How long the switch may take to notice that it should stop.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A running switch. It stops when it is dropped.
pub(super) struct Switch {
    links: Arc<Mutex<Links>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Switch {
    /// Starts forwarding. `seed` decides which packets are lost.
    pub(super) fn start(seed: u64) -> Result<Self> {
        let socket = UdpSocket::bind(SWITCH).context("cannot listen for the store network")?;
        let (links, stop) = (Arc::<Mutex<Links>>::default(), Arc::<AtomicBool>::default());
        let mut runner = SwitchThread {
            socket,
            links: Arc::clone(&links),
            stop: Arc::clone(&stop),
            rng: Rng::with_seed(seed),
            late: BinaryHeap::new(),
            last: [[0; 16]; 16],
            count: 0,
        };
        let thread = thread::Builder::new().name("switch".into()).spawn(move || runner.run())?;
        Ok(Self { links, stop, thread: Some(thread) })
    }

    /// Sets one direction.
    pub(super) fn set(&self, from: Node, to: Node, link: Link) {
        lock(&self.links).set(from.id, to.id, link);
    }

    /// Lets everything pass again.
    pub(super) fn heal(&self) {
        *lock(&self.links) = Links::default();
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The thread returns nothing.
            let _ = thread.join();
        }
    }
}

/// A poisoned lock is used on: the table is never left half-written.
fn lock(links: &Mutex<Links>) -> MutexGuard<'_, Links> {
    links.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A packet that waits until it is due. The heap's greatest element is the earliest one.
type DelayedPacket = Reverse<(u64, u64, u8, Vec<u8>)>;

/// The state of the thread.
struct SwitchThread {
    socket: UdpSocket,
    links: Arc<Mutex<Links>>,
    stop: Arc<AtomicBool>,
    rng: Rng,
    late: BinaryHeap<DelayedPacket>,
    /// When the last packet of each direction is due.
    last: [[u64; 16]; 16],
    count: u64,
}

impl SwitchThread {
    fn run(&mut self) {
        let mut buffer = vec![0; 65_536];
        while !self.stop.load(Ordering::Relaxed) {
            let wait = self.send_due();
            // This fails only for a wait of zero, which never happens.
            let _ = self.socket.set_read_timeout(Some(wait));
            if let Ok((length, _)) = self.socket.recv_from(&mut buffer)
                && let Some(packet) = buffer.get_mut(..length)
            {
                self.switch(packet);
            }
        }
    }

    /// Sends the packets that are due; returns how long to wait for the next one.
    fn send_due(&mut self) -> Duration {
        let now = clock::now();
        while let Some(Reverse((due, ..))) = self.late.peek() {
            if *due > now {
                let wait = Duration::from_nanos(due - now);
                return wait.clamp(Duration::from_micros(100), POLL_INTERVAL);
            }
            if let Some(Reverse((_, _, to, packet))) = self.late.pop() {
                self.send(to, &packet);
            }
        }
        POLL_INTERVAL
    }

    fn switch(&mut self, packet: &mut [u8]) {
        let Some(mut frame) = Frame::parse(packet) else { return };
        let (from, to) = (frame.from(), frame.to());
        let Some(link) = lock(&self.links).get(from, to) else { return };
        match link.delivery(&mut self.rng) {
            Delivery::Dropped => {}
            Delivery::Immediate => {
                frame.complete();
                self.send(to, packet);
            }
            Delivery::Delayed(by) => {
                frame.complete();
                let last = &mut self.last[usize::from(from)][usize::from(to)];
                let due = (clock::now() + clock::ns(by)).max(*last);
                *last = due;
                self.count += 1;
                self.late.push(Reverse((due, self.count, to, packet.to_vec())));
            }
        }
    }

    fn send(&self, to: u8, packet: &[u8]) {
        let node = Node { name: "", id: to };
        // A packet that cannot be sent counts as lost.
        let _ = self.socket.send_to(packet, node.client(SWITCH.port()));
    }
}
