//! `cargo xtask package`: what a release hands out, for those who have no compiler. One archive
//! with the program, its manual pages and completions, the first-party plugins, the systemd unit
//! and example settings. It is unpacked and tried before it counts as made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use soloist_devtools::{cmd, guests, paths, setup, soloist};

/// The version in the archive's name: that of the workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Files of the repository that go into the archive, and where.
const FILES: [(&str, &str); 6] = [
    ("LICENSE", "LICENSE"),
    ("README.md", "README.md"),
    ("CHANGELOG.md", "CHANGELOG.md"),
    ("examples/soloist.toml", "examples/soloist.toml"),
    ("examples/etcd.toml", "examples/etcd.toml"),
    ("examples/systemd/soloist.service", "systemd/soloist.service"),
];

/// The shells with completions, and the names of their files.
const SHELLS: [(&str, &str); 3] =
    [("bash", "soloist"), ("zsh", "_soloist"), ("fish", "soloist.fish")];

/// Builds the program in the profile `dist`, and packs it.
pub(crate) fn run() -> Result<()> {
    setup::run()?;
    let plugins = guests::plugins()?;
    let archive = pack(&soloist::build_for_others()?, &plugins)?;
    println!("{}", archive.display());
    Ok(())
}

/// Packs `program` and the components in `plugins`. Returns the archive; its checksum, as
/// `sha256sum --check` reads it, is next to it.
fn pack(program: &Path, plugins: &Path) -> Result<PathBuf> {
    let name = format!("soloist-{VERSION}-{}-linux", std::env::consts::ARCH);
    let folder = paths::target().join("package");
    let root = folder.join(&name);
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("cannot empty {}", root.display()))?;
    }
    fill(&root, program, plugins)?;
    let archive = folder.join(format!("{name}.tar.gz"));
    // The same content makes the same archive.
    cmd::run(
        Command::new("tar")
            .args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"])
            .args(["--use-compress-program", "gzip -9n"])
            .arg("--create")
            .arg("--file")
            .arg(&archive)
            .arg("--directory")
            .arg(&folder)
            .arg(&name),
    )?;
    let sum =
        cmd::output(Command::new("sha256sum").arg(format!("{name}.tar.gz")).current_dir(&folder))?;
    fs::write(folder.join(format!("{name}.tar.gz.sha256")), sum)?;
    attempt(&archive, &name)?;
    Ok(archive)
}

fn fill(root: &Path, program: &Path, plugins: &Path) -> Result<()> {
    for folder in ["plugins", "examples", "systemd", "completions"] {
        fs::create_dir_all(root.join(folder))?;
    }
    let packed = root.join("soloist");
    fs::copy(program, &packed).with_context(|| format!("cannot copy {}", program.display()))?;
    for (from, to) in FILES {
        fs::copy(paths::repo().join(from), root.join(to))
            .with_context(|| format!("cannot copy {from}"))?;
    }
    for entry in fs::read_dir(plugins)? {
        let file = entry?.path();
        if file.extension().is_some_and(|end| end == "wasm")
            && let Some(name) = file.file_name()
        {
            fs::copy(&file, root.join("plugins").join(name))?;
        }
    }
    cmd::output(Command::new(&packed).arg("man").arg(root.join("man")))?;
    for (shell, file) in SHELLS {
        let script = cmd::output(Command::new(&packed).args(["completions", shell]))?;
        fs::write(root.join("completions").join(file), script)?;
    }
    Ok(())
}

/// Unpacks the archive somewhere else and uses it as somebody would who downloaded it.
fn attempt(archive: &Path, name: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    cmd::run(Command::new("tar").arg("--extract").arg("--file").arg(archive).current_dir(&folder))?;
    let root = folder.path().join(name);
    let soloist = |words: &[&str]| {
        cmd::output(Command::new(root.join("soloist")).args(words).current_dir(&root))
    };
    let version = soloist(&["--version"])?;
    ensure!(version.trim_end() == format!("soloist {VERSION}"), "it says {version:?}");
    soloist(&["plugin", "inspect", "plugins/i-am-server.wasm"])?;
    soloist(&["config", "check"])?;
    ensure!(root.join("man/soloist.1").is_file(), "the manual pages are missing");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_there() {
        for (file, _) in FILES {
            assert!(paths::repo().join(file).is_file(), "{file}");
        }
    }
}
