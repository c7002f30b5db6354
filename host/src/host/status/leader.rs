//! Who leads a group, as the status of a host shows it.

use super::HostStatusSource;
use soloist_heart::Group;
use soloist_leadership::{HostView, KnownRoster};
use soloist_stores::QueuedCandidate;

impl HostStatusSource {
    /// The leader of a group, as far as it is known now: the head of its queue, unless that has not
    /// performed for longer than a hand-over takes. Without a session this host leads nothing,
    /// whatever a roster of before says.
    pub(super) fn leader<'a>(
        &self,
        group: &Group,
        known: &'a KnownRoster,
        view: &HostView,
    ) -> Option<&'a QueuedCandidate> {
        let leader = known.now()?.leader(group)?;
        let performs = self.context.gaps.borrow().long_gap(group).is_none();
        let over = view.session.is_none() && self.context.this.is(&leader.candidate);
        (performs && !over).then_some(leader)
    }
}
