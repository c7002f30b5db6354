//! The instances that answer the requests of one action, of whichever WASI.

use std::sync::Arc;

use ::http::Request;

use super::{
    fate::{Fate, Tie},
    request::{Head, Turn},
    running::Run,
    shared::{self, Shared},
    single::{self, Single},
    upload::Upload,
};
use soloist_guests::plugin::HttpEntry;

/// The instances of one action under one term.
pub(super) enum Instances {
    /// Each answers one request at a time.
    Single(Arc<Single>),
    /// Each answers several at once.
    Shared(Arc<Shared>),
}

/// What a request is answered by.
pub(super) enum Place {
    /// Of [`Instances::Single`].
    Single(single::Place),
    /// Of [`Instances::Shared`].
    Shared(shared::Place),
}

impl Instances {
    /// No instances yet.
    pub(super) fn new(run: &Arc<Run>, entry: HttpEntry) -> Self {
        match entry {
            HttpEntry::V02(entry) => Self::Single(Single::new(run.clone(), entry).into()),
            HttpEntry::V03(entry) => Self::Shared(Shared::new(run.clone(), entry).into()),
        }
    }

    /// Finds an instance, or waits for a slot of the engine.
    pub(super) async fn place(&self) -> Place {
        match self {
            Self::Single(single) => Place::Single(single.place().await),
            Self::Shared(shared) => Place::Shared(shared.place().await),
        }
    }

    /// Instantiates once, for nothing.
    pub(super) async fn rehearse(&self) -> wasmtime::Result<()> {
        match self {
            Self::Single(single) => single.rehearse().await,
            Self::Shared(shared) => shared.rehearse().await,
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

impl Place {
    /// Hands a request over. The turn is given back when it is done with.
    pub(super) async fn begin(
        self,
        turn: Turn,
        request: Request<Upload>,
        head: Head,
    ) -> (Tie, Fate) {
        match self {
            Self::Single(place) => place.begin(turn, request, head).await,
            Self::Shared(place) => {
                let (ticket, fate) = place.begin(turn, request, head);
                (Tie::Ticket(ticket), fate)
            }
        }
    }
}
