//! Those who do not perform and keep their places: what is parked, and what cannot be had.
//! Whoever asks for them is told why, instead of being answered by a neighbour.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use super::catalog::RefusedPlugin;
use soloist_config::ReservedMount;

/// The longest reason that a client is told, in characters: names that a plugin imports, as
/// many as it likes, may be part of it.
const REASON: usize = 1000;

/// What does not perform in a group, and why.
#[derive(Clone, Debug, Default)]
pub struct InactiveActions {
    /// Actions that the leader goes on without, and what they failed by.
    pub parked: BTreeMap<Arc<str>, String>,
    /// What cannot be had.
    pub refused: Vec<RefusedPlugin>,
}

impl InactiveActions {
    /// What clients of the action `name` are told, if it is parked.
    pub(super) fn parked_reason(&self, name: &str) -> Option<Arc<str>> {
        let reason = self.parked.get(name)?;
        let told = format!(
            "the action {name} is parked: {reason}; it is tried again when its plugin or its \
             settings change"
        );
        Some(truncated_reason(&told))
    }
}

impl RefusedPlugin {
    /// The place that is kept for it, if it may be one that answers requests, and what its
    /// clients are told there.
    pub(crate) fn reserved_with_reason(&self) -> Option<(&ReservedMount, Arc<str>)> {
        let reserved = self.reserved.as_ref()?;
        let told = format!("the action {} cannot be had: {}", self.name, self.reason);
        Some((reserved, truncated_reason(&told)))
    }
}

/// Adds to `paths`, those of the address `listen` and who is at each, what is `refused` there
/// and keeps its place; `closed` is somebody who tells clients no more than this. Who is there
/// already comes before what cannot be had.
pub(crate) fn keep_reserved_paths<T>(
    refused: &[RefusedPlugin],
    listen: SocketAddr,
    paths: &mut Vec<(Arc<str>, T)>,
    closed: impl Fn(Arc<str>) -> T,
) {
    let places = refused.iter().filter_map(RefusedPlugin::reserved_with_reason);
    for (reserved, why) in places.filter(|(reserved, _)| reserved.is_at(listen)) {
        let path = reserved.path();
        if paths.iter().all(|(other, _)| *other != path) {
            paths.push((path, closed(why)));
        }
    }
}

/// The places that are kept for `refused`.
pub(super) fn reserved_mounts(refused: &[RefusedPlugin]) -> impl Iterator<Item = &ReservedMount> {
    refused.iter().filter_map(|refused| refused.reserved.as_ref())
}

fn truncated_reason(text: &str) -> Arc<str> {
    text.chars().take(REASON).collect::<String>().into()
}
