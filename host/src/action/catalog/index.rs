//! The index of the catalog: for each name, what was seen last in the folder and which version is
//! accepted.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
};

use tokio::sync::{Notify, Semaphore, watch};
use tracing::{info, warn};

use super::{
    entry::CatalogEntry,
    folder_version::{FolderVersion, PluginFileStamp},
    mount_changes::MountChanges,
    preparation::{self, Preparation},
    startup_progress::StartupProgress,
};
use crate::action::{
    action_failure::ActionFailure,
    prepare_error::PrepareError,
    prepared_action::Action,
    programme::{Programme, RefusedPlugin},
};
use soloist_config::{
    ActionConfig, ActionSet, ActionSource, MountError, RefusedAction, ReservedMount, check_mounts,
};
use soloist_guests::plugin::{Kind, PluginEngine, needs_compiling};
use soloist_text::with_causes;

/// All actions by name, including names whose plugin was refused.
pub(super) struct CatalogIndex {
    source: Arc<ActionSource>,
    engine: Arc<PluginEngine>,
    entries: BTreeMap<Arc<str>, CatalogEntry>,
    /// Whether everything was scanned once; what comes later is on trial.
    initial_load_done: bool,
    /// The error that was logged last for a folder that cannot be read.
    folder_error: Option<String>,
    /// Where the actions answered last.
    mount_changes: MountChanges,
    /// Limits how many plugins are compiled at a time.
    compile_permits: Arc<Semaphore>,
    /// Notified when a plugin has been compiled.
    preparation_done: Arc<Notify>,
    /// Whether a compilation has ended or was dropped since address conflicts were last resolved.
    compiled_since: bool,
}

/// The names whose action was replaced in one scan, each with the version before.
type ReplacedActions = BTreeMap<Arc<str>, Option<Arc<Action>>>;

impl CatalogIndex {
    /// Prepares everything; this blocks. `progress` gets the progress.
    pub(super) fn fill(
        source: Arc<ActionSource>,
        reading: ActionSet,
        engine: Arc<PluginEngine>,
        progress: &watch::Sender<StartupProgress>,
    ) -> Self {
        let mut index = Self {
            source,
            engine,
            entries: BTreeMap::new(),
            initial_load_done: false,
            folder_error: None,
            mount_changes: MountChanges::default(),
            compile_permits: preparation::compile_permits(),
            preparation_done: Arc::default(),
            compiled_since: false,
        };
        index.apply_reading(reading, |action, number, of| {
            let action = Arc::clone(action);
            progress.send_replace(StartupProgress::Compiling { action, number, of });
        });
        index.initial_load_done = true;
        index
    }

    /// Notified when a plugin has been compiled, so that another scan is due.
    pub(super) fn preparation_done(&self) -> Arc<Notify> {
        Arc::clone(&self.preparation_done)
    }

    /// The current programme. Logs the actions that answer elsewhere from now on.
    pub(super) fn programme(&mut self) -> Programme {
        let mut programme = Programme::default();
        for (name, entry) in &self.entries {
            match (&entry.action, &entry.refused) {
                (Some(action), refused) => {
                    action.live_status().lock().refused.clone_from(refused);
                    programme.actions.push(Arc::clone(action));
                }
                (None, Some(reason)) => {
                    if let Some(group) = self.source.configured_group(name) {
                        let obstacle = format!(
                            "its action {name}, which the settings name, cannot be loaded: {reason}"
                        );
                        programme.obstacles.entry(group).or_insert(obstacle);
                    }
                    let (name, reason) = (name.to_string(), reason.clone());
                    let reserved = entry.reserved.clone();
                    programme.refused.push(RefusedPlugin { name, reason, reserved });
                }
                (None, None) => {}
            }
        }
        self.mount_changes.compare(&programme);
        programme
    }

    /// Scans the folder and applies what has changed; returns whether anything has. This blocks.
    pub(super) fn rescan(&mut self) -> bool {
        let reading = match self.source.read() {
            Ok(reading) => reading,
            // The folder may be back in a moment; until then everything goes on.
            Err(error) => {
                let error = error.to_string();
                if self.folder_error.as_ref() != Some(&error) {
                    warn!(
                        error,
                        "the plugins folder cannot be read: the running actions continue unchanged"
                    );
                    self.folder_error = Some(error);
                }
                return false;
            }
        };
        self.folder_error = None;
        self.apply_reading(reading, |_, _, _| {})
    }

