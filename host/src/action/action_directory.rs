//! The directory of actions: where the relay, the control API and others find out which action
//! answers on this host.
//!
//! Terms come and go, and register here the actions that they run. Addresses on which every host
//! listens outlive terms, and their state is kept here.
//!
//! Guarantee: a request that is handed to an action runs as a task of the action's term. The caller
//! holds nothing of the term but the response, whose body is guarded by the gate.

use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc};

use ::http::{Request, Response};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio_util::task::{AbortOnDropHandle, task_tracker::TaskTrackerToken};

use super::{
    action_refusal::{ActionRefusal, Unserved},
    listener_key::{ListenerKey, listener_key},
    prepared_action::Action,
    response_body::ResponseBody,
    term_routes::RouteTarget,
};
use crate::{
    http::{ListenerState, ListenerWatch, PreflightError, RequestBody},
    task_scope::{FirstStep, TaskScope},
};
use soloist_guests::capability::TermHeaders;
use soloist_heart::{FencingToken, Group};
use soloist_leadership::Gate;

/// The actions that run on this host, and the state of the addresses that outlive terms. Clones
/// share both.
#[derive(Clone, Default)]
pub struct ActionDirectory(Arc<DirectoryInner>);

#[derive(Default)]
struct DirectoryInner {
    active: watch::Sender<ActiveActions>,
    listeners: Mutex<BTreeMap<ListenerKey, watch::Sender<ListenerState>>>,
}

/// The actions that run on this host at one moment.
#[derive(Default)]
pub(crate) struct ActiveActions {
    actions: BTreeMap<Arc<str>, ActiveAction>,
    latest_fencing_tokens: BTreeMap<Group, FencingToken>,
}

impl ActiveActions {
    /// The action called `action`, if it runs on this host; its term may be ending.
    pub(crate) fn get(&self, action: &str) -> Option<&ActiveAction> {
        self.actions.get(action)
    }

    /// The fencing token of the latest term of `group` that has started on this host.
    pub(crate) fn latest_fencing_token(&self, group: &Group) -> Option<FencingToken> {
        self.latest_fencing_tokens.get(group).copied()
    }
}

/// An action under a term of this host.
#[derive(Clone)]
pub(crate) struct ActiveAction {
    pub(super) target: Arc<RouteTarget>,
    pub(super) gate: Arc<Gate>,
    /// Requests that reached the action through the directory; a drain waits for them.
    pub(super) relayed_requests: TaskScope,
}

/// The outcome of a request that was offered to an action on this host.
pub(crate) enum LocalOutcome {
    /// A response; the term's drain waits for it as long as the fencing token lives.
    Answered(Box<Response<ResponseBody>>, TaskTrackerToken),
    /// No guest has seen anything of the request.
    NotBegun,
    /// The term ended meanwhile: the effect of the request may or may not have happened.
    Lost,
}

impl ActiveAction {
    /// Whether the term takes requests.
    pub(crate) fn admits(&self) -> bool {
        self.gate.admit().is_ok()
    }

    /// Whether the action runs under the term of `fencing_token`, and that term takes requests.
    pub(crate) fn admits_under(&self, fencing_token: FencingToken) -> bool {
        self.gate.term().fencing_token == fencing_token && self.admits()
    }

    /// Hands over `request` and waits for the head of its response.
    pub(crate) async fn answer(&self, request: Request<RequestBody>) -> LocalOutcome {
        if !self.admits() {
            return LocalOutcome::NotBegun;
        }
        let visit = self.relayed_requests.hold();
        let (server, occupied) = match self.target.acquire() {
            Ok(entered) => entered,
            Err(refusal @ ActionRefusal::Closed(_)) => {
                let mut response = refusal.response(ResponseBody::text);
                TermHeaders::of(self.gate.term()).insert_into(response.headers_mut());
                return LocalOutcome::Answered(Box::new(response), visit);
            }
            // The action is starting, or another version is taking its place.
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
    /// The running actions, as they change.
    pub(crate) fn active_actions(&self) -> watch::Receiver<ActiveActions> {
        self.0.active.subscribe()
    }

    /// Replaces the actions of the term behind `gate` by these.
    pub(super) fn set_active(
        &self,
        gate: &Arc<Gate>,
        performers: BTreeMap<Arc<str>, ActiveAction>,
    ) {
        let term = gate.term();
        self.0.active.send_modify(|floor| {
            floor.latest_fencing_tokens.insert(term.group.clone(), term.fencing_token);
            floor.actions.retain(|_, performer| !Arc::ptr_eq(&performer.gate, gate));
            floor.actions.extend(performers);
        });
    }

    /// Removes all actions of the term behind `gate`.
    pub(super) fn remove_term(&self, gate: &Arc<Gate>) {
        self.0.active.send_modify(|floor| {
            floor.actions.retain(|_, performer| !Arc::ptr_eq(&performer.gate, gate));
        });
    }

    /// A target for an action, whose changes wake the subscribers of this directory.
    pub(super) fn new_target(&self) -> Arc<RouteTarget> {
        let directory = self.clone();
        Arc::new(RouteTarget::new(move || directory.notify_changed()))
    }

    /// Wakes the subscribers: somewhere another version answers now, or none does.
    fn notify_changed(&self) {
        self.0.active.send_modify(|_| {});
    }

    /// The state of an address that outlives terms; its listener reports here.
    pub(crate) fn listener_state(&self, key: &ListenerKey) -> watch::Sender<ListenerState> {
        self.listeners().entry(key.clone()).or_default().clone()
    }

    /// Follows the listener of `action`, if that outlives terms.
    pub(super) fn watch_listener(&self, action: &Action) -> Option<ListenerWatch> {
        let outlives = action.config().relay.standby.listens();
        outlives.then(|| self.listener_state(&listener_key(action)).subscribe())
    }

    /// The address on which this host answers for `action`, itself or by forwarding to the leader;
    /// `None` if only the leader listens.
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
    /// The action could not be started now; the error tells whether it ever could.
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

    /// Do not hold this lock across an await.
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
