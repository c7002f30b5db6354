//! One request, from its arrival to an answer: here, there, or after a while.

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
    context::{KnownLeader, RelayContext},
    error::RelayError,
    limits::{KEPT, RETRY},
    relay_headers::RelayHeaders,
};
use crate::{
    action::{Action, ActiveAction, ActiveActions},
    http::{ConnectionInfo, OverTls, ReplayableBody},
};
use soloist_config::StandbyMode;
use soloist_heart::Token;
use soloist_resources::shares::{Client, Share, Shares};
use soloist_stores::Roster;
use soloist_telemetry::measure;

/// A request on its way.
pub(super) struct RelayedRequest {
    context: Arc<RelayContext>,
    action: Arc<Action>,
    standby: StandbyMode,
    headers: RelayHeaders,
    caller: ConnectionInfo,
    head: Parts,
    body: Arc<ReplayableBody>,
    upgrade: Option<OnUpgrade>,
    slots: Arc<Shares>,
    slot: Option<Share>,
    /// The last term that may have done it without an answer, and what is known of that.
    lost: Option<(Token, String)>,
}

/// Where to go next.
enum RelayStep {
    Local(ActiveAction),
    Remote(KnownLeader),
    /// There is nobody, or nobody who answers.
    Wait,
    /// Another host asks for a term that is over.
    TermEnded,
}

/// What came of it.
enum AttemptResult {
    Answered(Box<Response<RelayBody>>),
    /// Nobody has seen anything of the request.
    NotBegun,
    /// Nor was anything of it sent: it may be the way that is closed, not the term.
    Unreachable,
    /// It may have been done.
    Lost(String),
}

/// A leader that is not asked again, until this moment if there is one.
type SkippedLeader = Option<(Token, Option<Instant>)>;

impl RelayedRequest {
    pub(super) fn new(
        shared: &Arc<RelayContext>,
        action: Arc<Action>,
        standby: StandbyMode,
        headers: RelayHeaders,
        caller: ConnectionInfo,
        mut request: Request<Incoming>,
        slots: Arc<Shares>,
    ) -> Self {
        // Of a request that came in, nothing is left of an upgrade that it does not ask for.
        let asks = request.headers().contains_key(header::UPGRADE);
        let upgrade = asks.then(|| upgrade::on(&mut request));
        let (mut head, body) = request.into_parts();
        if headers.secure {
            head.extensions.insert(OverTls);
        }
        let kept = ReplayableBody::new(body, KEPT, action.account());
        let (context, body) = (Arc::clone(shared), Arc::new(kept));
        let (slot, lost) = (None, None);
        Self { context, action, standby, headers, caller, head, body, upgrade, slots, slot, lost }
    }

    /// The body of the request.
    pub(super) fn body(&self) -> Arc<ReplayableBody> {
        Arc::clone(&self.body)
    }

    /// Sees to an answer.
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

    async fn serve(&mut self) -> Result<Response<RelayBody>, RelayError> {
        self.headers.check_hops(&self.context.host)?;
        let hold = self.action.config().relay.hold;
        let hold = self.headers.hold.map_or(hold, |left| left.min(hold));
        let deadline = Instant::now() + hold;
        let (mut floor, mut roster) =
            (self.context.directory.active_actions(), self.context.roster.clone());
        let mut shunned: SkippedLeader = None;
        let mut held = false;
        loop {
            let next = self.next_step(
                &floor.borrow_and_update(),
                roster.borrow_and_update().as_ref(),
                shunned,
            );
            match next {
                RelayStep::Local(performer) => match self.try_local(&performer).await {
                    AttemptResult::Answered(response) => return Ok(*response),
                    tried => self.check_retry(tried)?,
                },
                RelayStep::Remote(leader) if self.standby == StandbyMode::Redirect => {
                    return self.redirect(&leader);
                }
                RelayStep::Remote(leader) => match self.try_remote(&leader, deadline).await? {
                    AttemptResult::Answered(response) => return Ok(*response),
                    AttemptResult::NotBegun => {
                        shunned = Some((leader.token, None));
                        self.check_retry(AttemptResult::NotBegun)?;
                    }
                    AttemptResult::Lost(reason) if self.term_goes_on(&leader).await => {
                        return Err(RelayError::BrokenOff(reason));
                    }
                    AttemptResult::Lost(reason) => {
                        self.lost = Some((leader.token, reason.clone()));
                        self.check_retry(AttemptResult::Lost(reason))?;
                    }
                    AttemptResult::Unreachable => {
                        shunned = Some((leader.token, Some(Instant::now() + RETRY)));
                        self.check_retry(AttemptResult::Unreachable)?;
                    }
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
                Ok(()) = floor.changed() => {}
                Ok(()) = roster.changed() => {}
                () = pause(shunned) => shunned = None,
            }
        }
    }

    /// Where to go, as things are now.
    fn next_step(
        &self,
        floor: &ActiveActions,
        roster: Option<&Roster>,
        shunned: SkippedLeader,
    ) -> RelayStep {
        let group = self.action.group();
        let performer = floor.get(self.action.name());
        if let Some(performer) = performer.filter(|performer| performer.admits()) {
            return RelayStep::Local(performer.clone());
        }
        let leader = self.context.leader(roster, group);
        if let Some(asked) = self.asked_term() {
            // It begins here, or is over; either way this is the host to say so. As long as
            // its candidate stands, it may be this host that does not know of its win yet.
            let begun = floor.latest_token(group).is_some_and(|latest| latest >= asked);
            let mut queue = roster.iter().flat_map(|roster| roster.queue(group));
            let stands = queue.any(|it| it.key.token == asked);
            let known = roster.is_some_and(|roster| roster.revision >= asked.0);
            return if begun || (known && !stands) {
                RelayStep::TermEnded
            } else {
                RelayStep::Wait
            };
        }
        match leader {
            Some(leader) if !leader.is_self && self.may_ask(leader.token, shunned) => {
                RelayStep::Remote(leader)
            }
            _ => RelayStep::Wait,
        }
    }

    /// Whether the leader under `token` may be asked now: not while it is shunned, and never
    /// again where it may have done it.
    fn may_ask(&self, token: Token, shunned: SkippedLeader) -> bool {
        let lost = self.lost.as_ref().is_some_and(|(lost, _)| *lost >= token);
        !lost && shunned.is_none_or(|(shunned, _)| shunned != token)
    }

    /// The term of this host that another one asks for.
    fn asked_term(&self) -> Option<Token> {
        let (host, token) = self.headers.target_term.as_ref()?;
        (**host == *self.context.host).then_some(*token)
    }

    /// Whether another leader may be asked after this.
    fn check_retry(&self, tried: AttemptResult) -> Result<(), RelayError> {
        match tried {
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

    /// Counts among those that wait or are answered elsewhere.
    fn take_slot(&mut self) -> Result<(), RelayError> {
        if self.slot.is_none() {
            let place = self.slots.take(Client::at(self.caller.peer.ip()), 1);
            self.slot = Some(place.map_err(|_| RelayError::Busy)?);
        }
        Ok(())
    }

    /// Why there is no answer after so long.
    fn no_answer(&self, held: Duration) -> RelayError {
        if let Some((_, reason)) = &self.lost {
            return RelayError::Lost(reason.clone());
        }
        let (action, group) = (self.action.name().to_string(), self.action.group().to_string());
        RelayError::NoLeader { action, group, held }
    }
}

/// Resolves when a leader that was shunned for a while may be asked again.
async fn pause(shunned: SkippedLeader) {
    match shunned {
        Some((_, Some(until))) => sleep_until(until).await,
        _ => pending().await,
    }
}
