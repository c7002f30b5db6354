//! What hosts say to each other of a request that passes them.
//!
//! Between hosts, and nowhere else:
//!
//! | header | says |
//! |---|---|
//! | `soloist-via` | which hosts a request has passed |
//! | `soloist-to` | `HOST TOKEN`: for which term it is meant |
//! | `soloist-hold` | for how many milliseconds it may still wait |
//! | `soloist-scheme` | `https`, if the client came by TLS |
//! | `soloist-asked` | which host the client has asked for |
//! | `soloist-probe` | that nothing is asked for but whether that term goes on |

use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue};

use super::{error::RelayError, limits::HOPS};
use soloist_config::MINUTE;
use soloist_heart::Token;

const VIA: HeaderName = HeaderName::from_static("soloist-via");
const TO: HeaderName = HeaderName::from_static("soloist-to");
const HOLD: HeaderName = HeaderName::from_static("soloist-hold");
const SCHEME: HeaderName = HeaderName::from_static("soloist-scheme");
const ASKED: HeaderName = HeaderName::from_static("soloist-asked");
const PROBE: HeaderName = HeaderName::from_static("soloist-probe");

/// What hosts tell each other of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RelayHeaders {
    /// The hosts that it has passed.
    pub(super) via: Vec<String>,
    /// The host and the term that it is meant for.
    pub(super) target_term: Option<(String, Token)>,
    /// How long it may still wait.
    pub(super) hold: Option<Duration>,
    /// Whether the client came by TLS.
    pub(super) secure: bool,
    /// Which host the client has asked for.
    pub(super) requested_host: Option<HeaderValue>,
    /// Whether the host that asks only wants to know if the term goes on.
    pub(super) probe: bool,
}

impl RelayHeaders {
    /// What the headers of a request say.
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let passed = headers.get_all(VIA).iter().flat_map(|value| value.to_str().ok());
        let passed = passed.flat_map(|names| names.split(',').map(|name| name.trim().to_owned()));
        let target_term = text(TO).and_then(|to| {
            let (host, token) = to.rsplit_once(' ')?;
            Some((host.to_owned(), Token(token.parse().ok()?)))
        });
        let hold = text(HOLD).and_then(|ms| ms.parse().ok());
        let hold = hold.map(|ms: u64| Duration::from_millis(ms.min(10 * MINUTE)));
        let requested_host = headers.get(ASKED).cloned();
        let (secure, probe) = (text(SCHEME) == Some("https"), headers.contains_key(PROBE));
        Self { via: passed.collect(), target_term, hold, secure, requested_host, probe }
    }

    /// Whether another host passed it on.
    pub(super) fn is_from_host(&self) -> bool {
        !self.via.is_empty()
    }

    /// Whether it may go on at `host`.
    pub(super) fn check_hops(&self, host: &str) -> Result<(), RelayError> {
        if self.via.iter().any(|passed| passed == host) {
            return Err(RelayError::Loop(host.to_owned()));
        }
        if self.via.len() > HOPS {
            return Err(RelayError::TooManyHops(self.via.len()));
        }
        Ok(())
    }

    /// Says it to the next host.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        let mut put = |name, text: String| {
            // Names of hosts are fit for headers.
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        };
        put(VIA, self.via.join(", "));
        if let Some((host, token)) = &self.target_term {
            put(TO, format!("{host} {}", token.0));
        }
        if let Some(hold) = self.hold {
            put(HOLD, hold.as_millis().to_string());
        }
        if self.secure {
            put(SCHEME, "https".to_owned());
        }
        if let Some(asked) = &self.requested_host {
            headers.insert(ASKED, asked.clone());
        }
        if self.probe {
            headers.insert(PROBE, HeaderValue::from_static("term"));
        }
    }
}

/// Whether another host says that it has passed a request on; [`Trail::is_from_host`], for
/// who wants to know no more.
pub(super) fn is_from_host(headers: &HeaderMap) -> bool {
    headers.get_all(VIA).iter().any(|value| value.to_str().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use soloist_guests::capability::TermHeaders;

    #[test]
    fn a_trail_is_read_as_it_was_written() {
        let trail = RelayHeaders {
            via: vec!["a".into(), "b".into()],
            target_term: Some(("c".into(), Token(7))),
            hold: Some(Duration::from_millis(250)),
            secure: true,
            requested_host: Some(HeaderValue::from_static("example.com")),
            probe: true,
        };
        let mut written = HeaderMap::new();
        trail.write(&mut written);
        assert_eq!(RelayHeaders::read(&written), trail);
        assert!(is_from_host(&written) && !is_from_host(&HeaderMap::new()));
        assert_eq!(RelayHeaders::read(&HeaderMap::new()), RelayHeaders::default());
        TermHeaders::strip_reserved(&mut written);
        assert!(written.is_empty());
    }

    #[test]
    fn a_host_that_was_passed_and_too_many_are_refused() {
        let trail = |via: &[&str]| RelayHeaders {
            via: via.iter().map(|it| (*it).into()).collect(),
            ..RelayHeaders::default()
        };
        assert!(trail(&["a", "b", "c", "d"]).check_hops("e").is_ok());
        assert!(matches!(trail(&["a", "b"]).check_hops("a"), Err(RelayError::Loop(_))));
        assert!(matches!(
            trail(&["a", "b", "c", "d", "e"]).check_hops("f"),
            Err(RelayError::TooManyHops(5))
        ));
    }
}
