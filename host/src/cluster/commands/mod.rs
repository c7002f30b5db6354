//! The commands that people give to a cluster, through any host: hand over, pause, drain, remove.
//!
//! A command with a lasting effect writes a note to the store, which every host follows. A
//! hand-over happens once, and is done by the leader that it concerns; any other host forwards the
//! command.
//!
//! Invariants:
//! - A command that is refused has changed nothing.
//! - If it is not known whether a command was carried out, the error says so, and how to find out
//!   and how to undo the command.

mod checks;
mod command_error;
mod message;
mod removal;
mod switchover;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::{sync::mpsc::UnboundedSender, time::timeout};
use tracing::info;

use self::message::one_line;
pub use self::{
    command_error::{CommandError, CommandErrorKind},
    message::{CommandAnswer, DrainOrder, HandedOver, PauseOrder, RemoveOrder, SwitchoverOrder},
};
use super::peer_client::PeerClient;
use soloist_heart::{Group, HeartEvent, clock::unix_ms};
use soloist_leadership::{KnownRoster as Seen, RosterView};
use soloist_stores::{
    Drain, Note, NoteTopic, OperatorOrder, Pause, Roster, Store, ThisHost, retry_transient,
};
use soloist_telemetry::journal::{Journal, Transition};
use soloist_text::{list_few, with_reason};

/// The current state of the cluster.
///
/// # Errors
/// This host does not know it, since it does not hear from the store.
pub(crate) fn current_roster(view: &RosterView) -> Result<Roster, CommandError> {
    match view.current() {
        Seen::Now(roster) => Ok(roster),
        Seen::Before { seen, .. } => Err(CommandError::unknown_cluster(Some(seen))),
        Seen::Nothing => Err(CommandError::unknown_cluster(None)),
    }
}

/// Carries out commands.
pub struct Commands {
    /// This host.
    pub host: ThisHost,
    /// Where notes are written.
    pub store: Arc<dyn Store>,
    /// The client of other hosts.
    pub peers: PeerClient,
    /// What is known of the cluster, and how fresh that is.
    pub roster_view: RosterView,
    /// The groups that this host has actions of.
    pub groups: Box<dyn Fn() -> Vec<Group> + Send + Sync>,
    /// The inbox of this host's heart.
    pub events: UnboundedSender<HeartEvent>,
    /// Where commands are recorded.
    pub journal: Journal,
    /// How long a command waits for a change of leadership.
    pub patience: Duration,
}

impl Commands {
    /// Pauses changes of leadership, in one group or in all of them.
    ///
    /// # Errors
    /// There is no such group, or the store does not answer.
    pub async fn pause(&self, order: PauseOrder) -> Result<CommandAnswer, CommandError> {
        let roster = self.roster()?;
        let group = self.group_or_all(&roster, order.group)?;
        let (what, keep_failover) = (all_or(group.as_ref()), order.keep_failover);
        let command = if keep_failover { "pause --keep-failover" } else { "pause" };
        let order = self.journal_order(command, &what, order.by, order.reason);
        let pause = Pause { order, keep_failover };
        let undo = format!("soloist resume{}", group_option(group.as_ref()));
        self.note(&NoteTopic::Pause(group), &Note::Pause(pause), &undo).await?;
        let done = if keep_failover {
            "no leadership changes by preference; a leader that dies is replaced"
        } else {
            "no leadership changes; a leader that dies is not replaced"
        };
        Ok(CommandAnswer::new(format!("{what}: {done}")))
    }

    /// Ends a pause.
    ///
    /// # Errors
    /// There is no such group, or it is not paused, or the store does not answer.
    pub async fn resume(&self, order: PauseOrder) -> Result<CommandAnswer, CommandError> {
        let roster = self.roster()?;
        let group = self.group_or_all(&roster, order.group)?;
        let what = all_or(group.as_ref());
        let undo = format!("soloist pause{}", group_option(group.as_ref()));
        let topic = NoteTopic::Pause(group);
        if !self.take_note_back(&topic, ["resume", &what, &undo], order.by, order.reason).await? {
            let of_one = "add --group to end the pause of one group";
            return Err(CommandError::refused(format!("{what}: not paused"), of_one));
        }
        Ok(CommandAnswer::new(format!("{what}: resumed")))
    }

    /// Makes a host give up all leaderships and not stand any more.
    ///
    /// # Errors
    /// There is no such host, the store does not answer, or the host leads a group that is paused
    /// or that nobody would lead then, since a stranger is next in its queue.
    pub async fn drain(&self, order: DrainOrder) -> Result<CommandAnswer, CommandError> {
        let roster = self.roster()?;
        let host = self.host(&roster, order.host)?;
        let leads = |group: &&Group| {
            roster.leader(group).is_some_and(|leader| leader.candidate.host == host)
        };
        let led: Vec<_> = roster.groups.keys().filter(leads).collect();
        for group in &led {
            checks::check_not_paused(&roster, group)?;
            // A group without any candidate that is next in line is no obstacle: people may want to
            // drain the last host.
            checks::check_next_is_host(&roster, group)?;
        }
        let drain = Drain { order: self.journal_order("drain", &host, order.by, order.reason) };
        let undo = format!("soloist undrain {host}");
        self.note(&NoteTopic::Drain(host.clone()), &Note::Drain(drain), &undo).await?;
        let gone = |roster: &Roster| !stands(roster, &host);
        let Some(roster) = self.wait_until(gone).await else {
            let error = format!("{host} is drained, but has not given up all leaderships yet");
            return Err(CommandError::timeout(error, &undo));
        };
        let done =
            format!("{host} leads no group, and stands for election in none until it is undrained");
        let left: Vec<_> = led.into_iter().filter(|group| roster.queue(group).is_empty()).collect();
        Ok(CommandAnswer::new(if left.is_empty() {
            done
        } else {
            format!("{done}; nobody leads {} now", list_few(left.into_iter().map(Group::as_str)))
        }))
    }

