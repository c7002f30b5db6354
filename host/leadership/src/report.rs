//! Logging and journalling of what the driver does: every transition, with its cause.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tracing::{debug, info, warn};

use crate::host_view::{GroupView, HostView};
use soloist_heart::{FencingToken, Group, HeartCommand, HeartEvent, clock::BootTime};
use soloist_stores::StoreError;
use soloist_telemetry::{
    journal::{Journal, Transition},
    log_throttle::LogThrottle,
};
use soloist_text::{millis, with_causes};

/// Records a command of the heart in the journal, if it is a state transition.
pub(crate) fn transition(command: &HeartCommand, host: &str, journal: &Journal) {
    let of = |event| Transition::of(event, host);
    journal.record(match command {
        HeartCommand::Campaign { group, .. } => of("standby").in_group(group),
        HeartCommand::Withdraw { group, .. } => of("withdrawn").in_group(group),
        HeartCommand::Start { key, .. } => of("leading").in_term(key),
        HeartCommand::Drain { key, cause } => of("draining").in_term(key).because(cause),
        HeartCommand::Stop { key, cause } => of("stopping").in_term(key).because(cause),
        HeartCommand::Resign { key } => of("resigning").in_term(key),
        HeartCommand::Grant { .. }
        | HeartCommand::Renew { .. }
        | HeartCommand::RaiseTokens { .. }
        | HeartCommand::Extend { .. }
        | HeartCommand::Verify { .. }
        | HeartCommand::Revoke { .. } => return,
    });
}

/// Logs a command of the heart, if it is a state transition.
pub(crate) fn command(command: &HeartCommand, host: &Arc<str>) {
    match command {
        HeartCommand::Campaign { group, .. } => {
            info!(event = "standby", %group, "standing for election");
        }
        HeartCommand::Withdraw { group, .. } => info!(event = "withdrawn", %group, "withdrawn"),
        HeartCommand::Verify { key } => {
            debug!(event = "won", group = %key.group, fencing_token = key.fencing_token.0, "won, re-reading the key");
        }
        HeartCommand::Start { key, deadline } => {
            let deadline_in_ms = millis(deadline.since(BootTime::now()));
            info!(event = "leading", group = %key.group, fencing_token = key.fencing_token.0, deadline_in_ms, "{host} leads");
        }
        HeartCommand::Drain { key, cause } => {
            info!(event = "draining", group = %key.group, fencing_token = key.fencing_token.0, %cause, "ending the term: draining");
        }
        HeartCommand::Stop { key, cause } if cause.drains() => {
            info!(event = "stopping", group = %key.group, fencing_token = key.fencing_token.0, %cause, "ending the term: stopping");
        }
        HeartCommand::Stop { key, cause } => {
            warn!(event = "stopping", group = %key.group, fencing_token = key.fencing_token.0, %cause, "ending the term at once");
        }
        HeartCommand::Resign { key } => {
            info!(event = "resigning", group = %key.group, fencing_token = key.fencing_token.0, "resigning");
        }
        HeartCommand::Revoke { lease } => debug!(event = "revoking", %lease, "ending the session"),
        HeartCommand::RaiseTokens { above } => {
            debug!(event = "raising-tokens", above = above.0, "raising the fencing tokens");
        }
        HeartCommand::Grant { .. } | HeartCommand::Renew { .. } | HeartCommand::Extend { .. } => {}
    }
}

/// How often campaigns and resignations have failed in a row, by group. Where the store refuses
/// them they are retried several times a second; the reason is reported elsewhere.
#[derive(Debug, Default)]
pub(crate) struct RepeatedFailures {
    campaigns: BTreeMap<Group, u32>,
    resignations: BTreeSet<Group>,
}

impl RepeatedFailures {
    /// Updates the counts from an event.
    pub(crate) fn observe(&mut self, event: &HeartEvent) {
        match event {
            HeartEvent::CampaignFailed { group, .. } => {
                *self.campaigns.entry(group.clone()).or_default() += 1;
            }
            HeartEvent::Won { key, .. } => drop(self.campaigns.remove(&key.group)),
            HeartEvent::ResignFailed { key } => drop(self.resignations.insert(key.group.clone())),
            HeartEvent::Resigned { key } => drop(self.resignations.remove(&key.group)),
            HeartEvent::Granted { .. } => *self = Self::default(),
            _ => {}
        }
    }

    /// Whether `command` merely retries something that has failed repeatedly.
    pub(crate) fn repeats(&self, command: &HeartCommand) -> bool {
        match command {
            HeartCommand::Campaign { group, .. } => {
                self.campaigns.get(group).is_some_and(|times| *times > 1)
            }
            HeartCommand::Resign { key } => self.resignations.contains(&key.group),
            _ => false,
        }
    }
}

/// Reports that the store is no longer the same one.
pub(crate) fn store_changed(seen: &str, host: &str, journal: &Journal) {
    warn!(event = "store-changed", "{seen}; the session and all terms of this host end");
    journal.record(Transition::of("store-changed", host).because(seen));
}

