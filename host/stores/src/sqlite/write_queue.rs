//! The queue of writes that do not concern leadership; they are made one after the other.
//!
//! Invariants:
//!
//! - They never starve a renewal. The worker makes one when it has nothing else to do, and then no
//!   other for as long as it took. So a renewal of this host waits for at most one such write, and
//!   one of another host finds the file's lock free half of the time.
//! - Only the worker holds the file while it writes. The caller may be a guest that gets no
//!   processor time, and would block all others.
//! - Writers take turns, with one write each: a writer with many writes waits for itself.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{file::SqliteFile, sqlite_fault::SqliteFault};
use soloist_heart::clock::BootTime;

/// Work on the file; it delivers its result by itself.
pub(super) type FileWork = Box<dyn FnOnce(Result<&mut SqliteFile, SqliteFault>) + Send>;

/// A write that waits for its turn.
pub(super) struct QueuedWrite {
    /// The writer. Writes of one writer stay in order.
    pub(super) by: Arc<str>,
    pub(super) ticket: WriteTicket,
    pub(super) work: FileWork,
}

/// Decides whether a write is made or cancelled: whichever comes first.
#[derive(Clone, Default)]
pub(super) struct WriteTicket(Arc<AtomicBool>);

impl WriteTicket {
    /// Returns whether this was the first use.
    fn use_once(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

/// The caller's half of a ticket. Dropping it cancels the write.
pub(super) struct WriteTicketStub(WriteTicket);

impl WriteTicketStub {
    pub(super) fn of(ticket: &WriteTicket) -> Self {
        Self(ticket.clone())
    }

    /// Returns whether the write will never be made.
    pub(super) fn cancel(&self) -> bool {
        self.0.use_once()
    }
}

impl Drop for WriteTicketStub {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// The queue of writes.
pub(super) struct WriteQueue {
    /// The writes by writer; the next writer is first.
    waiting: VecDeque<(Arc<str>, VecDeque<QueuedWrite>)>,
    /// When the next write may begin.
    free_at: BootTime,
}

impl WriteQueue {
    pub(super) const fn new() -> Self {
        Self { waiting: VecDeque::new(), free_at: BootTime::ZERO }
    }

    pub(super) fn push(&mut self, write: QueuedWrite) {
        match self.waiting.iter_mut().find(|(by, _)| *by == write.by) {
            Some((_, writes)) => writes.push_back(write),
            None => self.waiting.push_back((write.by.clone(), [write].into())),
        }
    }

    /// When the next write can be made.
    pub(super) fn next_at(&self) -> BootTime {
        if self.waiting.is_empty() { BootTime::NEVER } else { self.free_at }
    }

    /// The next write that was not cancelled.
    pub(super) fn next(&mut self) -> Option<QueuedWrite> {
        while let Some((by, mut writes)) = self.waiting.pop_front() {
            let next =
                std::iter::from_fn(|| writes.pop_front()).find(|write| write.ticket.use_once());
            if !writes.is_empty() {
                self.waiting.push_back((by, writes));
            }
            if next.is_some() {
                return next;
            }
        }
        None
    }

    /// Leaves the file alone for as long as the write took that ends now.
    pub(super) fn rest(&mut self, took: Duration) {
        self.free_at = BootTime::now() + took;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(by: &str) -> QueuedWrite {
        QueuedWrite { by: by.into(), ticket: WriteTicket::default(), work: Box::new(|_| ()) }
    }

    #[test]
    fn a_writer_of_one_waits_for_one_of_another_s_many() {
        let mut turns = WriteQueue::new();
        (0..25).for_each(|_| turns.push(write("many")));
        turns.push(write("one"));
        turns.push(write("two"));
        let order: Vec<_> = std::iter::from_fn(|| turns.next()).map(|write| write.by).collect();
        let order: Vec<&str> = order.iter().map(|by| &**by).collect();
        assert_eq!(order[..5], ["many", "one", "two", "many", "many"]);
        assert_eq!((order.len(), turns.next_at()), (27, BootTime::NEVER));
    }

    #[test]
    fn what_was_given_up_is_passed_over_and_what_is_begun_cannot_be() {
        let mut turns = WriteQueue::new();
        let (gone, stays) = (write("a"), write("a"));
        let (of_gone, of_stays) = (gone.ticket.clone(), stays.ticket.clone());
        [gone, stays, write("b")].into_iter().for_each(|write| turns.push(write));
        assert!(of_gone.use_once(), "it was begun");
        assert_eq!(&*turns.next().unwrap().by, "a");
        assert!(!of_stays.use_once(), "it could be given up");
        assert_eq!(&*turns.next().unwrap().by, "b");
        assert!(turns.next().is_none());
    }
}
