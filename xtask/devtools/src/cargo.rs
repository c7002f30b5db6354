//! Cargo, started by a program that cargo itself has started.

use std::env;
use std::ffi::OsString;
use std::process::Command;

use crate::paths;

/// A cargo command in the root of the repository.
///
/// `cargo run` describes the package that it runs in the environment. The inner
/// cargo must not inherit that: build scripts could take xtask for themselves.
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
    // A relative folder would be another one in the root of the repository.
    command.env("CARGO_TARGET_DIR", paths::target());
    command
}

/// A cargo command for code that runs in WebAssembly.
pub fn guest_cargo(subcommand: &str) -> Command {
    let mut command = cargo(subcommand);
    for_guests(&mut command);
    command
}

/// Flags and targets that somebody has set for the machine's own code would break
/// code that runs in WebAssembly.
pub fn for_guests(command: &mut Command) -> &mut Command {
    for name in
        ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET"]
    {
        command.env_remove(name);
    }
    command
}
