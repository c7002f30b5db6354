//! What is known of one action name.

use std::{sync::Arc, time::Duration};

use tracing::{info, warn};

use super::{
    folder_version::{FolderVersion, PluginFileStamp},
    preparation::Preparation,
};
use crate::action::{action_failure::ActionFailure, limits::FAILED_AGAIN, prepared_action::Action};
use soloist_config::{ActionConfig, ReservedMount};
use soloist_guests::plugin::Kind;
use soloist_heart::clock::BootTime;
use soloist_telemetry::log_throttle::LogThrottle;

/// What is known of one action name.
#[derive(Default)]
pub(super) struct CatalogEntry {
    /// What was seen last in the folder, whether it was accepted or not.
    pub(super) last_seen: Option<FolderVersion>,
    /// A version that is not accepted yet because it has to be compiled first.
    pub(super) preparation: Option<Preparation>,
    /// A program that is not accepted yet because its settings may be on their way.
    pub(super) pending: Option<PendingProgram>,
    /// Since when there are settings without a plugin.
    stray_since: Option<BootTime>,
    /// The accepted version.
    pub(super) action: Option<Arc<Action>>,
    /// Why the accepted version is not the one that was seen last.
    pub(super) refused: Option<String>,
    /// Limits how often refusals are logged.
    refusals: LogThrottle,
    /// The address and path that are reserved while there is no accepted version.
    pub(super) reserved: Option<ReservedMount>,
    /// Whether it was refused because another action has its address and path; that one may go.
    pub(super) displaced: bool,
    /// When a version that failed on trial is tried again, even without a change.
    retry_at: Option<BootTime>,
}

/// A program that came without any settings. It may be a job: its schedule may still come in
/// another file, or was removed just before the program.
pub(super) struct PendingProgram {
    pub(super) version: FolderVersion,
    pub(super) action: Arc<Action>,
    pub(super) since: BootTime,
}

/// How long a plugin waits for its settings, and settings for their plugin: longer than a person or
/// a script takes from one copy to the next.
const SETTINGS_WAIT: Duration = Duration::from_secs(5);
/// How long to wait before a failed version is tried again, if the cause lies elsewhere and may go
/// away at any moment.
const TRANSIENT_RETRY: Duration = Duration::from_secs(10);

/// Whether there are no settings at all.
fn has_no_settings(action: &Action) -> bool {
    let config = action.config();
    *config == ActionConfig::with_defaults(&config.name, config.plugin.clone())
}

impl CatalogEntry {
    /// Whether `action` may be a job whose settings are still missing, and has not waited too long
    /// for them since `since`.
    pub(super) fn must_wait_for_settings(&self, action: &Action, since: Option<BootTime>) -> bool {
        let is_service = |action: &Action| action.kinds().has(Kind::Service);
        let served = self.action.as_ref().is_some_and(|now| is_service(now));
        let new = since.is_none_or(|since| BootTime::now().since(since) < SETTINGS_WAIT);
        has_no_settings(action) && new && is_service(action) && !served
    }

    /// Whether `action` is what is left of a job whose settings are gone: it would be run at once,
    /// as a service.
    pub(super) fn lost_its_schedule(&self, action: &Action) -> bool {
        let was_job = self.action.as_ref().is_some_and(|now| now.job().is_some());
        was_job && has_no_settings(action) && action.kinds().has(Kind::Service)
    }

    pub(super) fn wait_for_settings(
        &mut self,
        action: Arc<Action>,
        stamp: Option<PluginFileStamp>,
        since: Option<BootTime>,
    ) {
        let name = action.name();
        if since.is_none() && self.lost_its_schedule(&action) {
            info!(event = "waits", action = %name, "the settings of job {name} are gone");
        } else if since.is_none() {
            info!(
                event = "waits", action = %name,
                "action {name} is a program without settings: it starts as a service in {}, unless \
                 {name}.toml appears; `schedule` there makes it a job",
                humantime::format_duration(SETTINGS_WAIT)
            );
        }
        let (version, since) =
            ((action.config().clone(), stamp), since.unwrap_or_else(BootTime::now));
        self.pending = Some(PendingProgram { version, action, since });
    }

    /// Whether settings without a plugin came a moment ago, or a plugin has just been removed.
    pub(super) fn stray_recently(&mut self, is_stray: bool) -> bool {
        let since = is_stray.then(|| self.stray_since.unwrap_or_else(BootTime::now));
        self.stray_since = since;
        since.is_some_and(|since| BootTime::now().since(since) < SETTINGS_WAIT)
    }

    /// Goes back to the version before one that failed on trial, if there is one.
    pub(super) fn roll_back(&mut self, failure: &ActionFailure) {
        self.action = failure.action.last_good();
        let name = failure.action.name();
        let reason = format!("{} (`soloist logs {name}` has what it printed)", failure.reason);
        self.refuse(name, reason);
        self.reserved = failure.action.reserved();
        let pause = if failure.may_pass { TRANSIENT_RETRY } else { FAILED_AGAIN };
        self.retry_at = self.action.is_none().then(|| BootTime::now() + pause);
    }

    /// Whether a failed version should be tried again now. Returns `true` once.
    pub(super) fn take_due_retry(&mut self) -> bool {
        self.retry_at.take_if(|at| *at <= BootTime::now()).is_some()
    }

    pub(super) fn accept(&mut self) {
        (self.refused, self.displaced) = (None, false);
    }

    /// Notes why what was seen last is refused; returns whether that is news.
    pub(super) fn refuse(&mut self, name: &str, reason: String) -> bool {
        self.displaced = false;
        if self.refused.as_ref() == Some(&reason) {
            return false;
        }
        let goes_on = if self.action.is_some() { "; the previous version continues" } else { "" };
        // A plugin that is copied slowly is a new invalid file with each piece that arrives.
        self.refusals.report(|told| {
            warn!(event = "refused", action = %name, reason, "action {name} is refused{goes_on}{told}");
        });
        self.refused = Some(reason);
        true
    }
}
