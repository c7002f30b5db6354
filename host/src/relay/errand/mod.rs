//! One request, from its arrival to an answer: here, there, or after a while.

mod asking;

use std::{future::pending, sync::Arc, time::Duration};

use ::http::{Request, Response, header, request::Parts};
use hyper::{
    body::Incoming,
    upgrade::{self, OnUpgrade},
};
use tokio::time::{Instant, sleep_until};

use super::{
    Carried,
    limits::{KEPT, RETRY},
    refusal::Refusal,
    shared::{Leader, Shared},
    trail::Trail,
};
use crate::action::{Action, Caller, Floor, Kept, Performer, Secure};
use soloist_config::Standby;
use soloist_heart::Token;
use soloist_resources::shares::{Client, Share, Shares};
use soloist_stores::Roster;
use soloist_telemetry::measure;

/// A request on its way.
pub(super) struct Errand {
    shared: Arc<Shared>,
    action: Arc<Action>,
    standby: Standby,
    trail: Trail,
    caller: Caller,
    head: Parts,
    body: Arc<Kept>,
    upgrade: Option<OnUpgrade>,
    places: Arc<Shares>,
    place: Option<Share>,
    /// The last term that may have done it without an answer, and what is known of that.
    lost: Option<(Token, String)>,
}

/// Where to go next.
enum Next {
    Here(Performer),
    There(Leader),
    /// There is nobody, or nobody who answers.
    Wait,
    /// Another host asks for a term that is over.
    Over,
}

/// What came of it.
enum Tried {
    Answered(Box<Response<Carried>>),
    /// Nobody has seen anything of the request.
    NotBegun,
    /// Nor was anything of it sent: it may be the way that is closed, not the term.
    Unreachable,
    /// It may have been done.
    Lost(String),
}

/// A leader that is not asked again, until this moment if there is one.
type Shunned = Option<(Token, Option<Instant>)>;

impl Errand {
    pub(super) fn new(
        shared: &Arc<Shared>,
        action: Arc<Action>,
        standby: Standby,
        trail: Trail,
        caller: Caller,
        mut request: Request<Incoming>,
        places: Arc<Shares>,
    ) -> Self {
        // Of a request that came in, nothing is left of an upgrade that it does not ask for.
        let asks = request.headers().contains_key(header::UPGRADE);
        let upgrade = asks.then(|| upgrade::on(&mut request));
        let (mut head, body) = request.into_parts();
        if trail.secure {
            head.extensions.insert(Secure);
        }
        let kept = Kept::new(body, KEPT, action.account());
        let (shared, body) = (Arc::clone(shared), Arc::new(kept));
        let (place, lost) = (None, None);
        Self { shared, action, standby, trail, caller, head, body, upgrade, places, place, lost }
    }

    /// The body of the request.
    pub(super) fn body(&self) -> Arc<Kept> {
        Arc::clone(&self.body)
    }

    /// Sees to an answer.
    pub(super) async fn run(mut self) -> Result<Response<Carried>, Refusal> {
        let answered = self.attend().await;
        if answered.is_err() {
            measure::relay_failed(self.action.name());
        }
        answered.map(|mut response| {
            response.body_mut().keep(self.place.take());
            response
        })
    }

