//! This host's position in one group's queue, and what it should do about it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tracing::{info, warn};

use super::{
    adviser_input::{AdviserInput, AdviserOutcome, GroupMemory, HandOverBudget},
    host_scores::HostScores,
    spreader::SpreadShare,
};
use crate::host_view::CandidacyRole;
use soloist_config::GroupConfig;
use soloist_heart::{Advice, EndCause, Group, HeartEvent, Score, Strategy, advise};
use soloist_stores::QueuedCandidate;

/// The position of this host in a group's queue.
pub(super) struct GroupPosition<'a> {
    input: &'a AdviserInput<'a>,
    group: &'a Group,
    config: &'a GroupConfig,
    memory: &'a mut GroupMemory,
    queue: &'a [Arc<QueuedCandidate>],
    own: usize,
}

impl<'a> GroupPosition<'a> {
    /// `None` if the host does not stand in the group, or stands behind a foreign candidate.
    pub(super) fn of(
        input: &'a AdviserInput<'a>,
        group: &'a Group,
        config: &'a GroupConfig,
        memory: &'a mut GroupMemory,
    ) -> Option<Self> {
        let queue = input.roster.succession(group);
        let own = queue.iter().position(|standing| standing.key.lease == input.lease)?;
        Some(Self { input, group, config, memory, queue, own })
    }

    /// Decides what to tell the heart and when to look again. `share` is this host's share of the
    /// spread plan.
    pub(super) fn advise(
        &mut self,
        share: &mut SpreadShare<'_>,
        budget: &mut HandOverBudget,
        outcome: &mut AdviserOutcome,
    ) {
        let next_leader = self.next_leader();
        if next_leader.is_none()
            && self.config.strategy == Strategy::LongestRunning
            && !self.config.spread
        {
            return;
        }
        let scores = self.scores(next_leader);
        match advise(&scores, self.own, next_leader) {
            Advice::StepBack { next } => self.step_back(next, outcome),
            Advice::HandOver if self.config.preempt && self.may_hand_over() => {
                match self.settle_time_left() {
                    wait if wait > Duration::ZERO => outcome.look_after(wait),
                    _ => self.hand_over(budget, outcome),
                }
            }
            Advice::HandOver => self.memory.better = None,
            Advice::Stay => {
                self.memory.better = None;
                if next_leader.is_none()
                    && self.config.spread
                    && !self.memory.spread_limit.is_exhausted()
                {
                    self.even_out(&scores, share, budget, outcome);
                }
            }
        }
    }

    /// The position of the host that people want to be next.
    fn next_leader(&self) -> Option<usize> {
        let next_leader = self.queue[0].candidate.next_leader.as_deref()?;
        self.queue.iter().position(|standing| standing.candidate.host == next_leader)
    }

    fn scores(&self, next_leader: Option<usize>) -> Vec<Score> {
        if next_leader.is_none() && self.memory.preference_limit.is_exhausted() {
            return vec![0; self.queue.len()];
        }
        let AdviserInput { roster, ranks, .. } = self.input;
        HostScores { roster, group: self.group, config: self.config, ranks }.of(self.queue)
    }

    fn role(&self) -> Option<CandidacyRole> {
        self.input.view.groups.get(self.group).map(|view| view.role)
    }

    /// Steps back in favour of a preferred host.
    fn step_back(&mut self, next: usize, outcome: &mut AdviserOutcome) {
        let fencing_token = self.queue[self.own].key.fencing_token;
        let again = self.memory.stepped_back.is_some_and(|(of, _)| of == fencing_token);
        if self.step_behind(next, outcome) && !again {
            let (lease, settle) = (self.queue[next].key.lease, self.config.preempt_delay);
            self.memory.preference_limit.record(lease, self.input.now, settle);
            self.report_disagreement(self.memory.preference_limit.is_exhausted(), outcome);
        }
    }

