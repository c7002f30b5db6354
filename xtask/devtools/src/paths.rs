//! The folders of the repository and of cargo's output.

use std::env;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn repo() -> &'static Path {
    // This crate is in `xtask/devtools`.
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own)
}

/// Cargo's target folder, which `CARGO_TARGET_DIR` or a configuration file may have moved. Cargo
/// marks it with a `CACHEDIR.TAG`, and this program lies in it: that is much quicker than asking
/// `cargo metadata`.
pub fn target() -> PathBuf {
    let exe = env::current_exe().unwrap_or_default();
    exe.ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file())
        .map_or_else(|| repo().join("target"), Path::to_path_buf)
}
