//! The hosts that did not serve a command, and why.

use super::errors::NOT_RUNNING;
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
        let (error, general) = if denied {
            (ExitError::denied(problem), "--token-file FILE names the token to show")
        } else {
            let help = "start one of them, or name another host: --url http://HOST:PORT";
            (ExitError::unavailable(problem), help)
        };
        let common = self.common_advice().map(ToOwned::to_owned);
        let listed = self.0.iter().fold(error, |error, (url, reason)| {
            let own = own_advice(reason).filter(|_| common.is_none());
            let own = own.map_or_else(String::new, |advice| format!(" ({advice})"));
            error.because_of(format!("{url}: {}{own}", reason.reason()))
        });
        listed.help(common.as_deref().unwrap_or(general))
    }

    /// What to do about all of the hosts alike.
    fn common_advice(&self) -> Option<&str> {
        let mut all = self.0.iter().map(|(_, error)| own_advice(error));
        let first = all.next()??;
        all.all(|advice| advice == Some(first)).then_some(first)
    }
}

/// What to do about one host, unless that is just to start it.
fn own_advice(error: &ExitError) -> Option<&str> {
    error.advice().filter(|advice| *advice != NOT_RUNNING)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(helps: &[&str]) -> String {
        let mut failed = FailedHosts::default();
        for (help, url) in helps.iter().zip(["http://a:1", "http://b:1"]) {
            failed.add(url, ExitError::unavailable(format!("{url} is odd")).help(help));
        }
        failed.into_error().to_string()
    }

    #[test]
    fn what_helps_with_all_hosts_is_said_once() {
        let told = failed(&["--ca FILE", "--ca FILE"]);
        assert!(told.ends_with("http://b:1: http://b:1 is odd\nhelp: --ca FILE\n"), "{told}");
    }

    #[test]
    fn what_helps_with_one_host_is_said_with_it() {
        let told = failed(&["write https://a:1", "write https://b:1"]);
        for line in ["is odd (write https://a:1)\n", "is odd (write https://b:1)\n"] {
            assert!(told.contains(line), "{told}");
        }
        let told = failed(&["write https://a:1", NOT_RUNNING]);
        assert!(told.contains("http://b:1 is odd\nhelp: start one of them"), "{told}");
    }
}
