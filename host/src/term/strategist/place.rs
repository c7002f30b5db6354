//! This host's place in one group's queue, and what it should do about it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tracing::{info, warn};

use super::{Look, Memory, scores::Scores};
use crate::{
    config::{GroupConfig, Strategy},
    election::{Advice, Cause, Event, Group, Score, advise},
    store::Standing,
    term::view::Role,
};

/// The place of this host among those who stand in a group.
pub(super) struct Place<'a> {
    look: &'a Look<'a>,
    group: &'a Group,
    config: &'a GroupConfig,
    memory: &'a mut Memory,
    queue: &'a [Arc<Standing>],
    own: usize,
}

impl<'a> Place<'a> {
    /// Nothing, where it does not stand, or stands behind a stranger.
    pub(super) fn of(
        look: &'a Look<'a>,
        group: &'a Group,
        config: &'a GroupConfig,
        memory: &'a mut Memory,
    ) -> Option<Self> {
        let queue = look.roster.line(group);
        let own = queue.iter().position(|standing| standing.key.lease == look.lease)?;
        Some(Self { look, group, config, memory, queue, own })
    }

    /// What to tell the heart, and when to look again, if that is known. `left` is how many
    /// leaderships may be handed over yet.
    pub(super) fn judge(&mut self, left: &mut usize) -> (Option<Event>, Option<Duration>) {
        let heir = self.heir();
        if heir.is_none() && self.config.strategy == Strategy::LongestRunning && !self.config.spread
        {
            return (None, None);
        }
        let scores = self.scores(heir);
        match advise(&scores, self.own, heir) {
            Advice::StepBack { next } => (self.step_back(next), None),
            Advice::HandOver if self.may_hand_over(&scores) => match self.settling() {
                Some(wait) => (None, Some(wait)),
                None => (self.hand_over(left), None),
            },
            Advice::HandOver | Advice::Stay => {
                self.memory.better = None;
                (None, None)
            }
        }
    }

    /// The place of the one that people want to be next.
    fn heir(&self) -> Option<usize> {
        let heir = self.queue[0].candidate.heir.as_deref()?;
        self.queue.iter().position(|standing| standing.candidate.host == heir)
    }

    fn scores(&mut self, heir: Option<usize>) -> Vec<Score> {
        if heir.is_none() && self.memory.patience.is_over(self.queue) {
            return vec![(0, 0); self.queue.len()];
        }
        let Look { roster, places, spreads, .. } = self.look;
        let places = places.get(self.group);
        Scores { roster, places, spreads, group: self.group, config: self.config }.of(self.queue)
    }

    fn role(&self) -> Option<Role> {
        self.look.view.groups.get(self.group).map(|view| view.role)
    }

    fn step_back(&mut self, next: usize) -> Option<Event> {
        let token = self.queue[self.own].key.token;
        if self.role() != Some(Role::Standby) || self.memory.stepped_back == Some(token) {
            return None;
        }
        self.memory.stepped_back = Some(token);
        self.make_way(next);
        let (group, host) = (self.group.clone(), &self.queue[next].candidate.host);
        info!(event = "stepped-back", %group, next = host, "{host} should be next");
        Some(Event::StepBack { group })
    }

    /// A better host is waited for where settings do not say otherwise, and while people
    /// want it so.
    fn may_hand_over(&self, scores: &[Score]) -> bool {
        let better = scores[1].0 < scores[0].0;
        let wanted = if better { self.config.preempt } else { self.config.spread };
        let paused = self.look.roster.notes.pause_of(self.group).is_some();
        wanted && !paused && self.role() == Some(Role::Leader)
    }

    /// How long the next one must still be the better one; nothing, once it was.
    fn settling(&mut self) -> Option<Duration> {
        let next = self.queue[1].key.lease;
        let known = self.memory.better.filter(|(lease, _)| *lease == next);
        let (_, since) = *self.memory.better.insert(known.unwrap_or((next, self.look.now)));
        let wait = (since + self.config.settle).since(self.look.now);
        (wait > Duration::ZERO).then_some(wait)
    }

    fn hand_over(&mut self, left: &mut usize) -> Option<Event> {
        let key = &self.queue[0].key;
        if *left == 0 || self.memory.handed_over == Some(key.token) {
            return None;
        }
        *left -= 1;
        self.memory.handed_over = Some(key.token);
        self.make_way(1);
        let cause = Cause::Preferred { host: self.queue[1].candidate.host.clone() };
        Some(Event::HandOver { key: key.clone(), cause })
    }

    /// Takes down for whom this host makes way, and says when that was once too often.
    fn make_way(&mut self, next: usize) {
        let (next, settle) = (self.queue[next].key.lease, self.config.settle);
        self.memory.patience.made_way(next, self.look.now, settle);
        if self.memory.patience.is_over(self.queue) {
            let hosts: BTreeSet<_> =
                self.queue.iter().map(|standing| standing.candidate.host.as_str()).collect();
            let group = self.group;
            warn!(
                event = "disagreement", %group, ?hosts,
                "the hosts do not agree on who should lead {group}: until one comes or goes, \
                 whoever came first does; give [group.{group}] the same settings on all of them"
            );
        }
    }
}
