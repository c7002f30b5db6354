//! Inspects a plugin without running it.

use std::{path::Path, sync::Arc, time::Duration};

use super::{
    FileFormat, Kinds, Plugin, PluginEngine, PluginError, Ranker, digest::sha256, load,
    outline::Outline, recognise::as_component, vetting::CompileTarget,
};
use soloist_heart::clock::BootTime;

/// The export of a strategy.
const STRATEGY: &str = "soloist:plugin/strategy@";

/// What is known about a plugin before it runs.
#[derive(Debug)]
pub struct Inspection {
    /// The size of the file in bytes.
    pub size: u64,
    /// The SHA-256 of the file, as hexadecimal digits.
    pub sha256: Arc<str>,
    /// The format of the file.
    pub form: FileFormat,
    /// Whether it is a core module that was lifted to a component.
    pub lifted: bool,
    /// The imports of the component; of a refused file, those that can be read.
    pub imports: Vec<String>,
    /// The exports of the component; of a refused file, those that can be read.
    pub exports: Vec<String>,
    /// The kinds that this host could run it as, and how long loading took; or why it cannot be
    /// loaded.
    pub verdict: Result<(Kinds, Duration), PluginError>,
    /// Whether the compile cache had it already.
    pub compiled_before: bool,
    /// Whether it is a `strategy`, which ranks the candidates of a group.
    pub strategy: bool,
}

impl Inspection {
    /// Inspects `file`. What is compiled for that goes into the cache of `engine`. This blocks, and
    /// compiling can take seconds.
    ///
    /// # Errors
    /// When the file cannot be read. Problems with its content are in [`verdict`](Self::verdict).
    pub fn of(engine: &PluginEngine, file: &Path) -> Result<Self, PluginError> {
        let bytes = load::read_plugin(file)?;
        let component = as_component(file, &bytes);
        let shown = component.as_deref().unwrap_or(&bytes);
        // If this fails, loading fails as well, and the verdict says why.
        let Outline { imports, exports, .. } = Outline::read(shown).unwrap_or_default();
        let lifted = component.as_ref().is_ok_and(|component| **component != bytes[..]);
        drop(component);
        let sha256 = sha256(&bytes);
        let known = engine.is_compiled(file, &sha256);
        let began = BootTime::now();
        let vetted = engine.vet(CompileTarget::Action, file, &bytes, &sha256);
        let loaded = vetted.and_then(|()| Plugin::from_bytes(engine, file, &bytes));
        let took = BootTime::now().since(began);
        // A strategy is not an action, so loading it as one fails. Only then is it compiled as a
        // strategy.
        let no_action =
            matches!(loaded, Err(PluginError::NoKind { .. } | PluginError::NoStart { .. }));
        let ranks = exports.iter().any(|name| name.starts_with(STRATEGY));
        let strategy = no_action && ranks && Ranker::load(engine, file).is_ok();
        Ok(Self {
            size: bytes.len() as u64,
            sha256: sha256.into(),
            form: FileFormat::of(&bytes),
            lifted,
            imports,
            exports,
            verdict: loaded.map(|plugin| (plugin.kinds().clone(), took)),
            compiled_before: known,
            strategy,
        })
    }

    /// The settings that this plugin may need, the most certain first.
    #[must_use]
    pub fn grant_requests(&self) -> Vec<GrantRequest> {
        let asks = |(setting, prefixes, unasked): &(&'static str, &[&str], bool)| {
            let fits = |name: &&String| prefixes.iter().any(|prefix| name.starts_with(prefix));
            let imports: Vec<_> = self.imports.iter().filter(fits).cloned().collect();
            let request = GrantRequest { setting, imports, unasked: *unasked };
            (!request.imports.is_empty()).then_some(request)
        };
        REQUESTS.iter().filter_map(asks).collect()
    }
}

/// Imports of a plugin that do nothing until the settings grant something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRequest {
    /// The key of the settings.
    pub setting: &'static str,
    /// The imports that need it.
    pub imports: Vec<String>,
    /// Whether the standard libraries of many languages import it, even if the program does not use
    /// it.
    pub unasked: bool,
}

/// Keys of the settings, the prefixes of imports that need them, and whether standard libraries
/// import those without being asked.
const REQUESTS: &[(&str, &[&str], bool)] = &[
    ("state", &["wasi:keyvalue/"], false),
    ("outbound", &["wasi:http/outgoing-handler@", "wasi:http/client@"], false),
    ("config", &["wasi:config/"], false),
    ("tasks", &["soloist:plugin/tasks@"], false),
    ("mounts", &["wasi:filesystem/"], true),
    ("sockets", &["wasi:sockets/"], true),
    ("env", &["wasi:cli/environment@"], true),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_for_what_it_imports() {
        let imports = [
            "wasi:io/poll@0.2.0",
            "wasi:filesystem/types@0.2.0",
            "wasi:keyvalue/store@0.2.0-draft",
            "wasi:sockets/tcp@0.2.0",
            "soloist:plugin/tasks@0.1.0",
        ];
        let inspection = Inspection {
            size: 0,
            sha256: "".into(),
            form: FileFormat::Component,
            lifted: false,
            imports: imports.map(ToOwned::to_owned).to_vec(),
            exports: Vec::new(),
            verdict: Err(PluginError::NoStart { file: "x.wasm".into() }),
            compiled_before: false,
            strategy: false,
        };
        let asked: Vec<_> =
            inspection.grant_requests().iter().map(|it| (it.setting, it.unasked)).collect();
        assert_eq!(
            asked,
            [("state", false), ("tasks", false), ("mounts", true), ("sockets", true)]
        );
    }
}
