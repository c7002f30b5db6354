//! The input of the adviser, what it remembers of each group, and its results.

use std::time::Duration;

use super::{GroupRanks, hand_over_limit::HandOverLimit};
use crate::host_view::HostView;
use soloist_config::GroupConfig;
use soloist_heart::{FencingToken, Group, HeartEvent, LeaseId, clock::BootTime};
use soloist_stores::Roster;

/// What the adviser wants to happen.
#[derive(Debug, Default)]
pub struct AdviserOutcome {
    /// Events for the heart.
    pub events: Vec<HeartEvent>,
    /// Groups in which a disagreement between hosts on who should lead was just detected.
    pub disagreements: Vec<Group>,
    /// When to look again at the latest, if that is known.
    pub look_again: Option<Duration>,
}

/// What the adviser remembers of one group.
#[derive(Debug, Default)]
pub(super) struct GroupMemory {
    /// Why the heart was told not to stand.
    pub(super) barred: Option<String>,
    /// The candidate that was last asked to step back, and when.
    pub(super) stepped_back: Option<(FencingToken, BootTime)>,
    /// The term that was last asked to hand over.
    pub(super) handed_over: Option<FencingToken>,
    /// The session that should lead rather than this host, and since when.
    pub(super) better: Option<(LeaseId, BootTime)>,
    /// How often this host has made way for preferred hosts.
    pub(super) preference_limit: HandOverLimit,
    /// How often this host has made way for hosts that lead less.
    pub(super) spread_limit: HandOverLimit,
}

/// What a host knows at one moment.
pub(super) struct AdviserInput<'a> {
    pub(super) roster: &'a Roster,
    pub(super) view: &'a HostView,
    pub(super) lease: LeaseId,
    pub(super) now: BootTime,
    pub(super) ranks: &'a GroupRanks,
}

/// How many more leaderships may be handed over in one look.
pub(super) struct HandOverBudget {
    /// By preference only one at a time, since who leads one group may affect the choice in the
    /// next.
    pub(super) preferred: usize,
    pub(super) spread: usize,
}

impl HandOverBudget {
    /// The budget for a group with these settings.
    pub(super) fn of(&mut self, config: &GroupConfig) -> &mut usize {
        if config.spread { &mut self.spread } else { &mut self.preferred }
    }
}