/// Reports that the store's fencing tokens exceed all that this host has seen.
pub(crate) fn tokens_raised(above: FencingToken, host: &str, journal: &Journal) {
    info!(
        event = "tokens-raised",
        above = above.0,
        "fencing tokens go on above {above}, and {host} stands for election again"
    );
    journal.record(Transition::of("tokens-raised", host).because(format!("above {above}")));
}

/// Reports what keeps this host from standing for election, and when nothing does any more.
#[derive(Debug, Default)]
pub(crate) struct ObstacleReporter {
    /// The groups that this host could not lead, and of which it was not reported ready since.
    unready: BTreeSet<Group>,
}

impl ObstacleReporter {
    /// Reports what has changed from the view `before` to the view `now`.
    pub(crate) fn report(
        &mut self,
        before: &HostView,
        now: &HostView,
        host: &str,
        journal: &Journal,
    ) {
        match (&before.obstacle, &now.obstacle) {
            (before, Some(reason)) if before.as_ref() != Some(reason) => {
                warn!(event = "not-joined", "{host} cannot stand for election: {reason}");
                journal.record(Transition::of("not-joined", host).because(reason));
            }
            (Some(_), None) => {
                info!(event = "joined", "{host} is among the members");
                journal.record(Transition::of("joined", host));
            }
            _ => {}
        }
        for (group, here) in &now.groups {
            let was = before.groups.get(group);
            let Some(reason) = why_not(here) else {
                // A host that is no member stands in no group, whatever it could run.
                if now.joined && self.unready.remove(group) {
                    info!(event = "ready", %group, "ready to lead {group}");
                    journal.record(Transition::of("ready", host).in_group(group));
                }
                continue;
            };
            self.unready.insert(group.clone());
            // Nothing has kept this host out of a group that was not there before.
            if was.and_then(why_not) != Some(reason) {
                report_not_ready(group, here, reason, host, journal);
            }
        }
    }
}

/// Why a host cannot lead a group, if it cannot.
fn why_not(here: &GroupView) -> Option<&str> {
    here.bar.as_deref().or(here.obstacle.as_deref())
}

fn report_not_ready(group: &Group, here: &GroupView, reason: &str, host: &str, journal: &Journal) {
    // What an operator or a strategy wants is no fault.
    if here.bar.is_some() {
        info!(event = "not-ready", %group, "does not stand for {group}: {reason}");
    } else {
        warn!(event = "not-ready", %group, "cannot lead {group}: {reason}");
    }
    journal.record(Transition::of("not-ready", host).in_group(group).because(reason));
}

/// Whether the store answers. Each change is recorded in the journal.
pub(crate) struct StoreHealth {
    label: String,
    host: String,
    journal: Journal,
    error: Option<String>,
    trouble: LogThrottle,
}

impl StoreHealth {
    pub(crate) fn new(label: &str, host: &str, journal: Journal) -> Self {
        let (label, host) = (label.to_owned(), host.to_owned());
        Self { label, host, journal, error: None, trouble: LogThrottle::default() }
    }

    /// The error of the last failed call, until one succeeds.
    pub(crate) fn error(&self) -> Option<String> {
        self.error.clone()
    }

    pub(crate) fn answered(&mut self) {
        if self.error.take().is_some() {
            self.trouble.recovered(|told| {
                info!(event = "store-back", store = self.label, "the store answers again{told}");
            });
            self.journal.record(Transition::of("store-back", &self.host));
        }
    }

    pub(crate) fn failed(&mut self, error: &StoreError) {
        let text = with_causes(error);
        self.trouble.report_text(&text, |told| {
            warn!(
                event = "store-lost",
                store = self.label,
                "{text}; trying again until it answers{told}"
            );
        });
        if self.error.is_none() {
            self.journal.record(Transition::of("store-lost", &self.host).because(&text));
        }
        self.error = Some(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host_view::CandidacyRole;

    fn view(joined: bool, obstacle: Option<&str>, of_group: Option<&str>) -> HostView {
        let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
        let part = GroupView { role: CandidacyRole::Out, obstacle: owned(of_group), bar: None };
        let groups = BTreeMap::from([(Group::main(), part)]);
        HostView { joined, obstacle: owned(obstacle), groups, ..HostView::default() }
    }

    #[test]
    fn only_a_member_is_reported_ready_and_once() {
        let (mut reporter, journal) = (ObstacleReporter::default(), Journal::default());
        // Published at the start, unreported.
        let (mut before, mut seen) = (view(false, None, Some("unknown")), 0);
        for (now, events) in [
            (view(false, None, Some("unknown")), &[][..]),
            (view(false, None, None), &[]),
            (view(false, Some("another host is called a as well"), None), &["not-joined"]),
            (view(true, None, None), &["joined", "ready"]),
            // The session was lost, and there is another one.
            (view(false, None, None), &[]),
            (view(true, None, None), &[]),
            (view(true, None, Some("its port is taken")), &["not-ready"]),
            (view(true, None, None), &["ready"]),
        ] {
            reporter.report(&before, &now, "a", &journal);
            let told = journal.after(seen);
            seen += told.len() as u64;
            let told: Vec<_> = told.iter().map(|it| it.event.as_str()).collect();
            assert_eq!(told, events, "{now:?}");
            before = now;
        }
    }
}
