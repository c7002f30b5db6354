//! The instances that answer the requests of one action, for WASI 0.2 and 0.3.

use std::sync::Arc;

use super::{
    broken_flag::BrokenFlag,
    guest_handle::GuestHandle,
    guest_request::GuestRequest,
    shared_instances::{self, SharedInstances},
    single_instances::{self, SingleInstances},
    version_context::VersionContext,
};
use soloist_guests::plugin::HttpEntryPoint;

/// The instances of one action under one term.
pub(super) enum HttpInstances {
    /// WASI 0.2: each instance answers one request at a time.
    Single(Arc<SingleInstances>),
    /// WASI 0.3: each instance answers several requests at once.
    Shared(Arc<SharedInstances>),
}

/// An instance, or the right to create one, reserved for a request.
pub(super) enum HttpReservation {
    /// WASI 0.2.
    Single(single_instances::SingleReservation),
    /// WASI 0.3.
    Shared(shared_instances::SharedReservation),
}

impl HttpInstances {
    /// A set without instances.
    pub(super) fn new(version: &Arc<VersionContext>, entry: HttpEntryPoint) -> Self {
        match entry {
            HttpEntryPoint::V02(entry) => {
                Self::Single(SingleInstances::new(version.clone(), entry).into())
            }
            HttpEntryPoint::V03(entry) => {
                Self::Shared(SharedInstances::new(version.clone(), entry).into())
            }
        }
    }

    /// Reserves an instance, or waits for the right to create one.
    pub(super) async fn reserve(&self) -> HttpReservation {
        match self {
            Self::Single(instances) => HttpReservation::Single(instances.reserve().await),
            Self::Shared(instances) => HttpReservation::Shared(instances.reserve().await),
        }
    }

    /// Instantiates once as a test.
    pub(super) async fn try_instantiate(&self) -> wasmtime::Result<()> {
        match self {
            Self::Single(instances) => instances.try_instantiate().await,
            Self::Shared(instances) => instances.try_instantiate().await,
        }
    }

    /// Ends the idle instances: no more requests will come.
    pub(super) fn close(&self) {
        match self {
            Self::Single(instances) => instances.close(),
            Self::Shared(instances) => instances.close(),
        }
    }
}

impl HttpReservation {
    /// Starts to answer a request. Its permit is released when the guest is done with it.
    pub(super) async fn start(self, request: GuestRequest) -> (GuestHandle, BrokenFlag) {
        match self {
            Self::Single(reservation) => reservation.start(request).await,
            Self::Shared(reservation) => {
                let (ticket, broken) = reservation.start(request);
                (GuestHandle::Ticket(ticket), broken)
            }
        }
    }
}
