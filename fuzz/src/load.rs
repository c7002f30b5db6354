//! Loading a plugin: whatever the file holds, it is taken or refused with a reason.

#![no_main]

use std::error::Error as _;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use soloist::plugin::{Engine, Plugin};

static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine::new(None).expect("an engine without a cache"));

fuzz_target!(|bytes: &[u8]| {
    match Plugin::from_bytes(&ENGINE, Path::new("fuzzed.wasm"), bytes) {
        Ok(plugin) => assert!(!plugin.kinds().is_empty(), "taken, with nothing to run"),
        Err(error) => {
            let causes = std::iter::successors(error.source(), |error| error.source());
            assert!(causes.chain([&error as _]).all(|error| !error.to_string().is_empty()));
        }
    }
});
