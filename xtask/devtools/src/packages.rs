//! Installs programs with the system's package manager.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cmd;

/// A program and its packages. Each list has alternatives: the first that the package manager knows
/// is installed.
pub struct Package {
    /// The name of the executable.
    pub program: &'static str,
    /// Its packages on Debian and Ubuntu.
    pub apt: &'static [&'static [&'static str]],
    /// Its packages on Fedora and its relatives.
    pub dnf: &'static [&'static [&'static str]],
    /// Its packages in Homebrew.
    pub brew: &'static [&'static [&'static str]],
}

impl Package {
    /// Finds the program on `PATH`, or installs it.
    pub fn ensure(&self) -> Result<PathBuf> {
        self.ensure_by(|| cmd::find(self.program))
    }

    /// The same for a program that `find` finds, and not `PATH`.
    pub fn ensure_by(&self, find: impl Fn() -> Option<PathBuf>) -> Result<PathBuf> {
        if let Some(found) = find() {
            return Ok(found);
        }
        eprintln!("{} is missing: installing it", self.program);
        self.install().with_context(|| {
            format!(
                "cannot install {0}; install it by hand, so that `{0}` is on PATH",
                self.program
            )
        })?;
        find().with_context(|| format!("{} is installed, but not on PATH", self.program))
    }

    fn install(&self) -> Result<()> {
        if cmd::find("apt-get").is_some() {
            // On a machine that was never updated, apt knows no packages at all.
            return apt_install(self.apt).or_else(|_| {
                cmd::run(as_root("apt-get").args(["-q", "update"]))?;
                apt_install(self.apt)
            });
        }
        if cmd::find("dnf").is_some() {
            return first_that_works(self.dnf, |names| {
                cmd::run(as_root("dnf").args(["-y", "install"]).args(names))
            });
        }
        if cmd::find("brew").is_some() {
            return first_that_works(self.brew, |names| {
                cmd::run(Command::new("brew").arg("install").args(names))
            });
        }
        bail!("this system has none of apt-get, dnf and brew")
    }
}

fn apt_install(choices: &[&[&str]]) -> Result<()> {
    first_that_works(choices, |names| {
        let mut command = as_root("env");
        command
            // In single-user mode, packages do not start the services that they contain.
            .args(["DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"])
            .args(["apt-get", "-qy", "-o", "DPkg::Lock::Timeout=300", "install"])
            .arg("--no-install-recommends")
            .args(names);
        cmd::run(&mut command)
    })
}

fn first_that_works(
    choices: &[&[&str]],
    mut install: impl FnMut(&[&str]) -> Result<()>,
) -> Result<()> {
    let mut outcome = Err(anyhow::anyhow!("this package manager does not have it"));
    for names in choices {
        outcome = install(names);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// A command with the rights to change the system: with sudo, unless this is root.
fn as_root(program: &str) -> Command {
    if rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg(program);
    command
}
