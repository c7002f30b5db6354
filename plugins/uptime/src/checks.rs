//! What is asked, and where that and its history are in the state.

use std::collections::{BTreeMap, BTreeSet};

use kit::state::{State, StateError};
use serde::{Deserialize, Serialize};

/// How many checks there may be.
pub(crate) const CHECKS_MAX: usize = 200;
/// The seconds from one to the next, where nobody says.
pub(crate) const EVERY: u64 = 60;
/// The most seconds that can be asked for.
pub(crate) const EVERY_MAX: u64 = 86_400;

/// One URL to ask.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// The URL.
    pub(crate) url: String,
    /// The seconds from one time to the next.
    pub(crate) every: u64,
}

impl Check {
    /// The milliseconds from one time to the next. A person may have written any number.
    pub(crate) fn every_ms(&self) -> u64 {
        self.every.clamp(1, EVERY_MAX) * 1000
    }
}

/// Where the check of this name is.
pub(crate) fn key(name: &str) -> String {
    format!("check/{name}")
}

/// Where its history is.
pub(crate) fn history(name: &str) -> String {
    format!("history/{name}")
}

/// The names of checks and of histories.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) checks: BTreeSet<String>,
    pub(crate) histories: BTreeSet<String>,
}

impl Names {
    pub(crate) fn read(state: &State) -> Result<Self, StateError> {
        let mut names = Self::default();
        for key in state.keys()? {
            match key.split_once('/') {
                Some(("check", name)) => names.checks.insert(name.to_owned()),
                Some(("history", name)) => names.histories.insert(name.to_owned()),
                _ => false,
            };
        }
        Ok(names)
    }

    /// The checks by name.
    pub(crate) fn checks(&self, state: &State) -> Result<BTreeMap<String, Check>, StateError> {
        let keys: Vec<_> = self.checks.iter().map(|name| key(name)).collect();
        let found: BTreeMap<String, Check> = state.read_all(&keys)?.into_iter().collect();
        let pairs = self.checks.iter();
        Ok(pairs.filter_map(|name| Some((name.clone(), found.get(&key(name))?.clone()))).collect())
    }
}
