//! A look at the cluster: what goes into it, what is remembered between two, and what follows.

use std::time::Duration;

use super::{GroupRanks, hand_over_limit::HandOverLimit};
use crate::host_view::HostView;
use soloist_config::GroupConfig;
use soloist_heart::{Group, HeartEvent, LeaseId, Token, clock::BootTime};
use soloist_stores::Roster;

/// What follows from a look.
#[derive(Debug, Default)]
pub struct AdviserOutcome {
    /// What to tell the heart.
    pub events: Vec<HeartEvent>,
    /// The groups in which hosts do not agree on who should lead, seen for the first time.
    pub disagreements: Vec<Group>,
    /// When to look again, if that is known.
    pub look_again: Option<Duration>,
}

/// What was said of a group, and what is being waited for.
#[derive(Debug, Default)]
pub(super) struct GroupMemory {
    /// Why the heart was told not to stand.
    pub(super) barred: Option<String>,
    /// The candidate that was last asked to step back, and when.
    pub(super) stepped_back: Option<(Token, BootTime)>,
    /// The term that was last asked to hand over.
    pub(super) handed_over: Option<Token>,
    /// Since when this session should lead rather than this host.
    pub(super) better: Option<(LeaseId, BootTime)>,
    /// With those that are preferred to this host.
    pub(super) patience: HandOverLimit,
    /// With those that lead less.
    pub(super) evenness: HandOverLimit,
}

/// What this host knows of its own part, at one moment.
pub(super) struct AdviserInput<'a> {
    pub(super) roster: &'a Roster,
    pub(super) view: &'a HostView,
    pub(super) lease: LeaseId,
    pub(super) now: BootTime,
    pub(super) ranks: &'a GroupRanks,
}

/// How many leaderships may be handed over yet, at one look.
pub(super) struct HandOverBudget {
    /// By preference one at a time: who leads what bears on the next.
    pub(super) preferred: usize,
    pub(super) spread: usize,
}

impl HandOverBudget {
    /// What is left for groups of these settings.
    pub(super) fn of(&mut self, config: &GroupConfig) -> &mut usize {
        if config.spread { &mut self.spread } else { &mut self.preferred }
    }
}
