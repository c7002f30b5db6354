//! Takes programs and files out of Debian's packages without installing them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cmd;

/// Unpacks `package` into `root`, in the version that this machine would install. The downloaded
/// file is kept in `files`. No script of the package runs, and no service starts.
pub fn unpack(package: &str, files: &Path, root: &Path) -> Result<()> {
    if cmd::find("apt-get").is_none() {
        bail!("{package} is taken from Debian's packages: run this on Debian or Ubuntu");
    }
    fs::create_dir_all(root)?;
    let file = download(package, files)?;
    cmd::output(Command::new("dpkg-deb").arg("-x").arg(file).arg(root)).map(drop)
}

fn download(package: &str, files: &Path) -> Result<PathBuf> {
    fs::create_dir_all(files)?;
    if find(package, files).is_none() {
        let mut command = Command::new("apt-get");
        // By default apt downloads as the user `_apt`, who may not write to our folder.
        command.args(["-qq", "-o", "APT::Sandbox::User=root", "download", package]);
        cmd::output(command.current_dir(files))
            .with_context(|| format!("cannot download {package}: try `apt-get update`"))?;
    }
    find(package, files).with_context(|| format!("apt-get has left no file of {package}"))
}

/// Finds a downloaded package: files are named `PACKAGE_VERSION_ARCHITECTURE.deb`.
fn find(package: &str, files: &Path) -> Option<PathBuf> {
    let begins = format!("{package}_");
    let names = fs::read_dir(files).ok()?.flatten().map(|file| file.path());
    names.into_iter().find(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&begins))
    })
}
