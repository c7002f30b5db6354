//! The guest behind a response: its task, and whether it finished.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio_util::task::AbortOnDropHandle;

use super::{action_refusal::ActionRefusal, instance_state::RequestTicket};

/// The task of a guest. It ends when nobody waits for its answer any more.
pub(super) type GuestTask = AbortOnDropHandle<Option<Result<(), ActionRefusal>>>;

/// What ties a guest to the client that waits for its answer. Dropping it tells
/// that the client has gone.
pub(super) enum GuestHandle {
    /// The guest was done at once: how it ended, if it was not cancelled.
    Finished(Option<Result<(), ActionRefusal>>),
    /// The guest has a task of its own.
    Task(GuestTask),
    /// It answers others as well.
    Ticket(RequestTicket),
}

impl GuestHandle {
    /// Lets the guest run to its end. It remains a task of its action.
    pub(super) fn detach(self) {
        match self {
            Self::Finished(_) => {}
            Self::Task(task) => drop(task.detach()),
            Self::Ticket(ticket) => ticket.finish(),
        }
    }
}

/// How a guest ended. A body whose guest is gone looks as if it were complete,
/// so the client would take half a response for a whole one.
#[derive(Clone, Debug, Default)]
pub(super) struct BrokenFlag(Arc<AtomicBool>);

/// Says that the guest broke off, unless it is told otherwise.
pub(super) struct BrokenUnlessFinished(Option<BrokenFlag>);

impl BrokenFlag {
    /// To be held by the guest's task, and dropped before its store.
    pub(super) fn broken_unless_told(&self) -> BrokenUnlessFinished {
        BrokenUnlessFinished(Some(self.clone()))
    }

    /// Whether the guest broke off.
    pub(super) fn broken(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl BrokenUnlessFinished {
    /// The guest returned.
    pub(super) fn tell_finished(mut self) {
        self.0 = None;
    }
}

impl Drop for BrokenUnlessFinished {
    fn drop(&mut self) {
        if let Some(fate) = &self.0 {
            fate.0.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_says_nothing_broke_off() {
        let fate = BrokenFlag::default();
        fate.broken_unless_told().tell_finished();
        assert!(!fate.broken());
        drop(fate.broken_unless_told());
        assert!(fate.broken());
    }
}
