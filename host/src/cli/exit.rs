//! How a command ends: the exit codes, and the error message.

use std::{error::Error, fmt, process::ExitCode};

use soloist_config::ConfigError;

/// The exit codes; those of `sysexits.h` where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitKind {
    /// Success.
    Ok = 0,
    /// What was asked for does not exist.
    Missing = 1,
    /// It is not possible in the current situation; nothing has changed.
    Refused = 2,
    /// The command line or the configuration is wrong.
    Usage = 64,
    /// Something that is needed does not answer, or is in use.
    Unavailable = 69,
    /// A failure of soloist itself, or of the system.
    Internal = 70,
    /// A second signal came before the first one had taken effect.
    Interrupted = 130,
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
    /// The command line asks for something impossible.
    #[must_use]
    pub fn usage(problem: impl fmt::Display) -> Self {
        Self { exit: ExitKind::Usage, text: format!("error: {problem}\n") }
    }

    /// What was asked for does not exist.
    #[must_use]
    pub fn missing(problem: impl fmt::Display) -> Self {
        Self { exit: ExitKind::Missing, text: format!("error: {problem}\n") }
    }

    /// It is not possible in the current situation.
    #[must_use]
    pub fn refused(problem: impl fmt::Display) -> Self {
        Self { exit: ExitKind::Refused, text: format!("error: {problem}\n") }
    }

    /// Something that is needed does not answer, or is in use.
    #[must_use]
    pub fn unavailable(problem: impl fmt::Display) -> Self {
        Self { exit: ExitKind::Unavailable, text: format!("error: {problem}\n") }
    }

    /// A failure of soloist itself, or of the system.
    #[must_use]
    pub fn internal(problem: impl fmt::Display, cause: &dyn Error) -> Self {
        Self::failed(problem).caused_by(cause)
    }

    /// Such a failure without a further cause.
    #[must_use]
    pub fn failed(problem: impl fmt::Display) -> Self {
        Self { exit: ExitKind::Internal, text: format!("error: {problem}\n") }
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
        Self { exit: ExitKind::Usage, text: error.to_string() }
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
