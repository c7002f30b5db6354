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
    Action, PreflightError, TaskScope,
    action_refusal::{ActionRefusal, Unserved},
    address_listener::{ListenerState, ListenerWatch},
    group_term::{ListenerKey, listener_key},
    request_body::RequestBody,
    response_body::ResponseBody,
    task_scope::FirstStep,
    term_routes::RouteTarget,
};
use soloist_guests::capability::TermHeaders;
use soloist_heart::{Group, Token};
use soloist_leadership::Gate;

/// Who performs on this host, and which addresses it has for good. Clones are the same.
#[derive(Clone, Default)]
pub struct ActionDirectory(Arc<DirectoryInner>);

#[derive(Default)]
struct DirectoryInner {
    active: watch::Sender<ActiveActions>,
    listeners: Mutex<BTreeMap<ListenerKey, watch::Sender<ListenerState>>>,
}

/// Who performs, at one moment.
#[derive(Default)]
pub(crate) struct ActiveActions {
    actions: BTreeMap<Arc<str>, ActiveAction>,
    latest_tokens: BTreeMap<Group, Token>,
}

impl ActiveActions {
    /// Who answers the requests of `action` on this host, be it that the term is ending.
    pub(crate) fn get(&self, action: &str) -> Option<&ActiveAction> {
        self.actions.get(action)
    }

    /// The token of the latest term of `group` that has begun on this host.
    pub(crate) fn latest_token(&self, group: &Group) -> Option<Token> {
        self.latest_tokens.get(group).copied()
    }
}

/// An action under a term of this host.
#[derive(Clone)]
pub(crate) struct ActiveAction {
    pub(super) slot: Arc<RouteTarget>,
    pub(super) gate: Arc<Gate>,
    /// What was asked here, which a drain waits for.
    pub(super) relayed_requests: TaskScope,
}

/// What came of a request.
pub(crate) enum LocalOutcome {
    /// An answer; the term's drain waits for it as long as the token lives.
    Answered(Box<Response<ResponseBody>>, TaskTrackerToken),
    /// No guest has seen anything of it.
    NotBegun,
    /// The term ended meanwhile: what was asked for may have been done.
    Lost,
}

impl ActiveAction {
    /// Whether the term takes requests.
    pub(crate) fn admits(&self) -> bool {
        self.gate.admit().is_ok()
    }

    /// Whether its term is that of `token`, and takes requests.
    pub(crate) fn admits_under(&self, token: Token) -> bool {
        self.gate.term().token == token && self.admits()
    }

    /// Asks for an answer.
    pub(crate) async fn answer(&self, request: Request<RequestBody>) -> LocalOutcome {
        if !self.admits() {
            return LocalOutcome::NotBegun;
        }
        let visit = self.relayed_requests.hold();
        let (server, occupied) = match self.slot.acquire() {
            Ok(entered) => entered,
            Err(refusal @ ActionRefusal::Closed(_)) => {
                let mut response = refusal.response();
                TermHeaders::of(self.gate.term()).insert_into(response.headers_mut());
                return LocalOutcome::Answered(Box::new(response), visit);
            }
            // It comes up, or another version takes its place.
            Err(_) => return LocalOutcome::NotBegun,
        };
        let answer = async move {
            let _occupied = occupied;
            server.respond(request).await
        };
        let response = match self.relayed_requests.start_inline(answer).await {
            FirstStep::Finished(Some(response)) => response,
            FirstStep::Finished(None) => return LocalOutcome::NotBegun,
            // A panic ends the process by itself.
            FirstStep::Running(task) => match AbortOnDropHandle::new(task).await {
                Ok(Some(response)) => response,
                Ok(None) | Err(_) => return LocalOutcome::Lost,
            },
        };
        match response.extensions().get::<Unserved>() {
            Some(Unserved::NotBegun) => LocalOutcome::NotBegun,
            Some(Unserved::Lost) => LocalOutcome::Lost,
            None => LocalOutcome::Answered(Box::new(response), visit),
        }
    }
}

impl ActionDirectory {
    /// Who performs, as it changes.
    pub(crate) fn active_actions(&self) -> watch::Receiver<ActiveActions> {
        self.0.active.subscribe()
    }

    /// Takes in who performs under the term behind `gate`: these, and no others of it.
    pub(super) fn set_active(
        &self,
        gate: &Arc<Gate>,
        performers: BTreeMap<Arc<str>, ActiveAction>,
    ) {
        let term = gate.term();
        self.0.active.send_modify(|floor| {
            floor.latest_tokens.insert(term.group.clone(), term.token);
            floor.actions.retain(|_, performer| !Arc::ptr_eq(&performer.gate, gate));
            floor.actions.extend(performers);
        });
    }

    /// Nothing is performed any more under the term behind `gate`.
    pub(super) fn remove_term(&self, gate: &Arc<Gate>) {
        self.0.active.send_modify(|floor| {
            floor.actions.retain(|_, performer| !Arc::ptr_eq(&performer.gate, gate));
        });
    }

    /// Tells that another version answers somewhere, or none.
    pub(super) fn notify_changed(&self) {
        self.0.active.send_modify(|_| {});
    }

    /// Where it is told how the opening of an address goes that outlives terms.
    pub(crate) fn listener_state(&self, key: &ListenerKey) -> watch::Sender<ListenerState> {
        self.listeners().entry(key.clone()).or_default().clone()
    }

    /// The opening of the address at which `action` answers, if it outlives terms.
    pub(super) fn watch_listener(&self, action: &Action) -> Option<ListenerWatch> {
        let outlives = action.config().relay.standby.listens();
        outlives.then(|| self.listener_state(&listener_key(action)).subscribe())
    }

    /// Where this host answers for `action`, be it by asking the leader; nothing, where
    /// only the leader listens.
    #[must_use]
    pub fn bound_address(&self, action: &Action) -> Option<SocketAddr> {
        match *self.watch_listener(action)?.borrow() {
            ListenerState::Open(bound) => Some(bound),
            _ => None,
        }
    }

    /// Checks what can be checked without a term: whether the action's address can be had.
    ///
    /// # Errors
    /// When it could not be started now; the error tells whether it ever could.
    pub fn preflight(&self, action: &Action) -> Result<(), PreflightError> {
        let opening = match self.watch_listener(action) {
            Some(opened) if action.listen().is_some() => opened.borrow().clone(),
            _ => return action.preflight(),
        };
        match opening {
            ListenerState::Open(_) => Ok(()),
            ListenerState::Starting => action.preflight(),
            ListenerState::Waiting(reason) | ListenerState::Failed(reason) => {
                Err(PreflightError::Relay { action: Arc::clone(action.name()), reason })
            }
        }
    }

    /// Not to be held across an await.
    fn listeners(&self) -> MutexGuard<'_, BTreeMap<ListenerKey, watch::Sender<ListenerState>>> {
        self.0.listeners.lock()
    }
}

impl fmt::Debug for ActionDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let floor = self.0.active.borrow();
        f.debug_struct("Lobby").field("performers", &floor.actions.keys()).finish_non_exhaustive()
    }
}
