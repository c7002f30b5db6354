//! `standby` and `max_hold`: what hosts that do not lead do with an action's requests.

use std::time::Duration;

use super::{
    choice::{Choice, choice},
    resolver::Resolver,
    settings_file::ActionTable,
};

const MAX_HOLD: Duration = Duration::from_secs(10);

/// What a standby does with requests to an action's address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum StandbyMode {
    /// It does not listen there.
    #[default]
    Refuse,
    /// It forwards them to the leader.
    Forward,
    /// It redirects clients to the leader's address.
    Redirect,
}

impl StandbyMode {
    /// Whether every host listens on the address all the time.
    #[must_use]
    pub const fn listens(self) -> bool {
        !matches!(self, Self::Refuse)
    }
}

choice! {
    StandbyMode { Refuse = "refuse", Forward = "forward", Redirect = "redirect" },
    "standby",
    "write \"refuse\" (standbys do not listen), \"forward\" (they pass requests on to the leader) or \"redirect\" (they say where it is)"
}

/// What a standby does with the requests of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayConfig {
    /// What happens to requests that arrive at the action's own address.
    pub standby: StandbyMode,
    /// How long a request waits for a leader when there is none.
    pub max_hold: Duration,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self { standby: StandbyMode::Refuse, max_hold: MAX_HOLD }
    }
}

/// The settings of `table`; `None` after reporting what is wrong.
pub(super) fn read(resolver: &mut Resolver<'_>, table: &ActionTable) -> Option<RelayConfig> {
    let standby = resolver.written(table.standby.clone(), "refuse");
    let standby = resolver.read(&standby, StandbyMode::parse);
    let max_hold = resolver.bounded(table.max_hold.as_ref(), MAX_HOLD);
    Some(RelayConfig { standby: standby?, max_hold: max_hold? })
}
