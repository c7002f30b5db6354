//! Looking at a plugin without running anything of it.

use std::{path::Path, sync::Arc, time::Duration};

use super::{
    FileFormat, Kinds, Plugin, PluginEngine, PluginError, Ranker, digest::sha256, load,
    outline::Outline, recognise::as_component, vetting::CompileTarget,
};
use soloist_heart::clock::BootTime;

/// What a strategy exports.
const STRATEGY: &str = "soloist:plugin/strategy@";

/// What there is to know of a plugin before it runs.
#[derive(Debug)]
pub struct Inspection {
    /// How many bytes the file has.
    pub size: u64,
    /// The SHA-256 of the file, in hexadecimal digits.
    pub sha256: Arc<str>,
    /// What the file is.
    pub form: FileFormat,
    /// Whether it is a core module that was lifted to a component.
    pub lifted: bool,
    /// What the component imports. Of a file that is refused, what can be read of it.
    pub imports: Vec<String>,
    /// What the component exports, likewise.
    pub exports: Vec<String>,
    /// All that this host could run it as, and how long it took to load it; or why it cannot.
    pub verdict: Result<(Kinds, Duration), PluginError>,
    /// Whether it was compiled before, by this or by a host.
    pub compiled_before: bool,
    /// Whether it says who should lead a group, as a `strategy`.
    pub strategy: bool,
}

impl Inspection {
    /// Looks at `file`. What is compiled for that is kept as `engine` keeps it. This blocks, and
    /// compiling can take seconds.
    ///
    /// # Errors
    /// When the file cannot be read; what is wrong with its content is the verdict.
    pub fn of(engine: &PluginEngine, file: &Path) -> Result<Self, PluginError> {
        let bytes = load::read_plugin(file)?;
        let component = as_component(file, &bytes);
        let shown = component.as_deref().unwrap_or(&bytes);
        // The verdict says what cannot be read.
        let Outline { imports, exports, .. } = Outline::read(shown).unwrap_or_default();
        let lifted = component.as_ref().is_ok_and(|component| **component != bytes[..]);
        drop(component);
        let sha256 = sha256(&bytes);
        let known = engine.is_compiled(file, &sha256);
        let began = BootTime::now();
        let vetted = engine.vet(CompileTarget::Action, file, &bytes, &sha256);
        let loaded = vetted.and_then(|()| Plugin::from_bytes(engine, file, &bytes));
        let took = BootTime::now().since(began);
        // Of what is no action it may still be one; nothing else is compiled to find that out.
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

    /// What the settings of an action may have to grant to it, the surest first.
    #[must_use]
    pub fn grant_requests(&self) -> Vec<Request> {
        let asks = |(setting, prefixes, unasked): &(&'static str, &[&str], bool)| {
            let fits = |name: &&String| prefixes.iter().any(|prefix| name.starts_with(prefix));
            let imports: Vec<_> = self.imports.iter().filter(fits).cloned().collect();
            let request = Request { setting, imports, unasked: *unasked };
            (!request.imports.is_empty()).then_some(request)
        };
        REQUESTS.iter().filter_map(asks).collect()
    }
}

/// What a plugin imports that does nothing until the settings grant it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The key of the settings that grants it.
    pub setting: &'static str,
    /// The imports that ask for it.
    pub imports: Vec<String>,
    /// Whether the libraries of many languages import it, whatever the program does.
    pub unasked: bool,
}

/// Keys of the settings, and the imports that they give something to do; and
/// whether those are imported unasked.
const REQUESTS: &[(&str, &[&str], bool)] = &[
    ("state", &["wasi:keyvalue/"], false),
    ("outbound", &["wasi:http/outgoing-handler@", "wasi:http/client@"], false),
    ("config", &["wasi:config/"], false),
    ("tasks", &["soloist:plugin/tasks@"], false),
    ("folders", &["wasi:filesystem/"], true),
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
            [("state", false), ("tasks", false), ("folders", true), ("sockets", true)]
        );
    }
}
