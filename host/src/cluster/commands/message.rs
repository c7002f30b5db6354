//! What commands and their answers look like, as JSON.

use serde::{Deserialize, Serialize};

/// The longest text of a person's that is kept, in characters.
const LONGEST: usize = 200;

/// One line of what a person says, and not a long one.
pub(super) fn one_line(text: String) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
}

/// The leader of a group is to hand over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResignOrder {
    /// The group; `main`, if none is named.
    pub group: Option<String>,
    /// Who is to lead; the next in line, if none is named.
    pub to: Option<String>,
    /// The token of the term that was seen. A host that is asked for a term which it has
    /// not read of yet waits until it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<i64>,
    /// Who wants it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Leaderships are not to change by preference, or may again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PauseOrder {
    /// The group; all of them, if none is named.
    pub group: Option<String>,
    /// Whether a leader that dies is not to be replaced either.
    pub freeze: bool,
    /// Who wants it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A host is to give everything up, or may stand or join again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrainOrder {
    /// The host; the one that is asked, if none is named.
    pub host: Option<String>,
    /// Who wants it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A host is to be forgotten, or kept out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RemoveOrder {
    /// The host.
    pub host: String,
    /// Whether it is to leave if it is alive, and to be kept out until it is admitted.
    pub force: bool,
    /// Who wants it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandAnswer {
    /// For people.
    pub done: String,
    /// Who leads now, if that has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_over: Option<HandedOver>,
}

/// A leadership that has changed hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedOver {
    /// The group.
    pub group: String,
    /// Who led.
    pub from: String,
    /// Who leads.
    pub leader: String,
    /// The fencing token of the new term.
    pub token: i64,
}

impl CommandAnswer {
    pub(super) fn new(done: String) -> Self {
        Self { done, handed_over: None }
    }
}