    /// Applies what was read; `report` gets the number of each action before it is prepared.
    fn apply_reading(
        &mut self,
        reading: ActionSet,
        report: impl Fn(&Arc<str>, usize, usize),
    ) -> bool {
        let names: BTreeSet<_> = (reading.actions.iter().map(|config| config.name.to_string()))
            .chain(reading.refused.iter().map(|refused| refused.name.clone()))
            .collect();
        let gone = self.remove_all_but(&names);
        let mut changed = gone;
        let mut replaced = ReplacedActions::new();
        let of = reading.actions.len();
        for (before, config) in reading.actions.into_iter().enumerate() {
            report(&config.name, before + 1, of);
            changed |= self.apply_config(config, &mut replaced);
        }
        for refused in &reading.refused {
            changed |= self.refuse_settings(refused);
        }
        self.resolve_mount_conflicts(&mut replaced);
        // An action that was compiled late may have been refused because of a conflict that is
        // gone.
        let compiled = mem::take(&mut self.compiled_since);
        if gone || compiled || !replaced.is_empty() {
            // There may be room for these now.
            let displaced = self.entries.values_mut().filter(|entry| entry.displaced);
            displaced.for_each(|entry| entry.last_seen = None);
        }
        changed
    }

    fn remove_all_but(&mut self, names: &BTreeSet<String>) -> bool {
        let gone: Vec<_> =
            self.entries.keys().filter(|name| !names.contains(&***name)).cloned().collect();
        for name in &gone {
            self.entries.remove(name);
            info!(event = "removed", action = %name, "action {name} is removed");
        }
        !gone.is_empty()
    }

    /// Prepares an action, if it is new or has changed.
    fn apply_config(&mut self, config: ActionConfig, replaced: &mut ReplacedActions) -> bool {
        let name = Arc::clone(&config.name);
        let entry = self.entries.entry(Arc::clone(&name)).or_default();
        // Taken before the file is read: what is written meanwhile is noticed by the next scan.
        let stamp = PluginFileStamp::of(&config.plugin);
        let version = (config, stamp);
        // A host that starts waits for no file; what it refuses, it checks again when the file
        // changes.
        let unfinished =
            self.initial_load_done && stamp.is_some_and(|stamp| stamp.is_just_written());
        let is_news = entry.last_seen.as_ref() != Some(&version) || entry.preparation.is_some();
        if unfinished || (!is_news && !entry.take_due_retry()) {
            return false;
        }
        let waiting = entry.pending.take().filter(|waiting| waiting.version == version);
        let since = waiting.as_ref().map(|waiting| waiting.since);
        let prepared = match waiting {
            Some(waiting) => Ok(waiting.action),
            None if self.initial_load_done => match self.prepare(&version) {
                Some(prepared) => prepared,
                None => return false,
            },
            None => Action::prepare(&version.0, &self.engine),
        };
        let entry = self.entries.entry(Arc::clone(&name)).or_default();
        if let (Ok(action), true) = (&prepared, self.initial_load_done) {
            action.start_trial_after(entry.action.as_ref());
        }
        match prepared {
            Ok(action)
                if self.initial_load_done && entry.must_wait_for_settings(&action, since) =>
            {
                entry.wait_for_settings(action, stamp, since);
                return false;
            }
            Ok(action) if entry.lost_its_schedule(&action) => {
                entry.last_seen = Some(version);
                return entry.refuse(&name, lost_schedule(&name));
            }
            // The file was only rewritten: a service need not be restarted for that.
            Ok(action) if entry.action.as_ref().is_some_and(|now| now.is_same_version(&action)) => {
                entry.accept();
            }
            Ok(action) => {
                log_prepared(&action, self.initial_load_done);
                replaced.insert(Arc::clone(&name), entry.action.replace(action));
                entry.accept();
            }
            Err(error) => {
                entry.reserved = ReservedMount::from_config(&version.0);
                entry.last_seen = (!error.may_pass()).then_some(version);
                return entry.refuse(&name, with_causes(&error));
            }
        }
        entry.last_seen = Some(version);
        true
    }

