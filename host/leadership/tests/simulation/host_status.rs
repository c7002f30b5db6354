//! Whether hosts report it when nobody leads.
//!
//! A host that knows from the store that nobody leads a group says so, or does not claim to know;
//! and a host that could lead and does not stand says why.

use std::time::Duration;

use soloist_heart::{CandidacyStage, Group};
use soloist_leadership::GapReason;
use soloist_leadership::{CandidacyRole, HostView};
use soloist_stores::Roster;

use crate::{
    liveness::{GroupLiveness, NEWS},
    mutant::Mutant,
    promise::Promise,
    simulation::{SECOND, Simulation},
};

/// How long a term that has lost its key takes to end, even while it drains.
const TEARDOWN: u64 = 8 * SECOND;
/// More than a timer may be late.
const MOMENT: Duration = Duration::from_millis(100);

impl Simulation {
    /// Checks what each host's status shows of a group.
    pub(crate) fn check_statuses(&mut self, number: usize) {
        let (now, group_state) = (self.now, &self.liveness.groups[number]);
        if now.saturating_sub(group_state.led.max(group_state.shown)) <= NEWS {
            return;
        }
        let group = &self.groups[number];
        let ended = now - group_state.led.max(group_state.shown) > NEWS + TEARDOWN;
        let (mut well, mut mute) = (None, None);
        for host in 0..self.hosts.len() {
            if self.should_know(host, group_state) {
                let status = self.status(host);
                let claims_well = |it: &&HostStatus<'_>| {
                    it.shows_no_problem(group) && (ended || !it.performs(group))
                };
                well = well.or(status.as_ref().filter(claims_well).map(|_| host));
                mute = mute.or(status.as_ref().filter(|it| it.is_mute(group)).map(|_| host));
            }
        }
        let name = |host: Option<usize>| host.map(|host| self.hosts[host].name);
        let (well, mute) = (name(well), name(mute));
        self.checker.holds(well.is_none(), Promise::HostsSayIt, now, || {
            format!("{well:?} says that all is well with {group}, which nobody leads")
        });
        self.checker.holds(mute.is_none(), Promise::HostsSayIt, now, || {
            format!("{mute:?} does not say why it does not stand in {group}")
        });
    }

    /// Whether a host must have learnt by now that nobody leads, or must know that it gets no news.
    fn should_know(&self, number: usize, group_state: &GroupLiveness) -> bool {
        let (host_state, now, host) = (self.liveness.hosts[number], self.now, &self.hosts[number]);
        let since = group_state.led.max(group_state.shown);
        if host.heart.is_none() || host.is_frozen(now) {
            return false;
        }
        let was_shown = host.sight.taken_at > since && now > host.last_woke + NEWS;
        let must_have_heard =
            now - since.max(host_state.hears).max(self.liveness.store) > NEWS + host_state.late;
        let limit = 2 * self.timings.ttl.as_nanos() as u64 + NEWS;
        let cut = host.out.lasts(now).max(host.back.lasts(now));
        let lost = self.faulty() && cut > limit && now > host.last_woke + NEWS;
        was_shown || must_have_heard || lost && now - since.max(host_state.session) > limit
    }

    fn status(&self, host: usize) -> Option<HostStatus<'_>> {
        let host = &self.hosts[host];
        let heart = host.heart.as_ref()?;
        let mut view = HostView::of(heart, None);
        if self.mutant == Mutant::Mute {
            view.setback = None;
            view.groups.values_mut().for_each(|part| part.obstacle = None);
        }
        let roster = host.sight.roster.as_deref()?;
        let waits = |group: &Group| {
            let stage = heart.candidacies()[group].stage();
            let clock = host.clock(self.now);
            // Timers may be late.
            matches!(stage, CandidacyStage::Idle { not_before } if *not_before + MOMENT > clock)
        };
        let waiting = self.groups.iter().filter(|group| waits(group)).cloned().collect();
        let (stopping, rosy) = (host.stopping, self.mutant == Mutant::Rosy);
        Some(HostStatus { view, roster, waiting, stopping, rosy })
    }
}

/// The content of a host's status.
struct HostStatus<'a> {
    view: HostView,
    roster: &'a Roster,
    /// The groups in which it does not stand for a moment after a term has failed.
    waiting: Vec<Group>,
    stopping: bool,
    rosy: bool,
}

impl HostStatus<'_> {
    /// Whether it shows no problem in `group`.
    fn shows_no_problem(&self, group: &Group) -> bool {
        if self.rosy {
            return self.view.session.is_some() && !self.roster.queue(group).is_empty();
        }
        GapReason::of(group, self.roster, &self.view).is_none()
    }

    /// Whether it shows that part of a term is alive here, which may take a while to end.
    fn performs(&self, group: &Group) -> bool {
        let role = self.view.groups.get(group).map(|part| part.role);
        matches!(role, Some(CandidacyRole::Leader | CandidacyRole::Draining))
    }

    /// Whether the host does not stand in `group`, and shows no reason.
    fn is_mute(&self, group: &Group) -> bool {
        let Some(part) = self.view.groups.get(group) else { return true };
        let HostView { session, joined, obstacle, .. } = &self.view;
        let reason = part.obstacle.is_some() || part.bar.is_some() || obstacle.is_some();
        let out = part.role == CandidacyRole::Out && session.is_some() && *joined;
        out && !self.stopping && !reason && !self.waiting.contains(group)
    }
}
