//! The interface for what a leader does under a term.

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::gate::Gate;
use soloist_heart::{EndCause, HeartEvent, LeaderKey};

/// Does a leader's work for as long as a term lasts.
pub trait Performer: Send + Sync + 'static {
    /// Begins the work of `term`, which this host has just won. It is called on the election
    /// thread, so it must not block; the returned future runs on the runtime that
    /// [`Election::start`](crate::Election::start) was called on.
    ///
    /// The future must resolve when nothing of the term is alive any more, and not before: the
    /// leadership is then given up, and another host may perform. After a [`TermOrder::Stop`] it
    /// has the stop timeout ([`Timings::stop_timeout`](soloist_heart::Timings)) to do so; if it takes
    /// longer, the [watchdog](crate::Watchdog) aborts the process before the lease can end in the
    /// store.
    fn perform(&self, term: RunningTerm) -> BoxFuture<'static, ()>;
}

/// A function can be a performer: it is called once for each term.
impl<F, P> Performer for F
where
    F: Fn(RunningTerm) -> P + Send + Sync + 'static,
    P: Future<Output = ()> + Send + 'static,
{
    fn perform(&self, term: RunningTerm) -> BoxFuture<'static, ()> {
        self(term).boxed()
    }
}

/// What a term is ordered to do. Its gate has already been turned accordingly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TermOrder {
    /// Begin nothing new, finish what has begun, then call [`RunningTerm::drained`].
    Drain,
    /// End at once.
    Stop,
}

/// A term that has begun.
#[derive(Debug)]
pub struct RunningTerm {
    key: LeaderKey,
    gate: Arc<Gate>,
    orders: UnboundedReceiver<TermOrder>,
    events: UnboundedSender<HeartEvent>,
}

impl RunningTerm {
    pub(crate) fn new(
        key: LeaderKey,
        gate: Arc<Gate>,
        orders: UnboundedReceiver<TermOrder>,
        events: UnboundedSender<HeartEvent>,
    ) -> Self {
        Self { key, gate, orders, events }
    }

    /// The leader key. Its fencing token fences what the term writes elsewhere.
    #[must_use]
    pub fn key(&self) -> &LeaderKey {
        &self.key
    }

    /// The gate that every effect of the term has to pass.
    #[must_use]
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Waits for the next order. Without a driver there is no lease, so the answer is
    /// [`TermOrder::Stop`] then. Cancel-safe: no order is lost if this future is dropped.
    pub async fn order(&mut self) -> TermOrder {
        self.orders.recv().await.unwrap_or(TermOrder::Stop)
    }

    /// Reports that no work is under way any more.
    pub fn drained(&self) {
        self.send(HeartEvent::Drained { key: self.key.clone() });
    }

    /// Asks to end this term so that another host can lead.
    pub fn hand_over(&self, cause: EndCause) {
        self.send(HeartEvent::HandOver { key: self.key.clone(), cause });
    }

    /// Reports that the store refused a write made in the name of this term: another host leads.
    pub fn fenced(&self) {
        self.send(HeartEvent::KeyGone { key: self.key.clone() });
    }

    fn send(&self, event: HeartEvent) {
        // A driver that no longer listens has ended.
        let _ = self.events.send(event);
    }
}
