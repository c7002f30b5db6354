//! The instances that answer the requests of one action, of whichever WASI.

use std::sync::Arc;

use ::http::Request;

use super::{
    action_server::{RequestPermit, ResponseSender},
    action_version::VersionContext,
    guest_handle::{BrokenFlag, GuestHandle},
    limited_body::LimitedBody,
    shared_instances::{self, SharedInstances},
    single_instances::{self, SingleInstances},
};
use soloist_guests::plugin::HttpEntry;

/// The instances of one action under one term.
pub(super) enum HttpInstances {
    /// Each answers one request at a time.
    Single(Arc<SingleInstances>),
    /// Each answers several at once.
    Shared(Arc<SharedInstances>),
}

/// What a request is answered by.
pub(super) enum HttpReservation {
    /// Of [`Instances::Single`].
    Single(single_instances::SingleReservation),
    /// Of [`Instances::Shared`].
    Shared(shared_instances::SharedReservation),
}

impl HttpInstances {
    /// No instances yet.
    pub(super) fn new(run: &Arc<VersionContext>, entry: HttpEntry) -> Self {
        match entry {
            HttpEntry::V02(entry) => Self::Single(SingleInstances::new(run.clone(), entry).into()),
            HttpEntry::V03(entry) => Self::Shared(SharedInstances::new(run.clone(), entry).into()),
        }
    }

    /// Finds an instance, or waits for a slot of the engine.
    pub(super) async fn reserve(&self) -> HttpReservation {
        match self {
            Self::Single(single) => HttpReservation::Single(single.reserve().await),
            Self::Shared(shared) => HttpReservation::Shared(shared.reserve().await),
        }
    }

    /// Instantiates once, for nothing.
    pub(super) async fn try_instantiate(&self) -> wasmtime::Result<()> {
        match self {
            Self::Single(single) => single.try_instantiate().await,
            Self::Shared(shared) => shared.try_instantiate().await,
        }
    }

    /// No request comes any more: those that wait for one end.
    pub(super) fn close(&self) {
        match self {
            Self::Single(single) => single.close(),
            Self::Shared(shared) => shared.close(),
        }
    }
}

impl HttpReservation {
    /// Hands a request over. The turn is given back when it is done with.
    pub(super) async fn start(
        self,
        turn: RequestPermit,
        request: Request<LimitedBody>,
        head: ResponseSender,
    ) -> (GuestHandle, BrokenFlag) {
        match self {
            Self::Single(place) => place.start(turn, request, head).await,
            Self::Shared(place) => {
                let (ticket, fate) = place.start(turn, request, head);
                (GuestHandle::Ticket(ticket), fate)
            }
        }
    }
}
