//! Why a host could not be run.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use soloist_config::ConfigError;

/// Why a host could not be run.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// The settings are invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The host's program does not exist, or this user may not execute it.
    #[error("cannot start the host's program {}: put it back, for this user to execute", program.display())]
    Program {
        /// The path of the program.
        program: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The host's process could not be started or watched.
    #[error(
        "cannot run the host as a process of its own: lift this user's limits (`ulimit -u`, \
         `ulimit -n`), or use --no-supervisor"
    )]
    System(#[from] io::Error),
}

impl SupervisorError {
    /// The error for a program that could not be started: of the program itself, or of the system.
    pub(super) fn of_start(program: &Path, source: io::Error) -> Self {
        let program_errors =
            [Errno::NOENT, Errno::ACCESS, Errno::PERM, Errno::ISDIR, Errno::NOTDIR, Errno::NOEXEC];
        if Errno::from_io_error(&source).is_some_and(|errno| program_errors.contains(&errno)) {
            Self::Program { program: program.to_owned(), source }
        } else {
            Self::System(source)
        }
    }
}
