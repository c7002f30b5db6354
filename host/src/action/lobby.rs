//! The lobby: where whoever has a request finds out who answers it on this host.
//!
//! Terms come and go, and say here what they perform; addresses that every host listens on
//! outlive terms, and say here how they are.
//!
//! Invariant: what is asked of a performer runs as a task of its term. Whoever asks holds
//! nothing of the term but the answer, whose body the gate watches.

use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc};

use ::http::{Request, Response};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio_util::task::{AbortOnDropHandle, task_tracker::TaskTrackerToken};

use super::{
    Action, Preflight, Tasks,
    body::ReplyBody,
    door::{Opened, Opening},
    inbound::Inbound,
    refusal::{Refusal, Unserved},
    routes::Slot,
    stage::{DoorKey, door_key},
    tasks::Begun,
};
use soloist_guests::capability::Stamp;
use soloist_heart::{Group, Token};
use soloist_leadership::Gate;

/// Who performs on this host, and which addresses it has for good. Clones are the same.
#[derive(Clone, Default)]
pub struct Lobby(Arc<Inner>);

#[derive(Default)]
struct Inner {
    floor: watch::Sender<Floor>,
    doors: Mutex<BTreeMap<DoorKey, watch::Sender<Opening>>>,
}

/// Who performs, at one moment.
#[derive(Default)]
pub(crate) struct Floor {
    performers: BTreeMap<Arc<str>, Performer>,
    latest: BTreeMap<Group, Token>,
}

impl Floor {
    /// Who answers the requests of `action` on this host, be it that the term is ending.
    pub(crate) fn performer(&self, action: &str) -> Option<&Performer> {
        self.performers.get(action)
    }

    /// The token of the latest term of `group` that has begun on this host.
    pub(crate) fn latest(&self, group: &Group) -> Option<Token> {
        self.latest.get(group).copied()
    }
}

/// An action under a term of this host.
#[derive(Clone)]
pub(crate) struct Performer {
    pub(super) slot: Arc<Slot>,
    pub(super) gate: Arc<Gate>,
    /// What was asked here, which a drain waits for.
    pub(super) visits: Tasks,
}

/// What came of a request.
pub(crate) enum Visit {
    /// An answer; the term's drain waits for it as long as the token lives.
    Answered(Box<Response<ReplyBody>>, TaskTrackerToken),
    /// No guest has seen anything of it.
    NotBegun,
    /// The term ended meanwhile: what was asked for may have been done.
    Lost,
}

impl Performer {
    /// Whether the term takes requests.
    pub(crate) fn admits(&self) -> bool {
        self.gate.admit().is_ok()
    }

    /// Whether its term is that of `token`, and takes requests.
    pub(crate) fn admits_under(&self, token: Token) -> bool {
        self.gate.term().token == token && self.admits()
    }

    /// Asks for an answer.
    pub(crate) async fn answer(&self, request: Request<Inbound>) -> Visit {
        if !self.admits() {
            return Visit::NotBegun;
        }
        let visit = self.visits.occupy();
        let (server, occupied) = match self.slot.enter() {
            Ok(entered) => entered,
            Err(refusal @ Refusal::Closed(_)) => {
                let mut response = refusal.response();
                Stamp::of(self.gate.term()).put(response.headers_mut());
                return Visit::Answered(Box::new(response), visit);
            }
            // It comes up, or another version takes its place.
            Err(_) => return Visit::NotBegun,
        };
        let answer = async move {
            let _occupied = occupied;
            server.respond(request).await
        };
        let response = match self.visits.begin(answer).await {
            Begun::Over(Some(response)) => response,
            Begun::Over(None) => return Visit::NotBegun,
            // A panic ends the process by itself.
            Begun::GoesOn(task) => match AbortOnDropHandle::new(task).await {
                Ok(Some(response)) => response,
                Ok(None) | Err(_) => return Visit::Lost,
            },
        };
        match response.extensions().get::<Unserved>() {
            Some(Unserved::NotBegun) => Visit::NotBegun,
            Some(Unserved::Lost) => Visit::Lost,
            None => Visit::Answered(Box::new(response), visit),
        }
    }
}

impl Lobby {
    /// Who performs, as it changes.
    pub(crate) fn floor(&self) -> watch::Receiver<Floor> {
        self.0.floor.subscribe()
    }

    /// Takes in who performs under the term behind `gate`: these, and no others of it.
    pub(super) fn enter(&self, gate: &Arc<Gate>, performers: BTreeMap<Arc<str>, Performer>) {
        let term = gate.term();
        self.0.floor.send_modify(|floor| {
            floor.latest.insert(term.group.clone(), term.token);
            floor.performers.retain(|_, performer| !Arc::ptr_eq(&performer.gate, gate));
            floor.performers.extend(performers);
        });
    }

    /// Nothing is performed any more under the term behind `gate`.
    pub(super) fn leave(&self, gate: &Arc<Gate>) {
        self.0.floor.send_modify(|floor| {
            floor.performers.retain(|_, performer| !Arc::ptr_eq(&performer.gate, gate));
        });
    }

    /// Tells that another version answers somewhere, or none.
    pub(super) fn nudge(&self) {
        self.0.floor.send_modify(|_| {});
    }

    /// Where it is told how the opening of an address goes that outlives terms.
    pub(crate) fn opening(&self, key: &DoorKey) -> watch::Sender<Opening> {
        self.doors().entry(key.clone()).or_default().clone()
    }

    /// The opening of the address at which `action` answers, if it outlives terms.
    pub(super) fn opened(&self, action: &Action) -> Option<Opened> {
        let outlives = action.config().relayed.standby.listens();
        outlives.then(|| self.opening(&door_key(action)).subscribe())
    }

    /// Where this host answers for `action`, be it by asking the leader; nothing, where
    /// only the leader listens.
    #[must_use]
    pub fn bound(&self, action: &Action) -> Option<SocketAddr> {
        match *self.opened(action)?.borrow() {
            Opening::Open(bound) => Some(bound),
            _ => None,
        }
    }

    /// Checks what can be checked without a term: whether the action's address can be had.
    ///
    /// # Errors
    /// When it could not be started now; the error tells whether it ever could.
    pub fn preflight(&self, action: &Action) -> Result<(), Preflight> {
        let opening = match self.opened(action) {
            Some(opened) if action.listen().is_some() => opened.borrow().clone(),
            _ => return action.preflight(),
        };
        match opening {
            Opening::Open(_) => Ok(()),
            Opening::Begun => action.preflight(),
            Opening::Waiting(reason) | Opening::Failed(reason) => {
                Err(Preflight::Relay { action: Arc::clone(action.name()), reason })
            }
        }
    }

    /// Not to be held across an await.
    fn doors(&self) -> MutexGuard<'_, BTreeMap<DoorKey, watch::Sender<Opening>>> {
        self.0.doors.lock()
    }
}

impl fmt::Debug for Lobby {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let floor = self.0.floor.borrow();
        f.debug_struct("Lobby")
            .field("performers", &floor.performers.keys())
            .finish_non_exhaustive()
    }
}
