//! One relayed request, from its arrival to its response: answered by this host, by another one,
//! or held until there is a leader.

mod attempt;

use std::{future::pending, sync::Arc, time::Duration};

use ::http::{Request, Response, header, request::Parts};
use hyper::{
    body::Incoming,
    upgrade::{self, OnUpgrade},
};
use tokio::time::{Instant, sleep_until};

use super::{
    RelayBody,
    context::RelayContext,
    error::RelayError,
    known_leader::KnownLeader,
    limits::{KEPT, RETRY},
    relay_headers::RelayHeaders,
};
use crate::{
    action::{Action, ActiveAction, ActiveActions},
    http::{ConnectionInfo, OverTls, ReplayableBody},
};
use soloist_config::StandbyMode;
use soloist_heart::FencingToken;
use soloist_resources::shares::{ClientAddress, Share, Shares};
use soloist_stores::Roster;
use soloist_telemetry::measure;

/// What a request is relayed by: its action, and how it came in.
pub(super) struct RelayRoute {
    pub(super) action: Arc<Action>,
    /// What to do where this host does not lead.
    pub(super) standby: StandbyMode,
    pub(super) headers: RelayHeaders,
    /// The connection that the request came in by.
    pub(super) caller: ConnectionInfo,
}

/// A request that is being relayed.
pub(super) struct RelayedRequest {
    context: Arc<RelayContext>,
    action: Arc<Action>,
    standby: StandbyMode,
    headers: RelayHeaders,
    caller: ConnectionInfo,
    head: Parts,
    body: Arc<ReplayableBody>,
    upgrade: Option<OnUpgrade>,
    /// What `slot` is taken from.
    slots: Arc<Shares>,
    /// Taken when the request begins to wait or is forwarded.
    slot: Option<Share>,
    /// The last term that may have processed the request without answering it, and the reason.
    lost: Option<(FencingToken, String)>,
}

/// Where the request goes next.
enum RelayStep {
    Local(ActiveAction),
    Remote(KnownLeader),
    /// No leader is known, or none that may be asked now.
    Wait,
    /// Another host asked for a term of this host that is over.
    TermEnded,
}

/// How one attempt ended.
enum AttemptResult {
    Answered(Box<Response<RelayBody>>),
    /// No guest has seen anything of the request.
    NotBegun,
    /// Nothing of the request was sent: the connection may be at fault, and not the term.
    Unreachable,
    /// The request may have been processed; with the reason why there is no answer.
    Lost(String),
}

/// A leader that is not asked again, or not before the given moment.
type SkippedLeader = Option<(FencingToken, Option<Instant>)>;

impl RelayedRequest {
    pub(super) fn new(
        context: &Arc<RelayContext>,
        route: RelayRoute,
        slots: Arc<Shares>,
        mut request: Request<Incoming>,
    ) -> Self {
        let RelayRoute { action, standby, headers, caller } = route;
        // The header is left only where the client validly asks for an upgrade.
        let asks = request.headers().contains_key(header::UPGRADE);
        let upgrade = asks.then(|| upgrade::on(&mut request));
        let (mut head, body) = request.into_parts();
        if headers.secure {
            head.extensions.insert(OverTls);
        }
        let body = Arc::new(ReplayableBody::new(body, KEPT, action.account()));
        let (context, slot, lost) = (Arc::clone(context), None, None);
        Self { context, action, standby, headers, caller, head, body, upgrade, slots, slot, lost }
    }

    /// The request's body, which is shared with this request.
    pub(super) fn body(&self) -> Arc<ReplayableBody> {
        Arc::clone(&self.body)
    }

    /// Attempts the request until there is an answer, and counts the failures.
    pub(super) async fn run(mut self) -> Result<Response<RelayBody>, RelayError> {
        let answered = self.serve().await;
        if answered.is_err() {
            measure::relay_failed(self.action.name());
        }
        answered.map(|mut response| {
            response.body_mut().hold_slot(self.slot.take());
            response
        })
    }

    /// One attempt after the other, each by the latest view of who leads.
    async fn serve(&mut self) -> Result<Response<RelayBody>, RelayError> {
        self.headers.check_hops()?;
        if self.headers.has_passed_host(&self.context.host) {
            return Err(self.circle());
        }
        let hold = self.action.config().relay.max_hold;
        let hold = self.headers.hold.map_or(hold, |left| left.min(hold));
        let deadline = Instant::now() + hold;
        let (mut active, mut roster) =
            (self.context.directory.active_actions(), self.context.roster.clone());
        let mut skipped: SkippedLeader = None;
        let mut held = false;
        loop {
            let next = self.next_step(
                &active.borrow_and_update(),
                roster.borrow_and_update().as_ref(),
                skipped,
            );
            match next {
                RelayStep::Local(action) => match self.try_local(&action).await {
                    AttemptResult::Answered(response) => return Ok(*response),
                    result => self.check_retry(result)?,
                },
                RelayStep::Remote(leader) if self.standby == StandbyMode::Redirect => {
                    return self.redirect(&leader);
                }
                RelayStep::Remote(leader) => match self.try_remote(&leader, deadline).await? {
                    AttemptResult::Answered(response) => return Ok(*response),
                    result => skipped = self.after_remote(&leader, result).await?.or(skipped),
                },
                RelayStep::Wait => {}
                RelayStep::TermEnded => return Err(RelayError::TermEnded),
            }
            if !std::mem::replace(&mut held, true) {
                self.take_slot()?;
                measure::relay_held(self.action.name());
            }
            let last = self.context.closing.is_cancelled()
                && !self.context.has_successor(self.action.group());
            if hold.is_zero() || last {
                return Err(self.no_answer(hold));
            }
            tokio::select! {
                biased;
                () = sleep_until(deadline) => return Err(self.no_answer(hold)),
                () = self.context.closing.cancelled(), if !self.context.closing.is_cancelled() => {}
                Ok(()) = active.changed() => {}
                Ok(()) = roster.changed() => {}
                () = until_retry(skipped) => skipped = None,
            }
        }
    }

