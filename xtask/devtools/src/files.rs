//! Copying folders, which the standard library lacks.

use std::fs;
use std::io;
use std::path::Path;

/// Copies the folder `from` with its content to `to`, which must not exist. Links are followed.
/// Dangling links are left out: Debian's packages link to files of packages that are not here.
pub fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match fs::metadata(&from) {
            Ok(meta) if meta.is_dir() => copy_folder(&from, &to)?,
            Ok(_) => drop(fs::copy(&from, to)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_that_lead_nowhere_are_left_out() -> io::Result<()> {
        let scratch = tempfile::tempdir()?;
        let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
        fs::create_dir_all(from.join("in"))?;
        fs::write(from.join("in/file"), "text")?;
        symlink("file", from.join("in/link"))?;
        symlink("nowhere", from.join("lost"))?;
        copy_folder(&from, &to)?;
        assert_eq!(fs::read(to.join("in/link"))?, b"text");
        assert!(!to.join("lost").is_symlink());
        Ok(())
    }
}
