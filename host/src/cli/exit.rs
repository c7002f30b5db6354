//! How a command ends: the exit codes of all commands, and the error message.

use std::{error::Error, fmt, io, process::ExitCode};

use super::file_alias::FileAlias;
use soloist_config::ConfigError;

/// The exit codes of all commands; those of `sysexits.h` where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitKind {
    /// What was asked for is done.
    Ok = 0,
    /// The answer is no, or the work ran and failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 64,
    /// The given data cannot be used.
    Data = 65,
    /// What was asked for does not exist.
    Missing = 66,
    /// Something that is needed does not answer, is in use or refuses to serve.
    Unavailable = 69,
    /// A failure of soloist itself, or of the system.
    Internal = 70,
    /// It is not possible in the present situation; nothing has changed.
    Refused = 75,
    /// Access is denied.
    Denied = 77,
    /// The settings are wrong.
    Config = 78,
    /// A second signal came before the first one had taken effect; or the first one, to a command
    /// that ends at once.
    Interrupted = 130,
}

impl ExitKind {
    /// All of them, each with its meaning for the documentation.
    pub(super) const MEANINGS: [(Self, &str); 11] = [
        (Self::Ok, "Done."),
        (
            Self::Failed,
            "The check failed, or the work ran and failed: `status --ready` finds a host that is \
             not ready, `job run --wait` ends with a run that failed, `task call` with a task that \
             failed, `plugin inspect` finds a plugin that this host cannot run.",
        ),
        (Self::Usage, "The command line is wrong, or asks for something that cannot be."),
        (Self::Data, "Invalid data: a file that is not a plugin, a payload that a task refuses."),
        (
            Self::Missing,
            "What was asked for does not exist: a group, host, job, task, key or file.",
        ),
        (
            Self::Unavailable,
            "Something that is needed does not answer, is in use or refuses to serve: the host, \
             the store, an address. If a change may have been made nevertheless, the message says \
             so.",
        ),
        (Self::Internal, "A failure of soloist itself, or of the system."),
        (Self::Refused, "Refused in the present situation; nothing has changed. Try again later."),
        (Self::Denied, "Access denied: no token, a wrong one, or one whose role does not suffice."),
        (Self::Config, "The settings are wrong, or those of a plugin. A restart does not help."),
        (
            Self::Interrupted,
            "Interrupted by a second signal before it had ended properly; `backup`, `restore` and \
             `store copy` by the first one, and they say what they have left. `soloist run` ends \
             with 128 plus N if its host was killed by the signal N.",
        ),
    ];
}

impl From<ExitKind> for ExitCode {
    fn from(exit: ExitKind) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed, as shown to people: the problem, its causes, and what to do.
#[derive(Debug)]
pub struct ExitError {
    exit: ExitKind,
    text: String,
}

impl ExitError {
    fn new(exit: ExitKind, problem: impl fmt::Display) -> Self {
        Self { exit, text: format!("error: {problem}\n") }
    }

    /// The answer is no, or the work ran and failed.
    #[must_use]
    pub fn failed(problem: impl fmt::Display) -> Self {
        Self::new(ExitKind::Failed, problem)
    }

    /// The command line asks for something impossible.
    #[must_use]
    pub fn usage(problem: impl fmt::Display) -> Self {
        Self::new(ExitKind::Usage, problem)
    }

    /// The given data cannot be used.
    #[must_use]
    pub fn data(problem: impl fmt::Display) -> Self {
        Self::new(ExitKind::Data, problem)
    }

    /// What was asked for does not exist.
    #[must_use]
    pub fn missing(problem: impl fmt::Display) -> Self {
        Self::new(ExitKind::Missing, problem)
    }

    /// Something that is needed does not answer, or is in use.
    #[must_use]
    pub fn unavailable(problem: impl fmt::Display) -> Self {
        Self::new(ExitKind::Unavailable, problem)
    }

    /// A failure of soloist itself, or of the system.
    #[must_use]
    pub fn internal(problem: impl fmt::Display, cause: &dyn Error) -> Self {
        Self::broken(problem).caused_by(cause)
    }