    /// Decides whether to go on after `leader` did not answer, and whether to skip it from now on.
    async fn after_remote(
        &mut self,
        leader: &KnownLeader,
        result: AttemptResult,
    ) -> Result<SkippedLeader, RelayError> {
        let (result, skipped) = match result {
            AttemptResult::Lost(reason) if self.term_goes_on(leader).await => {
                return Err(RelayError::BrokenOff(reason));
            }
            AttemptResult::Lost(reason) => {
                self.lost = Some((leader.fencing_token, reason.clone()));
                (AttemptResult::Lost(reason), None)
            }
            AttemptResult::Unreachable => {
                (result, Some((leader.fencing_token, Some(Instant::now() + RETRY))))
            }
            AttemptResult::NotBegun => (result, Some((leader.fencing_token, None))),
            AttemptResult::Answered(_) => (result, None),
        };
        self.check_retry(result)?;
        Ok(skipped)
    }

    /// Where the request goes, by what is known now.
    fn next_step(
        &self,
        active: &ActiveActions,
        roster: Option<&Roster>,
        skipped: SkippedLeader,
    ) -> RelayStep {
        let group = self.action.group();
        let local = active.get(self.action.name());
        if let Some(local) = local.filter(|local| local.admits()) {
            return RelayStep::Local(local.clone());
        }
        let leader = self.context.leader(roster, group);
        if let Some(asked) = self.asked_term(roster) {
            // The term either begins here soon or is over; only this host can tell. As long as
            // its candidate is in the queue, this host may have won and not know it yet.
            let begun = active.latest_fencing_token(group).is_some_and(|latest| latest >= asked);
            let mut queue = roster.iter().flat_map(|roster| roster.queue(group));
            let stands = queue.any(|it| it.key.fencing_token == asked);
            let known = roster.is_some_and(|roster| roster.is_after(asked));
            return if begun || (known && !stands) {
                RelayStep::TermEnded
            } else {
                RelayStep::Wait
            };
        }
        match leader {
            Some(leader) if leader.is_other && self.may_ask(leader.fencing_token, skipped) => {
                RelayStep::Remote(leader)
            }
            _ => RelayStep::Wait,
        }
    }

    /// Whether the leader with `fencing_token` may be asked now: not while it is skipped, and never
    /// again once it may have processed the request.
    fn may_ask(&self, fencing_token: FencingToken, skipped: SkippedLeader) -> bool {
        let lost = self.lost.as_ref().is_some_and(|(lost, _)| *lost >= fencing_token);
        !lost && skipped.is_none_or(|(skipped, _)| skipped != fencing_token)
    }

    /// The error where the request goes in a circle by way of this host.
    fn circle(&self) -> RelayError {
        let roster = self.context.roster.borrow();
        let url_of = |host: &str| Some(roster.as_ref()?.member(host)?.url.clone());
        self.headers.circle(self.context.host.name(), url_of)
    }

    /// The term of this host that the forwarding host asked for. A term that is seen to be of
    /// another host is none, even if that host has the same name.
    fn asked_term(&self, roster: Option<&Roster>) -> Option<FencingToken> {
        let (name, asked) = self.headers.target_term.as_ref()?;
        let host = &self.context.host;
        let mut queue = roster.iter().flat_map(|roster| roster.queue(self.action.group()));
        let of_other =
            queue.any(|it| it.key.fencing_token == *asked && host.is_other(&it.candidate));
        (**name == **host.name() && !of_other).then_some(*asked)
    }

    /// Whether another attempt is safe after this one. If the request may have been processed, only
    /// for idempotent methods; in any case only if the body is still there to be sent again.
    fn check_retry(&self, result: AttemptResult) -> Result<(), RelayError> {
        match result {
            AttemptResult::Lost(reason)
                if !self.head.method.is_idempotent() || !self.body.is_replayable() =>
            {
                Err(RelayError::Lost(reason))
            }
            AttemptResult::Lost(_) => {
                measure::relay_repeated(self.action.name());
                Ok(())
            }
            _ if self.body.is_replayable() => Ok(()),
            _ => Err(RelayError::LeaderChanged),
        }
    }

    /// Counts the request against the limit of those that wait or are under way to other hosts.
    fn take_slot(&mut self) -> Result<(), RelayError> {
        if self.slot.is_none() {
            let slot = self.slots.take(ClientAddress::at(self.caller.peer.ip()), 1);
            self.slot = Some(slot.map_err(|_| RelayError::Busy)?);
        }
        Ok(())
    }

    /// The error for a request that was `held` for this long without an answer.
    fn no_answer(&self, held: Duration) -> RelayError {
        if let Some((_, reason)) = &self.lost {
            return RelayError::Lost(reason.clone());
        }
        if let Some(warning) = self.context.unreached_leader(self.action.group()) {
            return RelayError::Unreached(warning);
        }
        let (action, group) = (self.action.name().to_string(), self.action.group().to_string());
        RelayError::NoLeader { action, group, held }
    }
}

/// Resolves when a leader that is skipped for a while may be asked again.
async fn until_retry(skipped: SkippedLeader) {
    match skipped {
        Some((_, Some(until))) => sleep_until(until).await,
        _ => pending().await,
    }
}
