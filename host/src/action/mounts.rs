//! Where actions answer requests.

use std::{collections::BTreeMap, sync::Arc};

use super::{inactive_actions::reserved_mounts, prepared_action::Action, programme::RefusedPlugin};
use soloist_config::{self as config, Mount};
use soloist_guests::plugin::Kind;

/// Where each of `actions` answers requests, next to the places reserved for `refused` plugins.
#[must_use]
pub fn mounts(actions: &[Arc<Action>], refused: &[RefusedPlugin]) -> BTreeMap<Arc<str>, Mount> {
    let http = actions.iter().filter(|action| action.kinds().has(Kind::Http));
    config::mounts(http.map(|action| action.config()), reserved_mounts(refused))
}