    /// Lets a drained host stand for election again.
    ///
    /// # Errors
    /// There is no such host, or it is not drained, or the store does not answer.
    pub async fn undrain(&self, order: DrainOrder) -> Result<CommandAnswer, CommandError> {
        let host = self.host(&self.roster()?, order.host)?;
        let undo = format!("soloist drain {host}");
        let topic = NoteTopic::Drain(host.clone());
        if !self.take_note_back(&topic, ["undrain", &host, &undo], order.by, order.reason).await? {
            let help = "`soloist status` shows the hosts that are drained";
            return Err(CommandError::refused(format!("{host} is not drained"), help));
        }
        Ok(CommandAnswer::new(format!("{host} stands for election again")))
    }

    /// Writes a note to the store. `undo` is the command that takes it back, for the error.
    async fn note(&self, topic: &NoteTopic, note: &Note, undo: &str) -> Result<(), CommandError> {
        let written = retry_transient(|| self.store.write_note(topic, note)).await;
        written.map(|_| ()).map_err(|error| CommandError::store(&error, undo))
    }

    /// Erases a note, and returns whether there was one. `undo` is the command that writes it
    /// again, for the error.
    async fn erase(&self, topic: &NoteTopic, undo: &str) -> Result<bool, CommandError> {
        let erased = retry_transient(|| self.store.erase_note(topic)).await;
        let (was, again) = erased.map_err(|error| CommandError::store(&error, undo))?;
        // After a repeated call (`again`) there may be none left, since the call whose answer was
        // lost may have erased it.
        Ok(was || again)
    }

    fn roster(&self) -> Result<Roster, CommandError> {
        current_roster(&self.roster_view)
    }

    /// Waits until the roster meets a condition. None if that takes longer than `patience`.
    async fn wait_until(&self, is_it: impl Fn(&Roster) -> bool) -> Option<Roster> {
        let mut roster = self.roster_view.rosters();
        let shown = roster.wait_for(|roster| roster.as_ref().is_some_and(&is_it));
        timeout(self.patience, shown).await.ok()?.ok()?.clone()
    }

    fn group_or_all(
        &self,
        roster: &Roster,
        name: Option<String>,
    ) -> Result<Option<Group>, CommandError> {
        name.map(|name| self.group(roster, &name)).transpose()
    }

    /// The group with this name, if any host has actions of it or any key is in its queue.
    fn group(&self, roster: &Roster, name: &str) -> Result<Group, CommandError> {
        let own = (self.groups)();
        let known = roster.groups.keys().chain(&own).chain(roster.notes.paused.keys());
        let names: BTreeSet<&str> = known.map(Group::as_str).collect();
        if names.contains(name) {
            Ok(name.into())
        } else {
            Err(CommandError::no_group(name, &names))
        }
    }

    /// The host with this name, if it is or was a member; this host, if none is named.
    fn host(&self, roster: &Roster, name: Option<String>) -> Result<String, CommandError> {
        let own = self.host.name();
        let name = match (name, roster.member(own)) {
            (Some(name), _) => name,
            // The command would concern that host, which the caller did not mean.
            (None, Some(namesake)) if self.host.is_other(&**namesake) => {
                return Err(CommandError::refused(
                    format!("another host is called {own} as well, at {}", namesake.url),
                    "name the host that you mean, and give one of them another name (`--name`)",
                ));
            }
            (None, _) => own.to_string(),
        };
        let known = roster.notes.known.keys().chain(roster.notes.removed.keys());
        let known = known.map(String::as_str);
        let there = roster.members.iter().map(|(_, member)| member.name.as_str());
        let names: BTreeSet<&str> = known.chain(there).collect();
        if names.contains(&*name) { Ok(name) } else { Err(CommandError::no_host(&name, &names)) }
    }

    /// Erases a note like [`erase`](Self::erase), and records who gave the command and why, unless
    /// there was no such note.
    async fn take_note_back(
        &self,
        topic: &NoteTopic,
        [command, of, undo]: [&str; 3],
        by: String,
        reason: String,
    ) -> Result<bool, CommandError> {
        let was = self.erase(topic, undo).await;
        if !matches!(was, Ok(false)) {
            self.journal_order(command, of, by, reason);
        }
        was
    }

    /// Records in the log and the journal who gave a command, and why.
    fn journal_order(&self, command: &str, of: &str, by: String, reason: String) -> OperatorOrder {
        let by = if by.is_empty() { "somebody".to_owned() } else { one_line(by) };
        let reason = one_line(reason);
        info!(event = "command", command, of, by, reason, "{by}: {command} {of}");
        let said = with_reason(&format!("{by}: {command} {of}"), &reason);
        self.journal.record(Transition::of("command", self.host.name()).because(said));
        OperatorOrder { by, reason, since: unix_ms() }
    }
}

/// The option of the command line that names a group.
fn group_option(group: Option<&Group>) -> String {
    group.map_or_else(String::new, |group| format!(" --group {group}"))
}

fn all_or(group: Option<&Group>) -> String {
    group.map_or_else(|| "all groups".to_owned(), Group::to_string)
}

/// Whether `host` leads or stands for election in any group.
fn stands(roster: &Roster, host: &str) -> bool {
    roster.groups.values().flatten().any(|standing| standing.candidate.host == host)
}
