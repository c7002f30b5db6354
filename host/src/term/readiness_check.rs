//! What a host finds out about its leading a group, and what it tells its heart of it: the
//! pure part of [`Readiness`](super::Readiness), so that the simulation has the same.

use crate::http::PreflightError;
use soloist_heart::{EndCause, Group, HeartEvent, LeaseId, Token};
use soloist_leadership::{GroupRole, HostView};
use soloist_stores::Roster;
use soloist_text::with_causes;

/// How many looks in a row an address must be taken before that counts: a
/// leader that just stops, or a roster that just changes, is no obstacle.
const PATIENCE: u32 = 3;

/// What was found in a group, look by look.
#[derive(Debug, Default)]
pub struct ReadinessCheck {
    /// What the heart was told: nothing yet, ready, or why not.
    reported: Option<Result<(), String>>,
    /// How many looks in a row an address was taken.
    address_in_use: u32,
    /// The term that was last asked to hand over.
    handed_over: Option<Token>,
}

/// What a host knows of a group, and of its own part in it, at one moment.
#[derive(Clone, Copy, Debug)]
pub struct LocalGroup<'a> {
    pub(super) group: &'a Group,
    role: Option<GroupRole>,
    /// Whether people want this host not to stand, and the heart knows.
    pub(super) barred: bool,
    pub(super) session: Option<LeaseId>,
    pub(super) roster: Option<&'a Roster>,
}

impl<'a> LocalGroup<'a> {
    /// What `view` shows of the host's part in `group`, and `roster` of the cluster, as far as
    /// that was seen.
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

impl ReadinessCheck {
    /// What to tell the heart after a look. `clock` says why this host is not to lead a group
    /// that goes by time, if it is not; where the host does not lead, `judge` says whether it
    /// could, if that is known.
    pub fn next_event(
        &mut self,
        here: LocalGroup<'_>,
        clock: Option<String>,
        judge: impl FnOnce(&mut Self) -> Option<Result<(), String>>,
    ) -> Option<HeartEvent> {
        if matches!(here.role, Some(GroupRole::Leader | GroupRole::Draining | GroupRole::Resigning))
        {
            // A term hears of its own actions, but not of the time.
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

    /// Asks once for the end of a term that goes on.
    fn hand_over(&mut self, here: LocalGroup<'_>, reason: String) -> Option<HeartEvent> {
        let leader = here.roster?.leader(here.group)?;
        let key = Some(&leader.key).filter(|key| Some(key.lease) == here.session)?.clone();
        (self.handed_over != Some(key.token)).then(|| {
            self.handed_over = Some(key.token);
            let cause = EndCause::Asked { by: "the comparison of clocks".to_owned(), reason };
            HeartEvent::HandOver { key, cause }
        })
    }

    /// Whether a group could be led where this `obstacle` was found. `sibling`: whether a
    /// host of the same machine leads, if it is known.
    pub(super) fn judge_address(
        &mut self,
        obstacle: Option<PreflightError>,
        sibling: Option<bool>,
    ) -> Option<Result<(), String>> {
        let in_use = matches!(obstacle, Some(PreflightError::AddressInUse { .. }));
        let verdict = match (obstacle, sibling) {
            (Some(obstacle), Some(false)) if in_use => {
                self.address_in_use += 1;
                (self.address_in_use >= PATIENCE).then(|| Err(with_causes(&obstacle)))
            }
            (Some(_), None) if in_use => None,
            (Some(obstacle), _) if !in_use => Some(Err(with_causes(&obstacle))),
            _ => Some(Ok(())),
        }?;
        if verdict.is_ok() {
            self.address_in_use = 0;
        }
        Some(verdict)
    }

    /// Whether the heart was not told so before.
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

    /// What the heart is told after a look: that it is ready, or not.
    fn told(
        findings: &mut ReadinessCheck,
        obstacle: Option<PreflightError>,
        sibling: Option<bool>,
    ) -> Option<bool> {
        let (group, view) = (Group::main(), HostView::default());
        let here = LocalGroup::of(&group, &view, None);
        let event = findings
            .next_event(here, None, |findings| findings.judge_address(obstacle, sibling))?;
        Some(matches!(event, HeartEvent::Ready { .. }))
    }

    fn taken() -> Option<PreflightError> {
        let address = ([127, 0, 0, 1], 3000).into();
        Some(PreflightError::AddressInUse { action: "web".into(), address })
    }

    #[test]
    fn a_free_address_is_told_once() {
        let mut findings = ReadinessCheck::default();
        assert_eq!(told(&mut findings, None, None), Some(true));
        assert_eq!(told(&mut findings, None, Some(false)), None);
    }

    #[test]
    fn a_sibling_that_leads_may_hold_the_address() {
        let mut findings = ReadinessCheck::default();
        assert_eq!(told(&mut findings, taken(), Some(true)), Some(true));
    }

    #[test]
    fn a_taken_address_counts_when_it_stays_taken_and_nobody_here_leads() {
        let mut findings = ReadinessCheck::default();
        assert_eq!(told(&mut findings, taken(), None), None);
        assert_eq!(told(&mut findings, taken(), Some(false)), None);
        assert_eq!(told(&mut findings, taken(), Some(false)), None);
        assert!(told(&mut findings, taken(), Some(false)) == Some(false));
        assert_eq!(told(&mut findings, taken(), Some(false)), None, "told before");
        assert_eq!(told(&mut findings, None, Some(false)), Some(true));
    }
}
