//! What is known of each name: what was looked at last, and what runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
};

use tokio::sync::{Notify, Semaphore, watch};
use tracing::{info, warn};

use super::{
    Preparing, Programme, RefusedPlugin,
    entry::{CatalogEntry, FolderVersion, PluginFileStamp},
    mount_changes::MountChanges,
    preparation::{self, Preparation},
};
use crate::action::{Action, ActionFailure, PrepareError};
use soloist_config::{
    ActionConfig, ActionSet, ActionSource, MountError, RefusedAction, ReservedMount, check_mounts,
};
use soloist_guests::plugin::{Kind, PluginEngine, needs_compiling};
use soloist_text::with_causes;

/// The actions, and what is no action.
pub(super) struct CatalogIndex {
    source: Arc<ActionSource>,
    engine: Arc<PluginEngine>,
    entries: BTreeMap<Arc<str>, CatalogEntry>,
    /// Whether everything was looked at once; what comes later is on trial.
    initial_load_done: bool,
    /// What was said last of a folder that cannot be read.
    folder_error: Option<String>,
    /// Where everybody answered last.
    mount_changes: MountChanges,
    /// For what has to be compiled.
    compile_permits: Arc<Semaphore>,
    /// Told when something was prepared that had to be compiled.
    preparation_done: Arc<Notify>,
    /// Whether something that was compiled has come, or is no longer awaited, since all were last
    /// kept apart.
    compiled_since: bool,
}

/// The names whose action was replaced in one look, each with what was there before.
type ReplacedActions = BTreeMap<Arc<str>, Option<Arc<Action>>>;

