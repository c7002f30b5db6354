//! Loading a plugin: whatever the file contains, the plugin is accepted, or refused with a reason.

#![no_main]

use std::error::Error;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use soloist_guests::plugin::{Plugin, PluginEngine};

static ENGINE: LazyLock<PluginEngine> =
    LazyLock::new(|| PluginEngine::new(None).expect("an engine without a cache"));

fuzz_target!(|bytes: &[u8]| {
    match Plugin::from_bytes(&ENGINE, Path::new("fuzzed.wasm"), bytes) {
        Ok(plugin) => assert!(!plugin.kinds().is_empty(), "taken, with nothing to run"),
        Err(error) => {
            let mut cause = Some(&error as &dyn Error);
            while let Some(error) = cause {
                assert!(!error.to_string().is_empty(), "a refusal without a word");
                cause = error.source();
            }
        }
    }
});
