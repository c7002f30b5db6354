//! Those who do not perform and keep their places: what is parked, and what cannot be had.
//! Whoever asks for them is told why, instead of being answered by a neighbour.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use super::catalog::Refused;
use soloist_config::Reserved;

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
}

impl Refused {
    /// The place that is kept for it, if it may be one that answers requests, and what its
    /// clients are told there.
    pub(crate) fn place(&self) -> Option<(&Reserved, Arc<str>)> {
        let reserved = self.reserved.as_ref()?;
        let told = format!("the action {} cannot be had: {}", self.name, self.reason);
        Some((reserved, brief(&told)))
    }
}

/// Adds to `paths`, those of the address `listen` and who is at each, what is `refused` there
/// and keeps its place; `closed` is somebody who tells clients no more than this. Who is there
/// already comes before what cannot be had.
pub(crate) fn keep_places<T>(
    refused: &[Refused],
    listen: SocketAddr,
    paths: &mut Vec<(Arc<str>, T)>,
    closed: impl Fn(Arc<str>) -> T,
) {
    let places = refused.iter().filter_map(Refused::place);
    for (reserved, why) in places.filter(|(reserved, _)| reserved.is_at(listen)) {
        let path = reserved.path();
        if paths.iter().all(|(other, _)| *other != path) {
            paths.push((path, closed(why)));
        }
    }
}

/// The places that are kept for `refused`.
pub(super) fn reserved(refused: &[Refused]) -> impl Iterator<Item = &Reserved> {
    refused.iter().filter_map(|refused| refused.reserved.as_ref())
}

fn brief(text: &str) -> Arc<str> {
    text.chars().take(REASON).collect::<String>().into()
}
