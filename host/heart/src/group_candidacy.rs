//! The candidacy of one host in one group: its state, and the transitions between the states.

use std::time::Duration;

use super::{
    CandidacyStage, EndCause, FencingToken, Group, HeartCommand, LeaderKey, LeaseId, StandAgain,
};
use crate::{clock::BootTime, timings::Timings};

/// One host's candidacy in one group.
#[derive(Clone, Debug)]
pub struct GroupCandidacy {
    group: Group,
    timings: Timings,
    stage: CandidacyStage,
    /// Why the group's actions cannot run here. A group whose readiness is unknown counts as not
    /// ready.
    obstacle: Option<String>,
    /// Who has barred this host from standing in the group, and why.
    bar: Option<String>,
    attempt: u64,
    /// The highest fencing token that this host has led under: see [`GroupCandidacy::won`].
    last_fencing_token: Option<FencingToken>,
    cooldown: Duration,
}

impl GroupCandidacy {
    /// A candidacy that does not stand yet: whether the group's actions can run here is unknown.
    #[must_use]
    pub fn new(group: Group, timings: Timings) -> Self {
        Self {
            group,
            timings,
            stage: CandidacyStage::Idle { not_before: BootTime::ZERO },
            obstacle: Some("it has not heard from the store yet".into()),
            bar: None,
            attempt: 0,
            last_fencing_token: None,
            cooldown: timings.cooldown,
        }
    }

    /// The current stage.
    #[must_use]
    pub fn stage(&self) -> &CandidacyStage {
        &self.stage
    }

    /// Why the group's actions cannot run here, if they cannot.
    #[must_use]
    pub fn obstacle(&self) -> Option<&str> {
        self.obstacle.as_deref()
    }

    /// Who has barred this host from standing in the group, and why.
    #[must_use]
    pub fn bar(&self) -> Option<&str> {
        self.bar.as_deref()
    }

    fn may_stand(&self) -> bool {
        self.obstacle.is_none() && self.bar.is_none()
    }