    /// Such a failure without a further cause.
    #[must_use]
    pub fn broken(problem: impl fmt::Display) -> Self {
        Self::new(ExitKind::Internal, problem)
    }

    /// It is not possible in the present situation, and nothing has changed.
    #[must_use]
    pub fn refused(problem: impl fmt::Display) -> Self {
        Self::new(ExitKind::Refused, problem)
    }

    /// Access is denied.
    #[must_use]
    pub fn denied(problem: impl fmt::Display) -> Self {
        Self::new(ExitKind::Denied, problem)
    }

    /// The settings are wrong.
    #[must_use]
    pub fn config(problem: impl fmt::Display) -> Self {
        Self::new(ExitKind::Config, problem)
    }

    /// A file cannot be read: it is not there, access to it is denied, or it cannot be used.
    #[must_use]
    pub fn of_file(problem: impl fmt::Display, error: &io::Error) -> Self {
        let exit = match error.kind() {
            io::ErrorKind::NotFound => ExitKind::Missing,
            io::ErrorKind::PermissionDenied => ExitKind::Denied,
            _ => ExitKind::Data,
        };
        Self::new(exit, problem).caused_by(error)
    }

    /// The same text with another exit code.
    #[must_use]
    pub(super) fn with_exit(mut self, exit: ExitKind) -> Self {
        self.exit = exit;
        self
    }

    /// Adds the chain of causes, beginning with `cause`.
    #[must_use]
    pub fn caused_by(self, cause: &dyn Error) -> Self {
        self.because(Some(cause))
    }

    /// Adds the causes of `error`, whose own message is in the problem already.
    #[must_use]
    pub fn with_causes_of(self, error: &dyn Error) -> Self {
        self.because(error.source())
    }

    fn because(mut self, mut next: Option<&dyn Error>) -> Self {
        while let Some(cause) = next {
            self.text.push_str(&format!("  because: {cause}\n"));
            next = cause.source();
        }
        self
    }

    /// Adds a cause in words.
    #[must_use]
    pub(super) fn because_of(mut self, cause: impl fmt::Display) -> Self {
        self.text.push_str(&format!("  because: {cause}\n"));
        self
    }

    /// The problem and its causes in one line.
    pub(super) fn reason(&self) -> String {
        let marks = ["error: ", "  because: "];
        let part =
            |line: &'_ str| marks.iter().find_map(|mark| Some(line.strip_prefix(mark)?.to_owned()));
        self.text.lines().filter_map(part).collect::<Vec<_>>().join(": ")
    }

    /// The same with a file named wherever it names a copy of it.
    #[must_use]
    pub(super) fn naming(self, alias: &FileAlias) -> Self {
        Self { text: alias.shown(self.text), ..self }
    }

    /// What to do about it, if that was added.
    pub(super) fn advice(&self) -> Option<&str> {
        self.text.lines().find_map(|line| line.strip_prefix("help: "))
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl fmt::Display) -> Self {
        self.text.push_str(&format!("help: {help}\n"));
        self
    }

    /// Whether what was asked for does not exist.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.exit == ExitKind::Missing
    }

    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> ExitKind {
        self.exit
    }
}

impl From<ConfigError> for ExitError {
    fn from(error: ConfigError) -> Self {
        Self { exit: ExitKind::Config, text: error.to_string() }
    }
}

impl fmt::Display for ExitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for ExitError {}

#[cfg(test)]
mod tests {
    use super::*;
    use soloist_stores::StoreError;

    #[test]
    fn tells_problem_causes_and_help() {
        let cause = StoreError::Unavailable {
            attempted: "grant a lease",
            store: "etcd 10.0.0.1:2379".into(),
            source: "connection refused".into(),
        };
        let error = ExitError::unavailable("the store cannot be used")
            .caused_by(&cause)
            .help("is etcd running there?");
        assert_eq!(
            error.to_string(),
            "\
error: the store cannot be used
  because: grant a lease: etcd 10.0.0.1:2379 is unavailable
  because: connection refused
help: is etcd running there?
"
        );
    }
}
