//! What commands and their answers look like, as JSON.

use serde::{Deserialize, Serialize};

/// The longest text of a person's that is kept, in characters.
const LONGEST: usize = 200;

/// Who wants something, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asker {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Asker {
    /// One line each, and not a long one.
    pub(super) fn tame(self) -> Self {
        let tame = |text: String| -> String {
            text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
        };
        let by = if self.by.is_empty() { "somebody".to_owned() } else { tame(self.by) };
        Self { by, reason: tame(self.reason) }
    }
}

/// The leader of a group is to hand over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResignOrder {
    /// The group; `main`, if none is named.
    pub group: Option<String>,
    /// Who is to lead; the next in line, if none is named.
    pub to: Option<String>,
    /// Who wants it.
    #[serde(flatten)]
    pub asker: Asker,
}

/// Leaderships are not to change by preference, or may again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PauseOrder {
    /// The group; all of them, if none is named.
    pub group: Option<String>,
    /// Whether a leader that dies is not to be replaced either.
    pub freeze: bool,
    /// Who wants it.
    #[serde(flatten)]
    pub asker: Asker,
}

/// A host is to give everything up, or may stand again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DrainOrder {
    /// The host; the one that is asked, if none is named.
    pub host: Option<String>,
    /// Who wants it.
    #[serde(flatten)]
    pub asker: Asker,
}

/// A host is to be forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RemoveOrder {
    /// The host.
    pub host: String,
    /// Whether it is to leave first if it is alive.
    pub force: bool,
    /// Who wants it.
    #[serde(flatten)]
    pub asker: Asker,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
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

impl Done {
    pub(super) fn new(done: String) -> Self {
        Self { done, handed_over: None }
    }
}
