//! Commands and their results as JSON.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest name or reason of a person that is kept, in characters.
const LONGEST: usize = 200;

/// Makes one line of limited length of a text that a person has written.
pub(super) fn one_line(text: String) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
}

/// The command to a group's leader for a switchover.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SwitchoverOrder {
    /// The group; `main`, if none is named.
    pub group: Option<String>,
    /// The host that is to lead; the next in line, if none is named.
    pub to: Option<String>,
    /// The fencing token of the leader's term, as the forwarding host knows it. A host whose roster
    /// is older than that waits until it has caught up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fencing_token: Option<i64>,
    /// Who gives the command.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
}

/// The command to pause changes of leadership, or to resume them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PauseOrder {
    /// The group; all of them, if none is named.
    pub group: Option<String>,
    /// Whether a leader that dies is replaced all the same.
    pub keep_failover: bool,
    /// Who gives the command.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
}

/// The command to drain a host, to undrain it, or to admit it again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DrainOrder {
    /// The host; the one that is asked, if none is named.
    pub host: Option<String>,
    /// Who gives the command.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
}

/// The command to remove a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RemoveOrder {
    /// The host.
    pub host: String,
    /// Whether a host that is alive is to leave, and to be kept out until it is admitted again.
    pub force: bool,
    /// Who gives the command.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
}

/// The result of a command that was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandAnswer {
    /// What was done, as a text for people.
    pub done: String,
    /// The change of leadership, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_over: Option<HandedOver>,
}

/// A change of leadership.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HandedOver {
    /// The group.
    pub group: String,
    /// The host that led before.
    pub from: String,
    /// The host that leads now.
    pub leader: String,
    /// The fencing token of the new term.
    pub fencing_token: i64,
}

impl CommandAnswer {
    pub(super) fn new(done: String) -> Self {
        Self { done, handed_over: None }
    }
}
