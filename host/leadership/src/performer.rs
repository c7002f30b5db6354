//! What a leader does, as the rest of this crate sees it.

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::gate::Gate;
use soloist_heart::{EndCause, HeartEvent, LeaderKey};

/// Does what the leader of a group does, for as long as a term lasts.
pub trait Performer: Send + Sync + 'static {
    /// Begins to perform under `term`: this host has just won it. This is called on the thread of
    /// the election, so it must not block; what it returns runs on the runtime that
    /// [`Driver::start`](crate::Driver::start) was given.
    ///
    /// It resolves when nothing of the term is alive, and not before: then the leadership is given
    /// up, and another host may perform. It has to do so within the stop budget
    /// ([`Timings::stop_budget`](soloist_heart::Timings)) of an [`Order::Stop`]; if it does not,
    /// the [watchdog](crate::Watchdog) ends the process before the lease can end in the store.
    fn perform(&self, term: RunningTerm) -> BoxFuture<'static, ()>;
}

/// A function of a term, which is called for each.
impl<F, P> Performer for F
where
    F: Fn(RunningTerm) -> P + Send + Sync + 'static,
    P: Future<Output = ()> + Send + 'static,
{
    fn perform(&self, term: RunningTerm) -> BoxFuture<'static, ()> {
        self(term).boxed()
    }
}

/// What a term is told. Its gate has been turned before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TermOrder {
    /// Begin nothing new, finish what has begun, then say [`RunningTerm::drained`].
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

    /// The leader key: its token fences what the term writes elsewhere.
    #[must_use]
    pub fn key(&self) -> &LeaderKey {
        &self.key
    }

    /// What every effect of the term has to pass.
    #[must_use]
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Waits for the next order. Without a driver there is no lease, so that is a [`Order::Stop`].
    /// Nothing is lost when this is dropped before it resolves.
    pub async fn order(&mut self) -> TermOrder {
        self.orders.recv().await.unwrap_or(TermOrder::Stop)
    }

    /// Says that nothing that had begun is under way any more.
    pub fn drained(&self) {
        self.send(HeartEvent::Drained { key: self.key.clone() });
    }

    /// Asks for the end of this term, for the sake of another host.
    pub fn hand_over(&self, cause: EndCause) {
        self.send(HeartEvent::HandOver { key: self.key.clone(), cause });
    }

    /// Says that the store has refused a write in the name of this term: another host leads.
    pub fn fenced(&self) {
        self.send(HeartEvent::KeyGone { key: self.key.clone() });
    }

    fn send(&self, event: HeartEvent) {
        // A driver that does not listen any more has ended.
        let _ = self.events.send(event);
    }
}
