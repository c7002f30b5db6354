//! The report on a plugin, as `--json` prints it.

use std::path::Path;

use serde::Serialize;

use crate::{action::Action, cli::plugin::plugin_folder};
use soloist_config as config;
use soloist_guests::plugin::{Inspection, Kinds};
use soloist_text::{millis, with_causes};

/// The report on a plugin.
#[derive(Debug, Serialize)]
pub(super) struct InspectReport {
    pub(super) file: String,
    pub(super) size: u64,
    pub(super) sha256: String,
    /// `component`, or `core module` for one that a host turns into a component if possible.
    pub(super) form: String,
    pub(super) wasi: Vec<String>,
    pub(super) runs: bool,
    /// The kinds that it runs as without settings, joined by `+`.
    pub(super) kinds: Option<String>,
    /// Further kinds, which it runs as only if `kinds` in its settings says so.
    pub(super) more_kinds: Vec<String>,
    pub(super) compile_ms: Option<u64>,
    /// Whether it was compiled before; the time then says nothing about a first start.
    pub(super) known: bool,
    /// Whether it can be the `strategy` of a group.
    pub(super) strategy: bool,
    pub(super) refusal: Option<String>,
    /// The settings file that was found for it.
    pub(super) settings: Option<InspectedSettings>,
    pub(super) asks_for: Vec<NeededSetting>,
    pub(super) exports: Vec<String>,
    pub(super) imports: Vec<String>,
    #[serde(skip)]
    pub(super) lifted: bool,
    /// Whether a file of this form has exports and imports.
    #[serde(skip)]
    pub(super) has_names: bool,
}

/// The settings that were found for a plugin.
#[derive(Debug, Serialize)]
pub(super) struct InspectedSettings {
    pub(super) file: String,
    /// The kinds that it runs as with these settings.
    pub(super) kinds: Option<String>,
    pub(super) wrong: Option<String>,
}

impl InspectedSettings {
    /// The settings in `file` for `plugin`.
    pub(super) fn of(file: &Path, plugin: &Path) -> Self {
        let action = config::read_action(file, &plugin_folder::action_name(plugin), plugin);
        let kinds = action
            .map_err(|error| error.to_string())
            .and_then(|action| Action::inspect_kinds(&action).map_err(|error| with_causes(&error)));
        let file = file.display().to_string();
        match kinds {
            Ok(kinds) => Self { file, kinds: Some(kinds.to_string()), wrong: None },
            Err(wrong) => Self { file, kinds: None, wrong: Some(wrong) },
        }
    }
}

/// A setting that some of the plugin's imports need in order to do anything. Whether these
/// imports are ever used is unknown: compilers and libraries import more than a program needs,
/// and JavaScript imports all of HTTP.
#[derive(Debug, Serialize)]
pub(super) struct NeededSetting {
    pub(super) setting: &'static str,
    /// Whether most languages import it, whatever the program does.
    pub(super) perhaps: bool,
    pub(super) imports: Vec<String>,
}

impl InspectReport {
    /// The report on the plugin `file`, without its settings.
    pub(super) fn of(file: &str, seen: &Inspection) -> Self {
        let verdict = seen.verdict.as_ref();
        let asks_for = seen.grant_requests().into_iter().map(|request| NeededSetting {
            setting: request.setting,
            perhaps: request.unasked,
            imports: request.imports,
        });
        Self {
            file: file.to_owned(),
            size: seen.size,
            sha256: seen.sha256.to_string(),
            form: seen.form.to_string(),
            wasi: wasi_versions(seen),
            runs: verdict.is_ok() || seen.strategy,
            kinds: verdict.ok().map(|(kinds, _)| kinds.by_default().to_string()),
            more_kinds: verdict.map(|(kinds, _)| more(kinds)).unwrap_or_default(),
            compile_ms: verdict.ok().map(|(_, took)| millis(*took)),
            known: seen.compiled_before,
            strategy: seen.strategy,
            settings: None,
            refusal: verdict.err().filter(|_| !seen.strategy).map(|error| with_causes(error)),
            asks_for: asks_for.collect(),
            exports: seen.exports.clone(),
            imports: seen.imports.clone(),
            lifted: seen.lifted,
            has_names: seen.form.is_wasm(),
        }
    }
}

/// The kinds that run only if the settings ask for them.
fn more(kinds: &Kinds) -> Vec<String> {
    let unasked = kinds.by_default();
    kinds.iter().filter(|kind| !unasked.has(*kind)).map(|kind| kind.to_string()).collect()
}

/// The imports of WASI in a core module.
const PREVIEW_1: &str = "wasi_snapshot_preview1::";

/// The versions of WASI that a plugin names, as in `0.2.6`.
fn wasi_versions(seen: &Inspection) -> Vec<String> {
    let names = seen.imports.iter().chain(&seen.exports);
    // Proposals such as `wasi:keyvalue` have version numbers of their own.
    let part = |name: &&String| {
        ["wasi:cli/", "wasi:io/", "wasi:http/"].iter().any(|it| name.starts_with(it))
    };
    let preview_1 = names.clone().any(|name| name.starts_with(PREVIEW_1));
    let mut versions: Vec<_> = names
        .filter(part)
        .filter_map(|name| name.split_once('@'))
        .map(|(_, version)| version.to_owned())
        .chain(preview_1.then(|| "preview 1".to_owned()))
        .collect();
    versions.sort();
    versions.dedup();
    versions
}