    /// Whether this candidacy no longer needs the session's lease.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.stage, CandidacyStage::Idle { .. })
    }

    /// Whether any part of a term may still be alive on this host.
    pub(super) fn has_term(&self) -> bool {
        use CandidacyStage::{Draining, Leading, Stopping};
        matches!(self.stage, Leading { .. } | Draining { .. } | Stopping { .. })
    }

    /// The moment at which this candidacy changes even if no event arrives.
    pub(super) fn next_wake(&self) -> BootTime {
        match &self.stage {
            CandidacyStage::Idle { not_before } if self.may_stand() => *not_before,
            CandidacyStage::Verifying { retry_at, .. }
            | CandidacyStage::Resigning { retry_at, .. } => *retry_at,
            CandidacyStage::Draining { until, .. } => *until,
            _ => BootTime::NEVER,
        }
    }

    pub(super) fn ready(&mut self) {
        self.obstacle = None;
    }

    pub(super) fn not_ready(&mut self, reason: String, out: &mut Vec<HeartCommand>) {
        self.withdraw(out);
        self.obstacle = Some(reason);
    }

    pub(super) fn barred(&mut self, reason: String, out: &mut Vec<HeartCommand>) {
        self.withdraw(out);
        self.bar = Some(reason);
    }

    pub(super) fn unbarred(&mut self) {
        self.bar = None;
    }

    /// Leaves the queue if the candidate is standing in it. A running term is not affected.
    pub(super) fn withdraw(&mut self, out: &mut Vec<HeartCommand>) {
        if matches!(self.stage, CandidacyStage::Campaigning) {
            out.push(HeartCommand::Withdraw { group: self.group.clone(), attempt: self.attempt });
            self.stage = CandidacyStage::Idle { not_before: BootTime::ZERO };
        }
    }

    /// A campaign has returned. That proves nothing yet: etcd's Campaign does not check its own key
    /// again after waiting, so the key is re-read first.
    pub(super) fn won(
        &mut self,
        attempt: u64,
        key: LeaderKey,
        live: Option<LeaseId>,
        now: BootTime,
        out: &mut Vec<HeartCommand>,
    ) {
        if live != Some(key.lease) {
            return; // The key hangs on a lease that is being given back.
        }
        let expected = matches!(self.stage, CandidacyStage::Campaigning) && attempt == self.attempt;
        // A fencing token that was already led under is spent: the next term needs a new key.
        let spent = self.last_fencing_token.is_some_and(|last| key.fencing_token <= last);
        if expected && !spent {
            out.push(HeartCommand::Verify { key: key.clone() });
            self.stage = CandidacyStage::Verifying { key, retry_at: BootTime::NEVER };
        } else if expected {
            self.obstacle = Some(format!(
                "the store gave out fencing token {} after this host led under a later one: it was reset \
                 or restored; restart this host if that was meant",
                key.fencing_token
            ));
            self.resign(key, now + self.timings.retry, out);
        } else if self.is_idle() {
            self.resign(key, now + self.timings.retry, out);
        }
    }

    pub(super) fn campaign_failed(&mut self, attempt: u64, now: BootTime) {
        if matches!(self.stage, CandidacyStage::Campaigning) && attempt == self.attempt {
            self.stage = CandidacyStage::Idle { not_before: now + self.timings.retry };
        }
    }

    pub(super) fn verified(
        &mut self,
        key: &LeaderKey,
        holds: bool,
        deadline: Option<BootTime>,
        now: BootTime,
        out: &mut Vec<HeartCommand>,
    ) {
        if !matches!(&self.stage, CandidacyStage::Verifying { key: k, .. } if k == key) {
            return;
        }
        match deadline {
            Some(deadline) if holds => {
                self.last_fencing_token = Some(key.fencing_token);
                out.push(HeartCommand::Start { key: key.clone(), deadline });
                self.stage = CandidacyStage::Leading { key: key.clone(), since: now };
            }
            _ => self.stage = CandidacyStage::Idle { not_before: now + self.timings.retry },
        }
    }

    pub(super) fn verify_failed(&mut self, key: &LeaderKey, now: BootTime) {
        if let CandidacyStage::Verifying { key: k, retry_at } = &mut self.stage
            && k == key
        {
            *retry_at = now + self.timings.retry;
        }
    }

    pub(super) fn drained(&mut self, key: &LeaderKey, out: &mut Vec<HeartCommand>) {
        if let CandidacyStage::Draining { key: k, cause, .. } = &self.stage
            && k == key
        {
            let cause = cause.clone();
            self.stop(key.clone(), cause, out);
        }
    }

    /// Nothing of the term is alive any more: the key may be given up.
    pub(super) fn stopped(
        &mut self,
        key: &LeaderKey,
        live: Option<LeaseId>,
        now: BootTime,
        out: &mut Vec<HeartCommand>,
    ) {
        let CandidacyStage::Stopping { key: k, cause } = &self.stage else {
            return;
        };
        if k != key {
            return;
        }
        let pause = match cause.stand_again() {
            StandAgain::AfterCooldown => self.cooldown,
            StandAgain::AtOnce | StandAgain::Never => Duration::ZERO,
        };
        let not_before = now + pause;
        if live == Some(key.lease) {
            self.resign(key.clone(), not_before, out);
        } else {
            self.stage = CandidacyStage::Idle { not_before }; // The lease's revocation resigns.
        }
    }

    pub(super) fn resigned(&mut self, key: &LeaderKey) {
        if let CandidacyStage::Resigning { key: k, not_before, .. } = &self.stage
            && k == key
        {
            self.stage = CandidacyStage::Idle { not_before: *not_before };
        }
    }

    pub(super) fn resign_failed(&mut self, key: &LeaderKey, now: BootTime) {
        if let CandidacyStage::Resigning { key: k, retry_at, .. } = &mut self.stage
            && k == key
        {
            *retry_at = now + self.timings.retry;
        }
    }

    /// Gives up a key that the store shows in the queue although this host is not standing and will
    /// not stand soon. `joins`: the host is among the members and stands wherever it can.
    pub(super) fn key_queued(
        &mut self,
        key: LeaderKey,
        live: Option<LeaseId>,
        joins: bool,
        out: &mut Vec<HeartCommand>,
    ) {
        if let CandidacyStage::Idle { not_before } = self.stage
            && !(joins && self.may_stand())
            && live == Some(key.lease)
        {
            self.resign(key, not_before, out);
        }
    }

    /// Ends the current stage if it concerns `key`, or whatever its key is if `key` is `None`.
    /// Every stage ends here, for every cause.
    pub(super) fn end(
        &mut self,
        key: Option<&LeaderKey>,
        cause: EndCause,
        now: BootTime,
        out: &mut Vec<HeartCommand>,
    ) {
        let concerned = |held: &LeaderKey| key.is_none_or(|key| key == held);
        let session_ended = cause.ends_the_session();
        match self.stage.clone() {
            CandidacyStage::Campaigning if key.is_none() => {
                self.withdraw(out);
            }
            CandidacyStage::Verifying { key, .. } if concerned(&key) => {
                if session_ended {
                    self.stage = CandidacyStage::Idle { not_before: now };
                } else {
                    self.resign(key, now, out);
                }
            }
            CandidacyStage::Leading { key, since } if concerned(&key) => {
                self.adjust_cooldown(&cause, now.since(since));
                if cause.drains() {
                    let until = now + self.timings.drain_timeout;
                    out.push(HeartCommand::Drain { key: key.clone(), cause: cause.clone() });
                    self.stage = CandidacyStage::Draining { key, cause, until };
                } else {
                    self.stop(key, cause, out);
                }
            }
            CandidacyStage::Draining { key, .. } if concerned(&key) && !cause.drains() => {
                self.stop(key, cause, out);
            }
            // A key that is already gone need not be given up; the store might refuse that for a
            // long time.
            CandidacyStage::Resigning { key, not_before, .. }
                if session_ended || (cause == EndCause::KeyGone && concerned(&key)) =>
            {
                self.stage = CandidacyStage::Idle { not_before };
            }
            _ => {}
        }
    }

    /// Carries out what is due by `now`. `joined`: the session with which the host is among the
    /// members.
    pub(super) fn advance(
        &mut self,
        joined: Option<LeaseId>,
        stopping: bool,
        now: BootTime,
        out: &mut Vec<HeartCommand>,
    ) {
        let able = self.may_stand();
        match &mut self.stage {
            CandidacyStage::Idle { not_before } if now >= *not_before => {
                if let (Some(lease), false, true) = (joined, stopping, able) {
                    self.attempt += 1;
                    let (group, attempt) = (self.group.clone(), self.attempt);
                    out.push(HeartCommand::Campaign { group, lease, attempt });
                    self.stage = CandidacyStage::Campaigning;
                }
            }
            CandidacyStage::Verifying { key, retry_at } if now >= *retry_at => {
                *retry_at = BootTime::NEVER;
                out.push(HeartCommand::Verify { key: key.clone() });
            }
            CandidacyStage::Resigning { key, retry_at, .. } if now >= *retry_at => {
                *retry_at = BootTime::NEVER;
                out.push(HeartCommand::Resign { key: key.clone() });
            }
            CandidacyStage::Draining { key, cause, until } if now >= *until => {
                let (key, cause) = (key.clone(), cause.clone());
                self.stop(key, cause, out);
            }
            _ => {}
        }
    }

    fn stop(&mut self, key: LeaderKey, cause: EndCause, out: &mut Vec<HeartCommand>) {
        out.push(HeartCommand::Stop { key: key.clone(), cause: cause.clone() });
        self.stage = CandidacyStage::Stopping { key, cause };
    }

    /// Gives up a key under which nothing is running.
    fn resign(&mut self, key: LeaderKey, not_before: BootTime, out: &mut Vec<HeartCommand>) {
        out.push(HeartCommand::Resign { key: key.clone() });
        self.stage = CandidacyStage::Resigning { key, not_before, retry_at: BootTime::NEVER };
    }

    /// Doubles the pause before standing again while one term after another fails.
    fn adjust_cooldown(&mut self, cause: &EndCause, led: Duration) {
        if cause.stand_again() != StandAgain::AfterCooldown || led > self.timings.cooldown_max {
            self.cooldown = self.timings.cooldown;
        } else {
            self.cooldown = (self.cooldown * 2).min(self.timings.cooldown_max);
        }
    }
}
