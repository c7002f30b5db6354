//! The hosts that did not serve a command, and why.

use crate::cli::{ExitError, ExitKind};

/// The hosts that did not serve a command, and why.
#[derive(Default)]
pub(super) struct FailedHosts(Vec<(String, ExitError)>);

impl FailedHosts {
    /// Adds the host at `url`.
    pub(super) fn add(&mut self, url: &str, error: ExitError) {
        self.0.push((url.to_owned(), error));
    }

    /// The error when no host is left: the one of the only host, or a list with each host's reason.
    /// If any host denied access, that comes first: the others may be down for a while.
    pub(super) fn into_error(mut self) -> ExitError {
        if self.0.len() == 1
            && let Some((_, error)) = self.0.pop()
        {
            return error;
        }
        let denied = self.0.iter().any(|(_, error)| error.exit() == ExitKind::Denied);
        let problem = format!("none of {} hosts serves this command", self.0.len());
        let (error, help) = if denied {
            (ExitError::denied(problem), "--token-file FILE names the token to show")
        } else {
            let help = "start one of them, or name another host: --url http://HOST:PORT";
            (ExitError::unavailable(problem), help)
        };
        let listed = self.0.iter().fold(error, |error, (url, reason)| {
            error.because_of(format!("{url}: {}", reason.reason()))
        });
        listed.help(help)
    }
}