impl CatalogIndex {
    /// Prepares everything; this blocks.
    pub(super) fn fill(
        source: Arc<ActionSource>,
        reading: ActionSet,
        engine: Arc<PluginEngine>,
        told: &watch::Sender<Preparing>,
    ) -> Self {
        let mut shelf = Self {
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
        shelf.apply_reading(reading, |action, number, of| {
            let action = Arc::clone(action);
            told.send_replace(Preparing::Compiling { action, number, of });
        });
        shelf.initial_load_done = true;
        shelf
    }

    /// What tells that something was prepared, so that another look is due.
    pub(super) fn preparation_done(&self) -> Arc<Notify> {
        Arc::clone(&self.preparation_done)
    }

    /// What there is to perform; it is told if somebody answers elsewhere from now on.
    pub(super) fn programme(&mut self) -> Programme {
        let mut programme = Programme::default();
        for (name, known) in &self.entries {
            match (&known.action, &known.refused) {
                (Some(action), refused) => {
                    action.live_status().lock().refused.clone_from(refused);
                    programme.actions.push(Arc::clone(action));
                }
                (None, Some(reason)) => {
                    if let Some(group) = self.source.configured_group(name) {
                        let obstacle = format!(
                            "its action {name}, which the settings name, cannot be had: {reason}"
                        );
                        programme.obstacles.entry(group).or_insert(obstacle);
                    }
                    let (name, reason) = (name.to_string(), reason.clone());
                    let reserved = known.reserved.clone();
                    programme.refused.push(RefusedPlugin { name, reason, reserved });
                }
                (None, None) => {}
            }
        }
        self.mount_changes.compare(&programme);
        programme
    }

    /// Takes up what has changed; tells whether anything has. This blocks.
    pub(super) fn rescan(&mut self) -> bool {
        let reading = match self.source.read() {
            Ok(reading) => reading,
            // It may be back in a moment; until then all goes on.
            Err(error) => {
                let error = error.to_string();
                if self.folder_error.as_ref() != Some(&error) {
                    warn!(
                        error,
                        "the plugins folder cannot be read: the actions go on as they are"
                    );
                    self.folder_error = Some(error);
                }
                return false;
            }
        };
        self.folder_error = None;
        self.apply_reading(reading, |_, _, _| {})
    }

    /// Says of each action, before it is taken, which it is of how many.
    fn apply_reading(&mut self, reading: ActionSet, say: impl Fn(&Arc<str>, usize, usize)) -> bool {
        let names: BTreeSet<_> = (reading.actions.iter().map(|config| config.name.to_string()))
            .chain(reading.refused.iter().map(|refused| refused.name.clone()))
            .collect();
        let gone = self.remove_all_but(&names);
        let mut changed = gone;
        let mut taken = ReplacedActions::new();
        let of = reading.actions.len();
        for (before, config) in reading.actions.into_iter().enumerate() {
            say(&config.name, before + 1, of);
            changed |= self.apply_config(config, &mut taken);
        }
        for refused in &reading.refused {
            changed |= self.refuse_settings(refused);
        }
        self.resolve_mount_conflicts(&mut taken);
        // What was compiled later than what it belongs to may have been kept apart from that.
        let arrived = mem::take(&mut self.compiled_since);
        if gone || arrived || !taken.is_empty() {
            // There may be room for them now.
            let displaced = self.entries.values_mut().filter(|known| known.displaced);
            displaced.for_each(|known| known.last_seen = None);
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

    /// Prepares an action, if it is new or was changed.
    fn apply_config(&mut self, config: ActionConfig, taken: &mut ReplacedActions) -> bool {
        let name = Arc::clone(&config.name);
        let known = self.entries.entry(Arc::clone(&name)).or_default();
        // Before it is read: what is written meanwhile is seen at the next look.
        let stamp = PluginFileStamp::of(&config.plugin);
        let seen = (config, stamp);
        // One that starts waits for nobody; what it refuses it looks at again when it changes.
        let unfinished =
            self.initial_load_done && stamp.is_some_and(|stamp| stamp.is_just_written());
        let is_news = known.last_seen.as_ref() != Some(&seen) || known.preparation.is_some();
        if unfinished || (!is_news && !known.take_due_retry()) {
            return false;
        }
        let waiting = known.pending.take().filter(|waiting| waiting.version == seen);
        let since = waiting.as_ref().map(|waiting| waiting.since);
        let prepared = match waiting {
            Some(waiting) => Ok(waiting.action),
            None if self.initial_load_done => match self.prepare(&seen) {
                Some(prepared) => prepared,
                None => return false,
            },
            None => Action::prepare(&seen.0, &self.engine),
        };
        let known = self.entries.entry(Arc::clone(&name)).or_default();
        if let (Ok(action), true) = (&prepared, self.initial_load_done) {
            action.start_trial_after(known.action.as_ref());
        }
        match prepared {
            Ok(action)
                if self.initial_load_done && known.must_wait_for_settings(&action, since) =>
            {
                known.wait_for_settings(action, stamp, since);
                return false;
            }
            Ok(action) if known.lost_its_schedule(&action) => {
                known.last_seen = Some(seen);
                return known.refuse(&name, lost_schedule(&name));
            }
            // It was only written anew: a service need not begin again for that.
            Ok(action) if known.action.as_ref().is_some_and(|now| now.is_same_version(&action)) => {
                known.accept();
            }
            Ok(action) => {
                log_prepared(&action, self.initial_load_done);
                taken.insert(Arc::clone(&name), known.action.replace(action));
                known.accept();
            }
            Err(error) => {
                known.reserved = ReservedMount::from_config(&seen.0);
                known.last_seen = (!error.may_pass()).then_some(seen);
                return known.refuse(&name, with_causes(&error));
            }
        }
        known.last_seen = Some(seen);
        true
    }

    /// Prepares what was seen, at once where nothing is to be compiled; nothing, as long as that
    /// goes on.
    fn prepare(&mut self, seen: &FolderVersion) -> Option<Result<Arc<Action>, PrepareError>> {
        let (config, _) = seen;
        let known = self.entries.get_mut(&config.name)?;
        if known.preparation.as_ref().is_none_or(|it| !it.is_for(seen)) {
            if !needs_compiling(&self.engine, &config.plugin) {
                self.compiled_since |= known.preparation.take().is_some();
                return Some(Action::prepare(config, &self.engine));
            }
            known.preparation = Some(Preparation::of(seen.clone()));
        }
        let preparation = known.preparation.as_mut()?;
        preparation.begin(&self.engine, &self.compile_permits, &self.preparation_done);
        let outcome = preparation.outcome()?;
        known.preparation = None;
        self.compiled_since = true;
        Some(outcome)
    }

    /// Takes down that the settings or the file of an action are wrong.
    fn refuse_settings(&mut self, refused: &RefusedAction) -> bool {
        let name: Arc<str> = refused.name.as_str().into();
        let known = self.entries.entry(Arc::clone(&name)).or_default();
        let reason = refused.to_string();
        let gone = known.action.as_ref().is_some_and(|action| !action.plugin().file().exists());
        // As it was, it is no longer in the folder; that is what was wanted.
        if gone {
            known.action = None;
        }
        if known.stray_recently(refused.lacks_plugin()) && self.initial_load_done {
            if gone {
                info!(event = "removed", action = %name, "action {name} is removed");
            }
            known.last_seen = None;
            return known.refused.take().is_some() || gone;
        }
        let news = known.refuse(&name, reason);
        (known.last_seen, known.reserved) = (None, refused.reserved().cloned());
        news || gone
    }

    /// Goes back to what ran before a version that failed on trial.
    pub(super) fn roll_back(&mut self, failure: &ActionFailure) -> bool {
        let Some(known) = self.entries.get_mut(failure.action.name()) else { return false };
        let newest = known.action.as_ref().is_some_and(|now| Arc::ptr_eq(now, &failure.action));
        // It was replaced meanwhile.
        if !newest {
            return false;
        }
        known.roll_back(failure);
        true
    }

    /// Undoes the changes by which two actions would answer at one place, and leaves the
    /// others in `taken`. What the settings file names comes before what it does not.
    fn resolve_mount_conflicts(&mut self, taken: &mut ReplacedActions) {
        while let Err(error) = self.check_mounts() {
            let (first, second) = error.actions();
            let mut both = [second, first];
            both.sort_by_key(|name| self.source.configured_group(name).is_some());
            // Nothing else can have brought them together.
            let newer = both.into_iter().find_map(|name| taken.remove_entry(name));
            let Some((name, before)) = newer else { break };
            let Some(known) = self.entries.get_mut(&name) else { break };
            // Its place is another's.
            known.reserved = None;
            known.action = before;
            known.refuse(&name, error.to_string());
            known.displaced = true;
        }
    }

    fn check_mounts(&self) -> Result<(), MountError> {
        let actions: Vec<_> =
            self.entries.values().filter_map(|known| known.action.as_ref()).collect();
        let http = actions.iter().filter(|action| action.kinds().has(Kind::Http));
        check_mounts(http.map(|action| action.config()))
    }
}

/// Why what is left of a job whose settings are gone is not taken.
fn lost_schedule(name: &str) -> String {
    format!(
        "it was a job, and its settings are gone: put {name}.toml back; if it is to be a service \
         now, say so there by `kinds = [\"service\"]`"
    )
}

fn log_prepared(action: &Action, anew: bool) {
    let (name, kinds, group) = (action.name(), action.kinds(), action.group());
    if anew {
        let sha256 = action.plugin().sha256();
        info!(event = "loaded", action = %name, %kinds, %sha256, "action {name} is prepared anew");
    } else {
        info!(event = "prepared", action = %name, %kinds, %group, "action {name} is prepared");
    }
    if action.leaves_out_program() {
        info!(
            event = "program-left-out", action = %name,
            "the plugin of action {name} has a `main` as well, which is not run beside what \
             answers requests: if it is a service, say so by `kinds = [\"http\", \"service\"]` in \
             its settings"
        );
    }
}
