//! The hosts that a command may ask.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use http::Uri;

use crate::cli::ExitError;

/// The hosts that a command may ask, in the order in which they are tried.
pub(super) struct HostList {
    urls: Vec<Arc<str>>,
    /// The one that answered last, which is asked first from then on.
    current: AtomicUsize,
}

impl HostList {
    /// The hosts at these URLs. Empty ones, as after a comma at the end, are left out.
    pub(super) fn new<'a>(urls: impl IntoIterator<Item = &'a str>) -> Result<Self, ExitError> {
        let urls = urls.into_iter().map(str::trim).filter(|url| !url.is_empty());
        let urls: Vec<_> = urls.map(base).collect::<Result<_, _>>()?;
        if urls.is_empty() {
            return Err(ExitError::usage("there is no host to ask").help(FORM));
        }
        Ok(Self { urls, current: AtomicUsize::new(0) })
    }

    /// Whether there is only one.
    pub(super) fn is_single(&self) -> bool {
        self.urls.len() == 1
    }

    /// All of them with their numbers, beginning with the one that answered last.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = (usize, &Arc<str>)> {
        let (first, count) = (self.current.load(Ordering::Relaxed), self.urls.len());
        (first..first + count).map(move |number| (number % count, &self.urls[number % count]))
    }

    /// Notes that the host with this number has answered.
    pub(super) fn answered(&self, number: usize) {
        self.current.store(number, Ordering::Relaxed);
    }

    /// The host that answered last, or the first one.
    pub(super) fn current(&self) -> &Arc<str> {
        &self.urls[self.current.load(Ordering::Relaxed)]
    }
}

/// The help for something that is no URL of a host.
const FORM: &str = "write http://HOST:PORT, as in http://127.0.0.1:4000; several, with commas \
                    between them, are tried in turn";

/// Checks the URL of a host, and removes slashes at its end.
fn base(url: &str) -> Result<Arc<str>, ExitError> {
    let url = url.trim_end_matches('/');
    let is_base = |uri: &Uri| {
        let spoken = matches!(uri.scheme_str(), Some("http" | "https"));
        spoken && uri.host().is_some_and(|host| !host.is_empty()) && uri.query().is_none()
    };
    if url.parse().is_ok_and(|uri| is_base(&uri)) {
        return Ok(url.into());
    }
    Err(ExitError::usage(format!("`{url}` is not a URL")).help(FORM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_tried_in_turn_beginning_with_the_one_that_answered() {
        let hosts = HostList::new(["http://a:1/", " http://b:2", "", "https://c:3"]).unwrap();
        let order = || hosts.in_turn().map(|(_, url)| url.to_string()).collect::<Vec<_>>();
        assert_eq!(order(), ["http://a:1", "http://b:2", "https://c:3"]);
        hosts.answered(1);
        assert_eq!(order(), ["http://b:2", "https://c:3", "http://a:1"]);
        assert_eq!(&**hosts.current(), "http://b:2");
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for wrong in ["a:4000", "ftp://a", "http://", "http://a?b", ""] {
            assert!(HostList::new([wrong]).is_err(), "{wrong}");
        }
    }
}
