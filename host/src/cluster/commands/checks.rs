//! What is looked at before a command is given.

use super::command_error::CommandError;
use soloist_heart::Group;
use soloist_stores::{KnownHost, Roster};
use soloist_text::rfc3339;

/// What heads a queue, leads it: who gives `group` up must not leave it to a stranger.
pub(super) fn check_next_is_host(roster: &Roster, group: &Group) -> Result<(), CommandError> {
    match roster.foreign_candidates(group).first() {
        Some(it) if roster.heir(group).is_none() => {
            let error = format!("nobody would lead {group} then: {it} is next in its queue");
            Err(CommandError::refused(error, format!("run `{}` first", it.remove)))
        }
        _ => Ok(()),
    }
}

/// Nobody would take over a frozen group.
pub(super) fn check_not_frozen(roster: &Roster, group: &Group) -> Result<(), CommandError> {
    match roster.notes.pause_of(group) {
        Some(pause) if pause.freeze => {
            let error = format!("{group} is frozen, by {}", pause.order.by);
            let help = format!("run `{}` first", roster.notes.resume_command(group));
            Err(CommandError::refused(error, help))
        }
        _ => Ok(()),
    }
}

/// Where a known host was seen last, for people.
pub(super) fn last_seen(known: Option<&KnownHost>) -> String {
    let Some(known) = known else { return "it was never there".into() };
    format!("it was seen last at {}", rfc3339(known.last_seen))
}
