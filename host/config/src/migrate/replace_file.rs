//! Replaces a file at once: whoever reads it finds the old content or the new one, also after a
//! crash.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, fchown},
    path::Path,
};

use crate::problem::Problem;

/// Replaces the content of `file`, which keeps its permissions and its owner. A symbolic link stays
/// one: the file that it points to is replaced.
pub(super) fn replace(file: &Path, text: &str) -> Result<(), Problem> {
    let writable = |file: &Path| -> io::Result<_> {
        let target = fs::canonicalize(file)?;
        // The rename needs the folder's permission alone, so ask for the file's as well.
        OpenOptions::new().write(true).open(&target)?;
        if fs::metadata(&target)?.permissions().readonly() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only"));
        }
        Ok(target)
    };
    let failed = |error: io::Error| {
        let what = format!("cannot write `{}`: {error}; it is as it was", file.display());
        Problem::new(what, "let this user write the file and its folder, then run this again")
    };
    let target = writable(file).map_err(failed)?;
    write_beside(&target, text).map_err(failed)
}

/// Writes a file next to `target`, and then gives it the name of `target`.
fn write_beside(target: &Path, text: &str) -> io::Result<()> {
    let folder = target.parent().unwrap_or(Path::new("/"));
    let about = fs::metadata(target)?;
    let mut new = tempfile::Builder::new().prefix(".soloist-").tempfile_in(folder)?;
    new.write_all(text.as_bytes())?;
    if (about.uid(), about.gid()) != owner(new.as_file())? {
        fchown(new.as_file(), Some(about.uid()), Some(about.gid()))?;
    }
    new.as_file().set_permissions(about.permissions())?;
    new.as_file().sync_all()?;
    new.persist(target).map_err(|error| error.error)?;
    // The new name is on the disk once the folder is.
    File::open(folder)?.sync_all()
}

fn owner(file: &File) -> io::Result<(u32, u32)> {
    let about = file.metadata()?;
    Ok((about.uid(), about.gid()))
}
