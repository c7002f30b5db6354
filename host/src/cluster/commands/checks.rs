//! What is checked before a command is carried out.

use super::command_error::CommandError;
use soloist_heart::Group;
use soloist_stores::{KnownHost, Roster};
use soloist_text::rfc3339;

/// Refuses a command by which the leader of `group` would give way to a stranger's entry, under
/// which nobody performs.
pub(super) fn check_next_is_host(roster: &Roster, group: &Group) -> Result<(), CommandError> {
    match roster.foreign_candidates(group).first() {
        Some(it) if roster.next_leader(group).is_none() => {
            let error = format!("nobody would lead {group} then: {it} is next in its queue");
            Err(CommandError::refused(error, format!("run `{}` first", it.remove)))
        }
        _ => Ok(()),
    }
}

/// Refuses a command for a group whose pause stops failover: no host would take it over.
pub(super) fn check_not_paused(roster: &Roster, group: &Group) -> Result<(), CommandError> {
    match roster.notes.pause_of(group) {
        Some(pause) if !pause.keep_failover => {
            let error = format!("{group} is paused, by {}", pause.order.by);
            let help = format!("run `{}` first", roster.notes.resume_command(group));
            Err(CommandError::refused(error, help))
        }
        _ => Ok(()),
    }
}

/// When a known host was seen last, as a text for people.
pub(super) fn last_seen(known: Option<&KnownHost>) -> String {
    let Some(known) = known else { return "it was never there".into() };
    format!("it was seen last at {}", rfc3339(known.last_seen))
}
