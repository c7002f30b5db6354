//! Actions that do not run but keep their addresses and paths: those that are parked, and plugins
//! that were refused. Their clients are told why, instead of being answered by another action.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use super::programme::RefusedPlugin;
use soloist_config::ReservedMount;

/// The longest reason that a client gets, in characters. A reason may list everything that a plugin
/// imports.
const REASON_MAX: usize = 1000;

/// What does not run in a group, and why.
#[derive(Clone, Debug, Default)]
pub struct InactiveActions {
    /// Actions that the leader goes on without, and the error of each.
    pub parked: BTreeMap<Arc<str>, String>,
    /// Plugins that were refused.
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
    /// Where the plugin would answer requests, if it might do so, and what its clients are told
    /// there.
    pub(crate) fn reserved_with_reason(&self) -> Option<(&ReservedMount, Arc<str>)> {
        let reserved = self.reserved.as_ref()?;
        let told = format!("the action {} cannot be loaded: {}", self.name, self.reason);
        Some((reserved, truncated_reason(&told)))
    }
}

/// Adds the reserved paths of `refused` plugins to `paths`, the paths of the address `listen`.
/// `closed` makes a target that answers with the given reason only. Paths that are taken already
/// stay as they are.
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

/// The addresses and paths that are reserved for `refused`.
pub(super) fn reserved_mounts(refused: &[RefusedPlugin]) -> impl Iterator<Item = &ReservedMount> {
    refused.iter().filter_map(|refused| refused.reserved.as_ref())
}

fn truncated_reason(text: &str) -> Arc<str> {
    text.chars().take(REASON_MAX).collect::<String>().into()
}
