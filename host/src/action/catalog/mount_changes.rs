//! Logs when actions move to another address or path.

use std::{collections::BTreeMap, sync::Arc};

use tracing::{info, warn};

use crate::action::mounts::mounts;
use crate::action::programme::Programme;
use soloist_config::Mount;

/// Where the actions answered last.
#[derive(Default)]
pub(super) struct MountChanges(BTreeMap<Arc<str>, Mount>);

impl MountChanges {
    /// Compares where actions answer under `programme` with the last time, and logs those that have
    /// lost or gained a path.
    pub(super) fn compare(&mut self, programme: &Programme) {
        let now = mounts(&programme.actions, &programme.refused);
        for (name, mount) in &now {
            let Some(before) = self.0.get(name).filter(|before| *before != mount) else { continue };
            if let Some(lost) = before.paths.iter().find(|path| !mount.paths.contains(path)) {
                let others = others_there(name, mount, &now);
                warn!(
                    event = "moved", action = %name, from = %before, to = %mount,
                    "action {name} answers at {mount} from now on, and no longer at {lost} of {}{others}",
                    before.listen
                );
            } else {
                info!(
                    event = "moved", action = %name, from = %before, to = %mount,
                    "action {name} answers at {mount} from now on; before, at {before}"
                );
            }
        }
        self.0 = now;
    }
}

/// Who else answers there, and what to do if that was not intended.
fn others_there(name: &str, mount: &Mount, now: &BTreeMap<Arc<str>, Mount>) -> String {
    let there = now.iter().filter(|(other, it)| &***other != name && it.listen == mount.listen);
    let there: Vec<_> = there.map(|(other, _)| &**other).collect();
    if there.is_empty() {
        return String::new();
    }
    format!(
        ", where {} is as well: `path = \"/\"` in the settings of one of them gives it the whole \
         address, whichever actions are added",
        there.join(", ")
    )
}
