//! Those who do not perform and keep their places: what is parked, and what cannot be had.
//! Whoever asks for them is told why, instead of being answered by a neighbour.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use super::catalog::Refused;
use crate::config::Reserved;

/// The longest reason that a client is told, in characters: names that a plugin imports, as
/// many as it likes, may be part of it.
const REASON: usize = 1000;

/// What does not perform in a group, and why.
#[derive(Clone, Debug, Default)]
pub struct Absent {
    /// Actions that the leader goes on without, and what they failed by.
    pub parked: BTreeMap<Arc<str>, String>,
    /// What cannot be had.
    pub refused: Vec<Refused>,
}

impl Absent {
    /// What clients of the action `name` are told, if it is parked.
    pub(super) fn parked(&self, name: &str) -> Option<Arc<str>> {
        let reason = self.parked.get(name)?;
        let told = format!(
            "the action {name} is parked: {reason}; it is tried again when its plugin or its \
             settings change"
        );
        Some(brief(&told))
    }

    /// The paths of the address `listen` that are kept for what cannot be had, and what
    /// clients are told there.
    pub(super) fn at(&self, listen: SocketAddr) -> impl Iterator<Item = (Arc<str>, Arc<str>)> {
        let here = self.refused.iter().filter_map(Refused::place);
        let here = here.filter(move |(reserved, _)| reserved.listen == listen);
        here.map(|(reserved, why)| (reserved.path(), why))
    }
}

impl Refused {
    /// The place that is kept for it, if it may be one that answers requests, and what its
    /// clients are told there.
    pub(crate) fn place(&self) -> Option<(&Reserved, Arc<str>)> {
        let told = format!("the action {} cannot be had: {}", self.name, self.reason);
        Some((self.reserved.as_ref()?, brief(&told)))
    }
}

/// The places that are kept for `refused`.
pub(super) fn reserved(refused: &[Refused]) -> impl Iterator<Item = &Reserved> {
    refused.iter().filter_map(|refused| refused.reserved.as_ref())
}

fn brief(text: &str) -> Arc<str> {
    text.chars().take(REASON).collect::<String>().into()
}
