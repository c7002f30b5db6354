//! Commands of cargo, for programs that cargo itself has started.

use std::env;
use std::ffi::OsString;
use std::process::Command;

use crate::paths;

/// A cargo command in the root of the repository.
///
/// `cargo run` describes the package that it runs in environment variables. The inner cargo must
/// not inherit them: build scripts could mistake xtask for their own package.
pub fn cargo(subcommand: &str) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.arg(subcommand).current_dir(paths::repo());
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    // A relative path would be another folder in the root of the repository.
    command.env("CARGO_TARGET_DIR", paths::target());
    command
}

/// A cargo command that compiles for WebAssembly.
pub fn guest_cargo(subcommand: &str) -> Command {
    let mut command = cargo(subcommand);
    for_guests(&mut command);
    command
}

/// Removes variables with flags and targets for the machine's own code, which would break code for
/// WebAssembly.
pub fn for_guests(command: &mut Command) -> &mut Command {
    for name in
        ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET"]
    {
        command.env_remove(name);
    }
    command
}
