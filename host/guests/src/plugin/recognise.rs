//! What a plugin could be run as, told by its bytes: nothing is compiled for that.

use std::{borrow::Cow, path::Path};

use super::{FileFormat, Kinds, PluginError, kind::kinds_of, lift::lift, outline::Outline};

/// How deep components may be nested; tools that compose them need three or four.
const DEPTH_MAX: usize = 64;

/// The component that `bytes`, the content of `file`, is or can be lifted to.
pub(super) fn as_component<'a>(file: &Path, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, PluginError> {
    match FileFormat::of(bytes) {
        FileFormat::Component => check_depth(file, bytes).map(|()| Cow::Borrowed(bytes)),
        FileFormat::Module => lift(file, bytes).map(Cow::Owned),
        form => Err(PluginError::NotWasm { file: file.to_owned(), form }),
    }
}

/// What `bytes`, the content of `file`, could be run as, by what it exports. That it can be
/// loaded is not said.
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

/// Refuses what exports only what is nothing to be run: it need not be compiled.
pub(super) fn refuse_without_kind(file: &Path, bytes: &[u8]) -> Result<(), PluginError> {
    match kinds_in(file, bytes) {
        Err(PluginError::NoKind { file, exports }) if !exports.is_empty() => {
            Err(PluginError::NoKind { file, exports })
        }
        // The compiler tells best what else is wrong with a file.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Refuses what takes the square of its size to compile.
fn check_depth(file: &Path, bytes: &[u8]) -> Result<(), PluginError> {
    match Outline::read(bytes) {
        Ok(outline) if outline.depth > DEPTH_MAX => {
            Err(PluginError::TooDeep { file: file.to_owned(), max: DEPTH_MAX })
        }
        // The compiler tells best what is wrong with a file that cannot be read.
        Ok(_) | Err(_) => Ok(()),
    }
}
