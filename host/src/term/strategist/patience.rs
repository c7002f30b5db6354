//! An end to the to and fro between hosts that do not agree on who should lead.
//!
//! Strategies are the same on every host, and see the same roster; but settings
//! may differ, and a plugin may go by what is not in the roster. Then one makes
//! way for another that makes way for it. Who has made way for the same session
//! several times in a short while stops doing so, until a host comes or goes.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use crate::{clock::BootTime, election::LeaseId, store::Standing};

/// How often a host makes way for the same session, within [`WINDOW`].
const TIMES: usize = 3;
/// The window, in times to settle.
const WINDOW: u32 = 10;
/// The shortest window.
const WINDOW_MIN: Duration = Duration::from_secs(10);

/// How often this host has made way for whom.
#[derive(Debug, Default)]
pub(super) struct Patience {
    made_way: Vec<(LeaseId, BootTime)>,
    /// The sessions among which there is no agreement.
    over: Option<BTreeSet<LeaseId>>,
}

impl Patience {
    /// Takes down that this host makes way for the session of `lease`.
    pub(super) fn made_way(&mut self, lease: LeaseId, now: BootTime, settle: Duration) {
        let window = (settle * WINDOW).max(WINDOW_MIN);
        self.made_way.retain(|(_, at)| now.since(*at) < window);
        self.made_way.push((lease, now));
        if self.made_way.iter().filter(|(other, _)| *other == lease).count() >= TIMES {
            self.over = Some(BTreeSet::new());
            self.made_way.clear();
        }
    }

    /// Whether it is over with making way among those who stand in `queue`.
    pub(super) fn is_over(&mut self, queue: &[Arc<Standing>]) -> bool {
        let Some(over) = &mut self.over else { return false };
        let present: BTreeSet<_> = queue.iter().map(|standing| standing.key.lease).collect();
        if over.is_empty() {
            *over = present;
        } else if !present.is_subset(over) {
            // Those who only changed their places were there before.
            self.over = None;
        }
        self.over.is_some()
    }
}
