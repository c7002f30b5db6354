//! Decides what a host reports to its heart about its ability to lead a group. This is the part of
//! the host's watch over its readiness that does no I/O; the simulation uses it as well.

use crate::host_view::{CandidacyRole, HostView};
use soloist_heart::{EndCause, FencingToken, Group, HeartEvent, LeaseId};
use soloist_stores::Roster;

/// In how many checks in a row an address must be taken before that counts. A leader that is just
/// stopping, or a roster that is just changing, is no obstacle.
const CONFIRM: u32 = 3;

/// What the checks of one group have found until now.
#[derive(Debug, Default)]
pub struct ReadinessCheck {
    /// What was last reported to the heart: nothing yet, ready, or why not.
    reported: Option<Result<(), String>>,
    /// In how many checks in a row an address was taken.
    address_in_use: u32,
    /// The last term that was asked to hand over.
    handed_over: Option<FencingToken>,
}

/// What a host knows about a group and its own part in it at one moment.
#[derive(Clone, Copy, Debug)]
pub struct LocalGroup<'a> {
    /// Which group.
    pub group: &'a Group,
    role: Option<CandidacyRole>,
    /// Whether the heart knows that people do not want this host to stand.
    pub barred: bool,
    /// The lease of this host's session, if it has one.
    pub session: Option<LeaseId>,
    /// The last roster of the cluster, if there was one.
    pub roster: Option<&'a Roster>,
}

impl<'a> LocalGroup<'a> {
    /// By what the heart shows in `view`, and by the last `roster` if there was one.
    #[must_use]
    pub fn of(group: &'a Group, view: &HostView, roster: Option<&'a Roster>) -> Self {
        let part = view.groups.get(group);
        Self {
            group,
            role: part.map(|part| part.role),
            barred: part.is_some_and(|part| part.bar.is_some()),
            session: view.session.map(|(lease, _)| lease),
            roster,
        }
    }
}

/// What keeps this host from listening where the actions of a group answer.
#[derive(Clone, Debug)]
pub struct AddressObstacle {
    /// What it is, and what to do about it.
    pub reason: String,
    /// Whether another socket listens there: it may be the leader's, if that is on this machine.
    pub is_in_use: bool,
}

impl ReadinessCheck {
    /// The event for the heart after a check, if there is news. `clock` is the reason why this host
    /// must not lead a group with schedules, if its clock is wrong. If the host does not lead,
    /// `judge` says whether it could, or none if that is not known.
    pub fn next_event(
        &mut self,
        here: LocalGroup<'_>,
        clock: Option<String>,
        judge: impl FnOnce(&mut Self) -> Option<Result<(), String>>,
    ) -> Option<HeartEvent> {
        if matches!(
            here.role,
            Some(CandidacyRole::Leader | CandidacyRole::Draining | CandidacyRole::Resigning)
        ) {
            // A term notices failures of its own actions, but not a wrong clock.
            return self.hand_over(here, clock?);
        }
        let verdict = match clock {
            Some(reason) => Err(reason),
            None => judge(self)?,
        };
        let group = here.group.clone();
        self.is_news(&verdict).then_some(match verdict {
            Ok(()) => HeartEvent::Ready { group },
            Err(reason) => HeartEvent::NotReady { group, reason },
        })
    }

    /// The event that makes this host's running term hand over; once for each term.
    fn hand_over(&mut self, here: LocalGroup<'_>, reason: String) -> Option<HeartEvent> {
        let leader = here.roster?.leader(here.group)?;
        let key = Some(&leader.key).filter(|key| Some(key.lease) == here.session)?.clone();
        (self.handed_over != Some(key.fencing_token)).then(|| {
            self.handed_over = Some(key.fencing_token);
            let cause = EndCause::Asked { by: "the comparison of clocks".to_owned(), reason };
            HeartEvent::HandOver { key, cause }
        })
    }

    /// Whether a group could be led in spite of this `obstacle`; none if that is not known yet. A
    /// taken address counts only if no `sibling`, a host of the same machine that leads, may hold
    /// it; none if it is not known whether there is one.
    pub fn judge_address(
        &mut self,
        obstacle: Option<AddressObstacle>,
        sibling: Option<bool>,
    ) -> Option<Result<(), String>> {
        let verdict = match (obstacle, sibling) {
            (Some(obstacle), Some(false)) if obstacle.is_in_use => {
                self.address_in_use += 1;
                (self.address_in_use >= CONFIRM).then_some(Err(obstacle.reason))
            }
            (Some(obstacle), None) if obstacle.is_in_use => None,
            (Some(obstacle), _) if !obstacle.is_in_use => Some(Err(obstacle.reason)),
            _ => Some(Ok(())),
        }?;
        if verdict.is_ok() {
            self.address_in_use = 0;
        }
        Some(verdict)
    }

    /// Whether the verdict differs from the last one that was reported.
    fn is_news(&mut self, verdict: &Result<(), String>) -> bool {
        let is_news = self.reported.as_ref() != Some(verdict);
        if is_news {
            self.reported = Some(verdict.clone());
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is reported to the heart after a check: ready, or not.
    fn told(
        check: &mut ReadinessCheck,
        obstacle: Option<AddressObstacle>,
        sibling: Option<bool>,
    ) -> Option<bool> {
        let (group, view) = (Group::main(), HostView::default());
        let here = LocalGroup::of(&group, &view, None);
        let event = check.next_event(here, None, |check| check.judge_address(obstacle, sibling))?;
        Some(matches!(event, HeartEvent::Ready { .. }))
    }

    fn taken() -> Option<AddressObstacle> {
        Some(AddressObstacle { reason: "127.0.0.1:3000 is in use".to_owned(), is_in_use: true })
    }

    #[test]
    fn a_free_address_is_told_once() {
        let mut check = ReadinessCheck::default();
        assert_eq!(told(&mut check, None, None), Some(true));
        assert_eq!(told(&mut check, None, Some(false)), None);
    }

    #[test]
    fn a_sibling_that_leads_may_hold_the_address() {
        let mut check = ReadinessCheck::default();
        assert_eq!(told(&mut check, taken(), Some(true)), Some(true));
    }

    #[test]
    fn a_taken_address_counts_when_it_stays_taken_and_nobody_here_leads() {
        let mut check = ReadinessCheck::default();
        assert_eq!(told(&mut check, taken(), None), None);
        assert_eq!(told(&mut check, taken(), Some(false)), None);
        assert_eq!(told(&mut check, taken(), Some(false)), None);
        assert!(told(&mut check, taken(), Some(false)) == Some(false));
        assert_eq!(told(&mut check, taken(), Some(false)), None, "told before");
        assert_eq!(told(&mut check, None, Some(false)), Some(true));
    }
}
