//! What people read of the driver's doings: every transition, with its cause.

use std::{sync::Arc, time::Duration};

use tracing::{debug, info, warn};

use super::view::{GroupView, HostView};
use crate::{
    clock::BootTime,
    election::{Command, LeaseId},
    journal::{Journal, Transition},
    store::{Roster, StoreError},
    words::{millis, with_causes},
};

/// Takes a command of the heart down as the transition that it is.
pub(super) fn transition(command: &Command, host: &str, journal: &Journal) {
    let of = |event| Transition::of(event, host);
    journal.write(match command {
        Command::Campaign { group, .. } => of("standby").in_group(group),
        Command::Withdraw { group, .. } => of("withdrawn").in_group(group),
        Command::Start { key, .. } => of("leading").in_term(key),
        Command::Drain { key, cause } => of("draining").in_term(key).since(cause),
        Command::Stop { key, cause } => of("stopping").in_term(key).since(cause),
        Command::Resign { key } => of("resigning").in_term(key),
        Command::Grant { .. }
        | Command::Renew { .. }
        | Command::Extend { .. }
        | Command::Verify { .. }
        | Command::Revoke { .. } => return,
    });
}

/// Logs a command of the heart as the transition that it is.
pub(super) fn command(command: &Command, host: &Arc<str>) {
    match command {
        Command::Campaign { group, .. } => {
            info!(event = "standby", %group, "standing for election");
        }
        Command::Withdraw { group, .. } => info!(event = "withdrawn", %group, "withdrawn"),
        Command::Verify { key } => {
            debug!(event = "won", group = %key.group, token = key.token.0, "won, re-reading the key");
        }
        Command::Start { key, deadline } => {
            let lease_remaining_ms = millis(deadline.since(BootTime::now()));
            info!(event = "leading", group = %key.group, token = key.token.0, lease_remaining_ms, "{host} leads");
        }
        Command::Drain { key, cause } => {
            info!(event = "draining", group = %key.group, token = key.token.0, %cause, "ending the term: draining");
        }
        Command::Stop { key, cause } if cause.drains() => {
            info!(event = "stopping", group = %key.group, token = key.token.0, %cause, "ending the term: stopping");
        }
        Command::Stop { key, cause } => {
            warn!(event = "stopping", group = %key.group, token = key.token.0, %cause, "ending the term at once");
        }
        Command::Resign { key } => {
            info!(event = "resigning", group = %key.group, token = key.token.0, "resigning");
        }
        Command::Revoke { lease } => debug!(event = "revoking", %lease, "ending the session"),
        Command::Grant { .. } | Command::Renew { .. } | Command::Extend { .. } => {}
    }
}

/// Tells that the store is not the one that it was.
pub(super) fn store_changed(seen: &str, host: &str, journal: &Journal) {
    warn!(event = "store-changed", "{seen}; the session and all terms of this host end");
    journal.write(Transition::of("store-changed", host).since(seen));
}

/// Tells what began or ceased to keep this host from standing for election.
pub(super) fn obstacles(before: &HostView, now: &HostView, host: &str, journal: &Journal) {
    for (group, now) in &now.groups {
        // Before the first look there is nothing to say.
        let Some(before) = before.groups.get(group) else { continue };
        let why = |view: &GroupView| view.bar.clone().or_else(|| view.obstacle.clone());
        match (why(before), why(now)) {
            (before, Some(reason)) if before.as_ref() != Some(&reason) => {
                warn!(event = "not-ready", %group, "cannot lead {group}: {reason}");
                journal.write(Transition::of("not-ready", host).in_group(group).since(reason));
            }
            (Some(_), None) => {
                info!(event = "ready", %group, "ready to lead {group}");
                journal.write(Transition::of("ready", host).in_group(group));
            }
            _ => {}
        }
    }
}

/// Whether the store answers, told once when that changes.
pub(super) struct StoreHealth {
    label: String,
    host: String,
    journal: Journal,
    error: Option<String>,
}

impl StoreHealth {
    pub(super) fn new(label: &str, host: &str, journal: Journal) -> Self {
        Self { label: label.to_owned(), host: host.to_owned(), journal, error: None }
    }

    /// What the last failed call said, until one succeeds.
    pub(super) fn error(&self) -> Option<String> {
        self.error.clone()
    }

    pub(super) fn answered(&mut self) {
        if self.error.take().is_some() {
            info!(event = "store-back", store = self.label, "the store answers again");
            self.journal.write(Transition::of("store-back", &self.host));
        }
    }

    pub(super) fn failed(&mut self, error: &StoreError) {
        let text = with_causes(error);
        if self.error.is_none() {
            warn!(
                event = "store-lost",
                store = self.label,
                "{text}; trying again until it answers"
            );
            self.journal.write(Transition::of("store-lost", &self.host).since(&text));
        } else {
            debug!(store = self.label, "{text}");
        }
        self.error = Some(text);
    }
}

/// Two hosts of one name, which would take each other's place among the members.
pub(super) struct Namesakes {
    ttl: Duration,
    since: BootTime,
}

impl Namesakes {
    pub(super) fn new(ttl: Duration) -> Self {
        Self { ttl, since: BootTime::NEVER }
    }

    /// Warns when another session goes by this host's name for longer than this
    /// host's own former one can.
    pub(super) fn look(&mut self, roster: &Roster, host: &str, own: LeaseId, now: BootTime) {
        if !roster.members.iter().any(|(lease, member)| *lease != own && member.name == host) {
            self.since = BootTime::NEVER;
        } else if self.since == BootTime::NEVER {
            self.since = now;
        } else if now.since(self.since) > self.ttl * 2 {
            warn!(
                event = "namesake",
                "another host is called {host} as well: give each its own --name"
            );
            self.since = now + self.ttl * 10;
        }
    }
}