    /// Leaves the queue in favour of the hosts behind, of which `next` should be next. Returns
    /// whether it does.
    fn step_behind(&mut self, next: usize, outcome: &mut AdviserOutcome) -> bool {
        let fencing_token = self.queue[self.own].key.fencing_token;
        if self.role() != Some(CandidacyRole::Standby)
            || self.memory.steps_back(fencing_token, self.input.now)
        {
            return false;
        }
        self.memory.stepped_back = Some((fencing_token, self.input.now));
        let (group, host) = (self.group.clone(), &self.queue[next].candidate.host);
        info!(event = "stepped-back", %group, next = host, "{host} should be next");
        outcome.events.push(HeartEvent::StepBack { group });
        true
    }

    /// Does this host's share of spreading leaderships among equally suitable hosts.
    fn even_out(
        &mut self,
        scores: &[Score],
        share: &mut SpreadShare<'_>,
        budget: &mut HandOverBudget,
        outcome: &mut AdviserOutcome,
    ) {
        if self.own == 1 && share.steps_back(self.group) && self.queue.len() > 2 {
            self.step_behind(2, outcome);
            return;
        }
        if self.own > 0 || scores.get(1) != scores.first() || !self.may_hand_over() {
            return;
        }
        let (next, AdviserInput { now, .. }) = (self.queue[1].key.lease, self.input);
        let Some(wait) = share.gives(self.group, next, self.config.preempt_delay, *now) else {
            return;
        };
        if wait > Duration::ZERO {
            outcome.look_after(wait);
        } else if self.give_to_next(budget, outcome) {
            share.take(Some(next));
            self.memory.spread_limit.record(next, *now, self.config.preempt_delay);
            self.report_disagreement(self.memory.spread_limit.is_exhausted(), outcome);
        }
    }

    /// Hand-overs by preference are suspended while people pause the group.
    fn may_hand_over(&self) -> bool {
        let paused = self.input.roster.notes.pause_of(self.group).is_some();
        !paused && self.role() == Some(CandidacyRole::Leader)
    }

    /// How much longer the next host must remain the better one.
    fn settle_time_left(&mut self) -> Duration {
        let next = self.queue[1].key.lease;
        let known = self.memory.better.filter(|(lease, _)| *lease == next);
        let (_, since) = *self.memory.better.insert(known.unwrap_or((next, self.input.now)));
        (since + self.config.preempt_delay).since(self.input.now)
    }

    /// Hands over to a preferred host.
    fn hand_over(&mut self, budget: &mut HandOverBudget, outcome: &mut AdviserOutcome) {
        if self.give_to_next(budget, outcome) {
            let (lease, settle) = (self.queue[1].key.lease, self.config.preempt_delay);
            self.memory.preference_limit.record(lease, self.input.now, settle);
            self.report_disagreement(self.memory.preference_limit.is_exhausted(), outcome);
        }
    }

    /// Hands over to the next host in line, if the budget still allows it. Returns whether it does.
    fn give_to_next(&mut self, budget: &mut HandOverBudget, outcome: &mut AdviserOutcome) -> bool {
        let (key, budget) = (&self.queue[0].key, budget.of(self.config));
        if *budget == 0 || self.memory.handed_over == Some(key.fencing_token) {
            return false;
        }
        *budget -= 1;
        self.memory.handed_over = Some(key.fencing_token);
        let cause = EndCause::Preferred { host: self.queue[1].candidate.host.clone() };
        outcome.events.push(HeartEvent::HandOver { key: key.clone(), cause });
        true
    }

    /// Reports a disagreement if this host has made way too often.
    fn report_disagreement(&self, over: bool, outcome: &mut AdviserOutcome) {
        if over {
            let hosts: BTreeSet<_> =
                self.queue.iter().map(|standing| standing.candidate.host.as_str()).collect();
            let group = self.group;
            warn!(
                event = "disagreement", %group, ?hosts,
                "the hosts do not agree on who should lead {group}: until a host joins or leaves, \
                 the longest-waiting host does; give [group.{group}] the same settings on all of \
                 them"
            );
            outcome.disagreements.push(group.clone());
        }
    }
}
