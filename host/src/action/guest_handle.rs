//! The guest behind a response: its task, and whether it finished.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio_util::task::AbortOnDropHandle;

use super::{action_refusal::ActionRefusal, instance_state::RequestTicket};

/// The task of a guest. It is aborted when nobody waits for its response any more.
pub(super) type GuestTask = AbortOnDropHandle<Option<Result<(), ActionRefusal>>>;

/// Ties a guest to the client that waits for its response. Dropping it means that the client is
/// gone, and ends the guest.
pub(super) enum GuestHandle {
    /// The guest finished at once, with this result; `None` if it was cancelled.
    Finished(Option<Result<(), ActionRefusal>>),
    /// The guest has its own task.
    Task(GuestTask),
    /// The guest runs in an instance that answers other requests as well.
    Ticket(RequestTicket),
}

impl GuestHandle {
    /// Lets the guest run to its end; it remains a task of its action.
    pub(super) fn detach(self) {
        match self {
            Self::Finished(_) => {}
            Self::Task(task) => drop(task.detach()),
            Self::Ticket(ticket) => ticket.finish(),
        }
    }
}

/// Whether a guest broke off. The body of a guest that is gone looks complete, so without this flag
/// a client would take half a response for a whole one.
#[derive(Clone, Debug, Default)]
pub(super) struct BrokenFlag(Arc<AtomicBool>);

/// Sets the flag on drop, unless the guest was marked as finished.
pub(super) struct BrokenUnlessFinished(Option<BrokenFlag>);

impl BrokenFlag {
    /// A guard for the guest's task; it must be dropped before the guest's store.
    pub(super) fn guard(&self) -> BrokenUnlessFinished {
        BrokenUnlessFinished(Some(self.clone()))
    }

    /// Whether the guest broke off.
    pub(super) fn is_broken(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl BrokenUnlessFinished {
    /// Notes that the guest returned.
    pub(super) fn mark_finished(mut self) {
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
        fate.guard().mark_finished();
        assert!(!fate.is_broken());
        drop(fate.guard());
        assert!(fate.is_broken());
    }
}
