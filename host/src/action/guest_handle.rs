//! The guest behind a response: its task, and whether it finished.

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
