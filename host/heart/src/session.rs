//! A host's session: one lease, kept alive, and the deadline that follows from it.

use std::time::Duration;

use super::{Command, LeaseId};
use crate::{clock::BootTime, timings::Timings};

/// The session of a host.
#[derive(Clone, Debug)]
pub struct Session {
    timings: Timings,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// No lease; the next one is asked for at `retry_at`.
    Absent { retry_at: BootTime },
    /// A lease was asked for.
    Granting,
    /// A lease is held.
    Live(Live),
    /// The lease must not be relied on; it is given back when every candidacy is idle.
    Ending { lease: LeaseId, known: bool },
    /// The lease is being given back.
    Revoking { lease: LeaseId },
    /// There will be no other.
    Over,
}

#[derive(Clone, Debug)]
struct Live {
    lease: LeaseId,
    deadline: BootTime,
    renew_at: BootTime,
    renewing: bool,
}

impl Session {
    /// No session yet; one is wanted at once.
    #[must_use]
    pub fn new(timings: Timings) -> Self {
        Self { timings, state: State::Absent { retry_at: BootTime::ZERO } }
    }

    /// The lease and its deadline, while it may be relied on.
    #[must_use]
    pub fn live(&self) -> Option<(LeaseId, BootTime)> {
        match &self.state {
            State::Live(live) => Some((live.lease, live.deadline)),
            _ => None,
        }
    }

    /// Whether the session has ended for good.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// When time alone will change something.
    pub(super) fn next_wake(&self) -> BootTime {
        match &self.state {
            State::Absent { retry_at } => *retry_at,
            State::Live(live) if live.renewing => live.deadline,
            State::Live(live) => live.deadline.min(live.renew_at),
            _ => BootTime::NEVER,
        }
    }

    /// Ends the session when its deadline has passed. Returns whether that was so.
    pub(super) fn expire(&mut self, now: BootTime) -> bool {
        match self.live() {
            Some((lease, deadline)) if now >= deadline => self.lapse(lease),
            _ => false,
        }
    }

    /// Ends the session of `lease`. Returns whether it was the live one.
    pub(super) fn lapse(&mut self, lease: LeaseId) -> bool {
        let was_live = self.live_mut(lease).is_some();
        if was_live {
            self.state = State::Ending { lease, known: true };
        }
        was_live
    }

    pub(super) fn granted(&mut self, lease: LeaseId, ttl: Duration, sent: BootTime) {
        if matches!(self.state, State::Granting) {
            self.state = State::Live(Live {
                lease,
                deadline: self.deadline(sent, ttl),
                renew_at: sent + self.timings.renew_every,
                renewing: false,
            });
        }
    }

    pub(super) fn grant_failed(&mut self, now: BootTime) {
        if matches!(self.state, State::Granting) {
            self.state = State::Absent { retry_at: now + self.timings.retry };
        }
    }

    /// Takes an acknowledged renewal in. Returns the deadline if it moved.
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

    /// Takes in that the store does not know `lease`. Returns whether it was the live one.
    pub(super) fn lease_gone(&mut self, lease: LeaseId) -> bool {
        let was_live = self.live_mut(lease).is_some();
        if was_live || matches!(self.state, State::Ending { lease: l, .. } if l == lease) {
            self.state = State::Ending { lease, known: false };
        }
        was_live
    }

    pub(super) fn released(&mut self, lease: LeaseId) {
        if matches!(self.state, State::Revoking { lease: l } if l == lease) {
            self.state = State::Absent { retry_at: BootTime::ZERO };
        }
    }

    /// Renews the lease no more: what is left to be given up goes with it, at the latest.
    pub(super) fn run_out(&mut self) {
        if let State::Live(live) = &mut self.state {
            live.renew_at = BootTime::NEVER;
        }
    }

    /// Does what is due. `idle`: no candidacy needs the lease; `stopping`: no other session is wanted.
    pub(super) fn settle(
        &mut self,
        now: BootTime,
        idle: bool,
        stopping: bool,
        out: &mut Vec<Command>,
    ) {
        if idle
            && stopping
            && let Some((lease, _)) = self.live()
        {
            self.state = State::Ending { lease, known: true };
        }
        if idle && let State::Ending { lease, known } = self.state {
            self.state = if known {
                out.push(Command::Revoke { lease });
                State::Revoking { lease }
            } else {
                State::Absent { retry_at: now }
            };
        }
        match &mut self.state {
            // A lease that is asked for is waited for: it may have been granted.
            State::Absent { .. } if stopping => self.state = State::Over,
            State::Absent { retry_at } if now >= *retry_at => {
                out.push(Command::Grant { sent: now });
                self.state = State::Granting;
            }
            State::Live(live) if !live.renewing && now >= live.renew_at => {
                live.renewing = true;
                out.push(Command::Renew { lease: live.lease, sent: now });
            }
            _ => {}
        }
    }

    fn deadline(&self, sent: BootTime, ttl: Duration) -> BootTime {
        sent + ttl.saturating_sub(self.timings.margin)
    }

    fn live_mut(&mut self, lease: LeaseId) -> Option<&mut Live> {
        match &mut self.state {
            State::Live(live) if live.lease == lease => Some(live),
            _ => None,
        }
    }
}
