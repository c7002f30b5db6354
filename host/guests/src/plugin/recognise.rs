//! Recognises what a plugin could run as, without compiling it.

use std::{borrow::Cow, path::Path};

use super::{FileFormat, Kinds, PluginError, kind::kinds_of, lift::lift, outline::Outline};

/// How deep components may be nested. Tools that compose components need three or four levels.
const DEPTH_MAX: usize = 64;

/// The component in `bytes`, the content of `file`; a core module is lifted to one.
pub(super) fn as_component<'a>(file: &Path, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, PluginError> {
    match FileFormat::of(bytes) {
        FileFormat::Component => check_depth(file, bytes).map(|()| Cow::Borrowed(bytes)),
        FileFormat::Module => lift(file, bytes).map(Cow::Owned),
        form => Err(PluginError::NotWasm { file: file.to_owned(), form }),
    }
}

/// The kinds that `bytes`, the content of `file`, could run as, according to its exports. It may
/// still fail to load.
pub(super) fn kinds_in(file: &Path, bytes: &[u8]) -> Result<Kinds, PluginError> {
    let component = as_component(file, bytes)?;
    let outline = Outline::read(&component)
        .map_err(|source| PluginError::Compile { file: file.to_owned(), source: source.into() })?;
    let kinds = kinds_of(&outline.exports);
    if kinds.is_empty() {
        return Err(PluginError::NoKind { file: file.to_owned(), exports: outline.exports });
    }
    Ok(kinds)
}

/// Refuses a component whose exports cannot be run, so that it need not be compiled.
pub(super) fn refuse_without_kind(file: &Path, bytes: &[u8]) -> Result<(), PluginError> {
    match kinds_in(file, bytes) {
        Err(PluginError::NoKind { file, exports }) if !exports.is_empty() => {
            Err(PluginError::NoKind { file, exports })
        }
        // The compiler has better errors for anything else.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Refuses a component that would take quadratic time to compile.
fn check_depth(file: &Path, bytes: &[u8]) -> Result<(), PluginError> {
    match Outline::read(bytes) {
        Ok(outline) if outline.depth > DEPTH_MAX => {
            Err(PluginError::TooDeep { file: file.to_owned(), max: DEPTH_MAX })
        }
        // The compiler has better errors for a file that cannot be parsed.
        Ok(_) | Err(_) => Ok(()),
    }
}
