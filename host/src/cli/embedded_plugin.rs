//! The plugin that is part of this program, so that there is one to run where nothing else is.
//!
//! It is the first-party plugin `i-am-server` (`plugins/i-am-server`), committed as it was built,
//! next to this file: building the program needs no WebAssembly target that way. `cargo xtask
//! plugins` renews the copy, and a test compares it with what the source builds to.

use std::{
    fs::Permissions,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use tempfile::Builder;

/// The name of its action.
pub(super) const NAME: &str = "i-am-server";
/// The name of its file.
pub(super) const FILE: &str = "i-am-server.wasm";
/// The component.
pub(super) const BYTES: &[u8] = include_bytes!("i-am-server.wasm");

/// Writes it into `folder`, whole or not at all, because hosts may watch that folder.
///
/// # Errors
///
/// [`io::ErrorKind::AlreadyExists`] if the folder has a file of that name.
pub(super) fn write(folder: &Path) -> io::Result<()> {
    let mut options = Builder::new();
    // Others may read it, as far as the process's umask lets them: hosts often have a user of their own.
    let mut partial = options.permissions(Permissions::from_mode(0o666)).tempfile_in(folder)?;
    partial.write_all(BYTES)?;
    partial.persist_noclobber(folder.join(FILE)).map(drop).map_err(|error| error.error)
}
