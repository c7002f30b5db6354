//! What is known of one name.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tracing::{info, warn};

use crate::{
    action::Action,
    clock::BootTime,
    config::{ActionConfig, Reserved},
    plugin::Kind,
    repeats::Repeats,
};

/// One name.
#[derive(Default)]
pub(super) struct Known {
    /// What was looked at last, whatever came of it.
    pub(super) seen: Option<Seen>,
    /// What is not taken yet, since its settings may be on their way.
    pub(super) waiting: Option<Waiting>,
    /// Since when there are settings without a plugin.
    stray: Option<BootTime>,
    /// What runs, or could.
    pub(super) action: Option<Arc<Action>>,
    /// Why that is not what was looked at last.
    pub(super) refused: Option<String>,
    /// That it was not.
    refusals: Repeats,
    /// The place that is kept for it while there is nothing to run.
    pub(super) reserved: Option<Reserved>,
    /// Whether it is refused for the sake of another, which may go.
    pub(super) displaced: bool,
}

/// An action as it lies in the folder.
pub(super) type Seen = (ActionConfig, Option<Stamp>);

/// A program that came without a word of settings: it may be a job whose schedule comes in
/// another file, or has just been removed before the program is.
pub(super) struct Waiting {
    pub(super) seen: Seen,
    pub(super) action: Arc<Action>,
    pub(super) since: BootTime,
}

/// Tells one content of a file from another, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Stamp {
    pub(super) fn of(file: &Path) -> Option<Self> {
        let file = fs::metadata(file).ok()?;
        Some(Self { modified: file.modified().ok(), length: file.len(), inode: file.ino() })
    }

    /// Whether it was written to only just now, and may not be complete: there will be
    /// another look.
    pub(super) fn is_fresh(&self) -> bool {
        let age = self.modified.and_then(|modified| modified.elapsed().ok());
        age.is_some_and(|age| age < FRESH)
    }
}

/// Much longer than the pause between two writes of one copy.
const FRESH: Duration = Duration::from_millis(50);
/// How long a plugin waits for its settings, and settings for their plugin: longer than a
/// person or a script takes from one copy to the next.
const SETTLE: Duration = Duration::from_secs(5);

impl Known {
    /// Whether `action` may be a job that lacks its settings, and has not waited for them
    /// since long ago.
    pub(super) fn is_to_wait(&self, action: &Action, since: Option<BootTime>) -> bool {
        let config = action.config();
        let silent = *config == ActionConfig::with_defaults(&config.name, config.plugin.clone());
        let is_service = |action: &Action| action.kinds().has(Kind::Service);
        let served = self.action.as_ref().is_some_and(|now| is_service(now));
        let new = since.is_none_or(|since| BootTime::now().since(since) < SETTLE);
        silent && new && is_service(action) && !served
    }

    pub(super) fn wait(
        &mut self,
        action: Arc<Action>,
        stamp: Option<Stamp>,
        since: Option<BootTime>,
    ) {
        let name = action.name();
        if since.is_none() {
            info!(
                event = "waits", action = %name,
                "action {name} is a program without settings: it begins as a service in {}, \
                 unless {name}.toml comes; `schedule` in it makes it a job",
                humantime::format_duration(SETTLE)
            );
        }
        let (seen, since) = ((action.config().clone(), stamp), since.unwrap_or_else(BootTime::now));
        self.waiting = Some(Waiting { seen, action, since });
    }

    /// Whether settings without a plugin have just come, or a plugin has just gone.
    pub(super) fn stray_is_new(&mut self, is_stray: bool) -> bool {
        let since = is_stray.then(|| self.stray.unwrap_or_else(BootTime::now));
        self.stray = since;
        since.is_some_and(|since| BootTime::now().since(since) < SETTLE)
    }

    pub(super) fn accept(&mut self) {
        (self.refused, self.displaced) = (None, false);
    }

    /// Tells whether that is news.
    pub(super) fn refuse(&mut self, name: &str, reason: String) -> bool {
        self.displaced = false;
        if self.refused.as_ref() == Some(&reason) {
            return false;
        }
        let goes_on = if self.action.is_some() { "; what ran before goes on" } else { "" };
        // A plugin that is copied slowly is another bad one with each piece that arrives.
        self.refusals.happened(|told| {
            warn!(event = "refused", action = %name, reason, "action {name} is not taken{goes_on}{told}");
        });
        self.refused = Some(reason);
        true
    }
}