    async fn attend(&mut self) -> Result<Response<Carried>, Refusal> {
        self.trail.check(&self.shared.host)?;
        let hold = self.action.config().relayed.hold;
        let hold = self.trail.hold.map_or(hold, |left| left.min(hold));
        let deadline = Instant::now() + hold;
        let (mut floor, mut roster) = (self.shared.lobby.floor(), self.shared.roster.clone());
        let mut shunned: Shunned = None;
        let mut held = false;
        loop {
            let next =
                self.next(&floor.borrow_and_update(), roster.borrow_and_update().as_ref(), shunned);
            match next {
                Next::Here(performer) => match self.ask_here(&performer).await {
                    Tried::Answered(response) => return Ok(*response),
                    tried => self.may_go_on(tried)?,
                },
                Next::There(leader) if self.standby == Standby::Redirect => {
                    return self.redirect(&leader);
                }
                Next::There(leader) => match self.ask_there(&leader, deadline).await? {
                    Tried::Answered(response) => return Ok(*response),
                    Tried::NotBegun => {
                        shunned = Some((leader.token, None));
                        self.may_go_on(Tried::NotBegun)?;
                    }
                    Tried::Lost(reason) if self.goes_on(&leader).await => {
                        return Err(Refusal::BrokenOff(reason));
                    }
                    Tried::Lost(reason) => {
                        self.lost = Some((leader.token, reason.clone()));
                        self.may_go_on(Tried::Lost(reason))?;
                    }
                    Tried::Unreachable => {
                        shunned = Some((leader.token, Some(Instant::now() + RETRY)));
                        self.may_go_on(Tried::Unreachable)?;
                    }
                },
                Next::Wait => {}
                Next::Over => return Err(Refusal::Over),
            }
            if !std::mem::replace(&mut held, true) {
                self.occupy()?;
                measure::relay_held(self.action.name());
            }
            let last = self.shared.closing.is_cancelled()
                && !self.shared.has_successor(self.action.group());
            if hold.is_zero() || last {
                return Err(self.in_vain(hold));
            }
            tokio::select! {
                biased;
                () = sleep_until(deadline) => return Err(self.in_vain(hold)),
                () = self.shared.closing.cancelled(), if !self.shared.closing.is_cancelled() => {}
                Ok(()) = floor.changed() => {}
                Ok(()) = roster.changed() => {}
                () = pause(shunned) => shunned = None,
            }
        }
    }

    /// Where to go, as things are now.
    fn next(&self, floor: &Floor, roster: Option<&Roster>, shunned: Shunned) -> Next {
        let group = self.action.group();
        let performer = floor.performer(self.action.name());
        if let Some(performer) = performer.filter(|performer| performer.admits()) {
            return Next::Here(performer.clone());
        }
        let leader = self.shared.leader(roster, group);
        if let Some(asked) = self.asked_term() {
            // It begins here, or is over; either way this is the host to say so. As long as
            // its candidate stands, it may be this host that does not know of its win yet.
            let begun = floor.latest(group).is_some_and(|latest| latest >= asked);
            let mut queue = roster.iter().flat_map(|roster| roster.queue(group));
            let stands = queue.any(|it| it.key.token == asked);
            let known = roster.is_some_and(|roster| roster.revision >= asked.0);
            return if begun || (known && !stands) { Next::Over } else { Next::Wait };
        }
        match leader {
            Some(leader) if !leader.own && self.may_ask(leader.token, shunned) => {
                Next::There(leader)
            }
            _ => Next::Wait,
        }
    }

    /// Whether the leader under `token` may be asked now: not while it is shunned, and never
    /// again where it may have done it.
    fn may_ask(&self, token: Token, shunned: Shunned) -> bool {
        let lost = self.lost.as_ref().is_some_and(|(lost, _)| *lost >= token);
        !lost && shunned.is_none_or(|(shunned, _)| shunned != token)
    }

    /// The term of this host that another one asks for.
    fn asked_term(&self) -> Option<Token> {
        let (host, token) = self.trail.to.as_ref()?;
        (**host == *self.shared.host).then_some(*token)
    }

    /// Whether another leader may be asked after this.
    fn may_go_on(&self, tried: Tried) -> Result<(), Refusal> {
        match tried {
            Tried::Lost(reason) if !self.head.method.is_idempotent() || !self.body.is_whole() => {
                Err(Refusal::Lost(reason))
            }
            Tried::Lost(_) => {
                measure::relay_repeated(self.action.name());
                Ok(())
            }
            _ if self.body.is_whole() => Ok(()),
            _ => Err(Refusal::Changed),
        }
    }

    /// Counts among those that wait or are answered elsewhere.
    fn occupy(&mut self) -> Result<(), Refusal> {
        if self.place.is_none() {
            let place = self.places.take(Client::at(self.caller.peer.ip()), 1);
            self.place = Some(place.map_err(|_| Refusal::Busy)?);
        }
        Ok(())
    }

    /// Why there is no answer after so long.
    fn in_vain(&self, held: Duration) -> Refusal {
        if let Some((_, reason)) = &self.lost {
            return Refusal::Lost(reason.clone());
        }
        let (action, group) = (self.action.name().to_string(), self.action.group().to_string());
        Refusal::Nobody { action, group, held }
    }
}

/// Resolves when a leader that was shunned for a while may be asked again.
async fn pause(shunned: Shunned) {
    match shunned {
        Some((_, Some(until))) => sleep_until(until).await,
        _ => pending().await,
    }
}
