//! A host's session: one lease that is kept alive, and the deadline that follows from it.

use std::time::Duration;

use super::{HeartCommand, LeaseId};
use crate::{clock::BootTime, timings::Timings};

/// The session of a host.
#[derive(Clone, Debug)]
pub struct Session {
    timings: Timings,
    state: SessionState,
}

#[derive(Clone, Debug)]
enum SessionState {
    /// There is no lease; the next one is requested at `retry_at`.
    Absent { retry_at: BootTime },
    /// A lease was requested.
    Granting,
    /// A lease is held.
    Live(LiveSession),
    /// The lease must not be relied on any more; it is given back when every candidacy is idle.
    Ending { lease: LeaseId, known: bool },
    /// The lease is being given back.
    Revoking { lease: LeaseId },
    /// The session has ended for good: no other lease will be requested.
    Over,
}

#[derive(Clone, Debug)]
struct LiveSession {
    lease: LeaseId,
    deadline: BootTime,
    renew_at: BootTime,
    renewing: bool,
}

impl Session {
    /// A session without a lease; one is requested at the first opportunity.
    #[must_use]
    pub fn new(timings: Timings) -> Self {
        Self { timings, state: SessionState::Absent { retry_at: BootTime::ZERO } }
    }

    /// The lease and its deadline, while the lease can be relied on.
    #[must_use]
    pub fn live(&self) -> Option<(LeaseId, BootTime)> {
        match &self.state {
            SessionState::Live(live) => Some((live.lease, live.deadline)),
            _ => None,
        }
    }

    /// Whether the session has ended for good.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, SessionState::Over)
    }

    /// The moment at which the session changes even if no event arrives.
    pub(super) fn next_wake(&self) -> BootTime {
        match &self.state {
            SessionState::Absent { retry_at } => *retry_at,
            SessionState::Live(live) if live.renewing => live.deadline,
            SessionState::Live(live) => live.deadline.min(live.renew_at),
            _ => BootTime::NEVER,
        }
    }

    /// Ends the session if its deadline has passed, and returns whether it had.
    pub(super) fn expire(&mut self, now: BootTime) -> bool {
        match self.live() {
            Some((lease, deadline)) if now >= deadline => self.end(lease),
            _ => false,
        }
    }

    /// Ends the session of `lease`, and returns whether that was the live one.
    pub(super) fn end(&mut self, lease: LeaseId) -> bool {
        let was_live = self.live_mut(lease).is_some();
        if was_live {
            self.state = SessionState::Ending { lease, known: true };
        }
        was_live
    }

    pub(super) fn granted(&mut self, lease: LeaseId, ttl: Duration, sent: BootTime) {
        if matches!(self.state, SessionState::Granting) {
            self.state = SessionState::Live(LiveSession {
                lease,
                deadline: self.deadline(sent, ttl),
                renew_at: sent + self.timings.renew_every,
                renewing: false,
            });
        }
    }

    pub(super) fn grant_failed(&mut self, now: BootTime) {
        if matches!(self.state, SessionState::Granting) {
            self.state = SessionState::Absent { retry_at: now + self.timings.retry };
        }
    }

    /// Processes an acknowledged renewal. Returns the new deadline if it moved.
    pub(super) fn renewed(
        &mut self,
        lease: LeaseId,
        ttl: Duration,
        sent: BootTime,
    ) -> Option<BootTime> {
        let deadline = self.deadline(sent, ttl);
        let renew_at = sent + self.timings.renew_every;
        let live = self.live_mut(lease)?;
        live.renewing = false;
        live.renew_at = renew_at;
        if deadline <= live.deadline {
            return None;
        }
        live.deadline = deadline;
        Some(deadline)
    }

    pub(super) fn renew_failed(&mut self, lease: LeaseId, now: BootTime) {
        let retry_at = now + self.timings.retry;
        if let Some(live) = self.live_mut(lease) {
            live.renewing = false;
            live.renew_at = retry_at;
        }
    }

    /// Processes the report that the store does not know `lease`. Returns whether that was the live
    /// one.
    pub(super) fn lease_gone(&mut self, lease: LeaseId) -> bool {
        let was_live = self.live_mut(lease).is_some();
        if was_live || matches!(self.state, SessionState::Ending { lease: l, .. } if l == lease) {
            self.state = SessionState::Ending { lease, known: false };
        }
        was_live
    }

    pub(super) fn released(&mut self, lease: LeaseId) {
        if matches!(self.state, SessionState::Revoking { lease: l } if l == lease) {
            self.state = SessionState::Absent { retry_at: BootTime::ZERO };
        }
    }

    /// Stops renewing the lease, so that whatever could not be given up expires with it.
    pub(super) fn stop_renewing(&mut self) {
        if let SessionState::Live(live) = &mut self.state {
            live.renew_at = BootTime::NEVER;
        }
    }

    /// Carries out what is due by `now`. `idle`: no candidacy needs the lease; `stopping`: no
    /// further session is wanted.
    pub(super) fn advance(
        &mut self,
        now: BootTime,
        idle: bool,
        stopping: bool,
        out: &mut Vec<HeartCommand>,
    ) {
        if idle
            && stopping
            && let Some((lease, _)) = self.live()
        {
            self.state = SessionState::Ending { lease, known: true };
        }
        if idle && let SessionState::Ending { lease, known } = self.state {
            self.state = if known {
                out.push(HeartCommand::Revoke { lease });
                SessionState::Revoking { lease }
            } else {
                SessionState::Absent { retry_at: now }
            };
        }
        match &mut self.state {
            // A lease that was requested is waited for, since the store may have granted it.
            SessionState::Absent { .. } if stopping => self.state = SessionState::Over,
            SessionState::Absent { retry_at } if now >= *retry_at => {
                out.push(HeartCommand::Grant { sent: now });
                self.state = SessionState::Granting;
            }
            SessionState::Live(live) if !live.renewing && now >= live.renew_at => {
                live.renewing = true;
                out.push(HeartCommand::Renew { lease: live.lease, sent: now });
            }
            _ => {}
        }
    }

    fn deadline(&self, sent: BootTime, ttl: Duration) -> BootTime {
        sent + ttl.saturating_sub(self.timings.margin)
    }

    fn live_mut(&mut self, lease: LeaseId) -> Option<&mut LiveSession> {
        match &mut self.state {
            SessionState::Live(live) if live.lease == lease => Some(live),
            _ => None,
        }
    }
}