    /// Prepares a version, at once if nothing has to be compiled; `None` while it is being
    /// compiled.
    fn prepare(&mut self, version: &FolderVersion) -> Option<Result<Arc<Action>, PrepareError>> {
        let (config, _) = version;
        let entry = self.entries.get_mut(&config.name)?;
        if entry.preparation.as_ref().is_none_or(|it| !it.is_for(version)) {
            if !needs_compiling(&self.engine, &config.plugin) {
                self.compiled_since |= entry.preparation.take().is_some();
                return Some(Action::prepare(config, &self.engine));
            }
            entry.preparation = Some(Preparation::of(version.clone()));
        }
        let preparation = entry.preparation.as_mut()?;
        preparation.begin(&self.engine, &self.compile_permits, &self.preparation_done);
        let outcome = preparation.outcome()?;
        entry.preparation = None;
        self.compiled_since = true;
        Some(outcome)
    }

    /// Notes that the settings or the file of an action are invalid.
    fn refuse_settings(&mut self, refused: &RefusedAction) -> bool {
        let name: Arc<str> = refused.name.as_str().into();
        let entry = self.entries.entry(Arc::clone(&name)).or_default();
        let reason = refused.to_string();
        let gone = entry.action.as_ref().is_some_and(|action| !action.plugin().file().exists());
        // The old file is no longer in the folder, so removing the action was intended.
        if gone {
            entry.action = None;
        }
        if entry.stray_recently(refused.lacks_plugin()) && self.initial_load_done {
            if gone {
                info!(event = "removed", action = %name, "action {name} is removed");
            }
            entry.last_seen = None;
            return entry.refused.take().is_some() || gone;
        }
        let news = entry.refuse(&name, reason);
        (entry.last_seen, entry.reserved) = (None, refused.reserved().cloned());
        news || gone
    }

    /// Goes back to the version before one that failed on trial.
    pub(super) fn roll_back(&mut self, failure: &ActionFailure) -> bool {
        let Some(entry) = self.entries.get_mut(failure.action.name()) else { return false };
        let newest = entry.action.as_ref().is_some_and(|now| Arc::ptr_eq(now, &failure.action));
        // It was replaced meanwhile.
        if !newest {
            return false;
        }
        entry.roll_back(failure);
        true
    }

    /// Undoes the changes by which two actions would answer at one address and path; the others
    /// stay in `replaced`. Actions in the settings file win over others.
    fn resolve_mount_conflicts(&mut self, replaced: &mut ReplacedActions) {
        while let Err(error) = self.check_mounts() {
            let (first, second) = error.actions();
            let mut both = [second, first];
            both.sort_by_key(|name| self.source.configured_group(name).is_some());
            // Only a change of this scan can have caused the conflict.
            let newer = both.into_iter().find_map(|name| replaced.remove_entry(name));
            let Some((name, before)) = newer else { break };
            let Some(entry) = self.entries.get_mut(&name) else { break };
            // Its address and path belong to the other action.
            entry.reserved = None;
            entry.action = before;
            entry.refuse(&name, error.to_string());
            entry.displaced = true;
        }
    }

    fn check_mounts(&self) -> Result<(), MountError> {
        let actions: Vec<_> =
            self.entries.values().filter_map(|entry| entry.action.as_ref()).collect();
        let http = actions.iter().filter(|action| action.kinds().has(Kind::Http));
        check_mounts(http.map(|action| action.config()))
    }
}

/// Why a job whose settings are gone is not run.
fn lost_schedule(name: &str) -> String {
    format!(
        "it was a job, and its settings are gone: put {name}.toml back; if it is a service now, \
         write there `kinds = [\"service\"]`"
    )
}

fn log_prepared(action: &Action, again: bool) {
    let (name, kinds, group) = (action.name(), action.kinds(), action.group());
    if again {
        let sha256 = action.plugin().sha256();
        info!(event = "loaded", action = %name, %kinds, %sha256, "action {name} was prepared again");
    } else {
        info!(event = "prepared", action = %name, %kinds, %group, "action {name} is prepared");
    }
    if action.leaves_out_program() {
        info!(
            event = "program-left-out", action = %name,
            "the plugin of action {name} has a `main` as well, which is not run in addition to its \
             HTTP handler: if it is a service, write `kinds = [\"http\", \"service\"]` in \
             its settings; or give it a `schedule` there, and it is a job"
        );
    }
}
