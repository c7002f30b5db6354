//! Whether this host is ready to lead, for `/readyz`.

use super::{HostStatusSource, orders::order_entry};

use soloist_leadership::{GapReason, HostView, RehearsalResult};

impl HostStatusSource {
    /// Whether this host could lead now, in every group that it has actions of.
    pub(super) fn check_ready(&self) -> Result<(), String> {
        let view = self.current_view();
        if let Some(reason) = &view.setback {
            return Err(format!("not ready to lead: {reason}"));
        }
        if let Some(obstacle) = &view.obstacle {
            return Err(obstacle.clone());
        }
        self.check_session(&view)?;
        match &*self.context.rehearsed.borrow() {
            RehearsalResult::Accepted => {}
            RehearsalResult::NotYet => {
                return Err("no rehearsal of a campaign has ended yet".to_owned());
            }
            RehearsalResult::Refused(reason) => {
                return Err(format!("a rehearsal of a campaign failed: {reason}"));
            }
        }
        if !view.joined {
            return Err("it is not among the members yet".to_owned());
        }
        for (group, view) in &view.groups {
            if let Some(obstacle) = &view.obstacle {
                return Err(format!("not ready to lead {group}: {obstacle}"));
            }
        }
        self.check_permitted()
    }

    fn check_session(&self, view: &HostView) -> Result<(), String> {
        if view.session.is_some() {
            return Ok(());
        }
        let reason = match (view.store_error.as_deref(), self.view.borrow().session) {
            (Some(error), _) => error,
            (None, Some(_)) => "its lease has run out, and this host has not noticed yet",
            (None, None) => "it has not answered yet",
        };
        Err(format!("no session in the store {}: {reason}", self.context.store.label()))
    }

    /// Whether people let this host lead, and no key in the store keeps all hosts from leading.
    fn check_permitted(&self) -> Result<(), String> {
        let (known, name) = (self.context.roster_view.current(), &self.context.member.name);
        if let Some(drain) = known.now().and_then(|roster| roster.notes.drained.get(name)) {
            let drained = order_entry(&drain.order).sentence("drained");
            return Err(format!("{drained}; `soloist undrain {name}` lets it stand again"));
        }
        let gaps = self.context.gaps.borrow();
        let in_the_way = gaps.groups.iter().find_map(|(group, gap)| match &gap.reason {
            // The host at the head of the queue may be about to say that it leads.
            GapReason::Silent { .. } | GapReason::Paused { .. }
                if gaps.blamed_gap(group).is_none() =>
            {
                None
            }
            reason @ (GapReason::Grace
            | GapReason::Stranger(_)
            | GapReason::Silent { .. }
            | GapReason::Paused { .. }) => Some((group, reason)),
            GapReason::Unknown | GapReason::Nobody => None,
        });
        match in_the_way {
            Some((group, reason)) => Err(format!("nobody can lead {group} now: {reason}")),
            None => Ok(()),
        }
    }
}
