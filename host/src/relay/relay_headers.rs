//! The request headers that hosts add when they forward a request to each other.
//!
//! They are used between hosts only, and stripped from what clients send:
//!
//! | header | meaning |
//! |---|---|
//! | `soloist-via` | the hosts that the request has passed: `HOST INSTANCE, …` |
//! | `soloist-to` | `HOST FENCING TOKEN`: the term that is to answer |
//! | `soloist-hold` | for how many milliseconds the request may still wait |
//! | `soloist-scheme` | `https`, if the client connected by TLS |
//! | `soloist-asked` | the `host` header of the client |
//! | `soloist-probe` | only asks whether that term goes on |

use std::{fmt, time::Duration};

use ::http::{HeaderMap, HeaderName, HeaderValue};

use super::{error::RelayError, known_leader::KnownLeader, limits::HOPS};
use crate::cluster::MisdirectedRequest;
use soloist_config::MINUTE;
use soloist_heart::FencingToken;
use soloist_stores::ThisHost;

const VIA: HeaderName = HeaderName::from_static("soloist-via");
const TO: HeaderName = HeaderName::from_static("soloist-to");
const HOLD: HeaderName = HeaderName::from_static("soloist-hold");
const SCHEME: HeaderName = HeaderName::from_static("soloist-scheme");
const ASKED: HeaderName = HeaderName::from_static("soloist-asked");
const PROBE: HeaderName = HeaderName::from_static("soloist-probe");

/// What hosts tell each other about a forwarded request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RelayHeaders {
    /// The hosts that the request has passed; empty for one from a client.
    pub(super) via: Vec<PassedHost>,
    /// The host and the term that is to answer.
    pub(super) target_term: Option<(String, FencingToken)>,
    /// How long the request may still wait for a leader.
    pub(super) hold: Option<Duration>,
    /// Whether the client connected by TLS.
    pub(super) secure: bool,
    /// The `host` header of the client.
    pub(super) requested_host: Option<HeaderValue>,
    /// Whether the other host only asks if the term goes on.
    pub(super) probe: bool,
}

/// A host that a request has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PassedHost {
    name: String,
    /// The random number of its process, in which namesakes differ; empty if the host is of a
    /// version that has none.
    instance: String,
}

impl PassedHost {
    /// This host.
    pub(super) fn this(host: &ThisHost) -> Self {
        Self { name: host.name().to_string(), instance: host.instance().to_string() }
    }

    fn read(text: &str) -> Self {
        let (name, instance) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        Self { name: name.to_owned(), instance: instance.to_owned() }
    }

    /// Whether it may be the host of this `name` and process.
    fn may_be(&self, name: &str, instance: &str) -> bool {
        let unknown = self.instance.is_empty() || instance.is_empty();
        self.name == name && (unknown || self.instance == instance)
    }
}

impl fmt::Display for PassedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.instance.is_empty() { Ok(()) } else { write!(f, " {}", self.instance) }
    }
}

impl RelayHeaders {
    /// Reads them from the headers of a request; what is missing or malformed is left out.
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let passed = headers.get_all(VIA).iter().flat_map(|value| value.to_str().ok());
        let passed = passed.flat_map(|hosts| hosts.split(',').map(PassedHost::read));
        let target_term = text(TO).and_then(|to| {
            let (host, fencing_token) = to.rsplit_once(' ')?;
            Some((host.to_owned(), FencingToken(fencing_token.parse().ok()?)))
        });
        let hold = text(HOLD).and_then(|ms| ms.parse().ok());
        let hold = hold.map(|ms: u64| Duration::from_millis(ms.min(10 * MINUTE)));
        let requested_host = headers.get(ASKED).cloned();
        let (secure, probe) = (text(SCHEME) == Some("https"), headers.contains_key(PROBE));
        Self { via: passed.collect(), target_term, hold, secure, requested_host, probe }
    }

    /// Whether another host forwarded the request.
    pub(super) fn is_from_host(&self) -> bool {
        !self.via.is_empty()
    }

    /// Whether the request has passed this host before.
    pub(super) fn has_passed_host(&self, this: &ThisHost) -> bool {
        self.via.iter().any(|passed| passed.may_be(this.name(), this.instance()))
    }

    /// Whether the request has passed `leader` before.
    pub(super) fn has_passed(&self, leader: &KnownLeader) -> bool {
        self.via.iter().any(|passed| passed.may_be(&leader.name, &leader.instance))
    }

    /// Refuses a request that has passed more than [`HOPS`] hosts.
    pub(super) fn check_hops(&self) -> Result<(), RelayError> {
        if self.via.len() > HOPS {
            return Err(RelayError::TooManyHops(self.via.len()));
        }
        Ok(())
    }

    /// The error where a request goes in a circle by way of `reached`, this host. That comes of an
    /// address only, since no host forwards what is meant for it (`url_of` knows the addresses).
    pub(super) fn circle(
        &self,
        reached: &str,
        url_of: impl FnOnce(&str) -> Option<String>,
    ) -> RelayError {
        let (Some(from), Some((to, _))) = (self.via.last(), &self.target_term) else {
            return RelayError::TooManyHops(self.via.len());
        };
        let url = url_of(to).unwrap_or_else(|| "the address that it advertises".to_owned());
        let (from, to, reached) = (from.name.clone(), to.clone(), reached.to_owned());
        RelayError::Misdirected(MisdirectedRequest { from, to, to_leader: true, url, reached })
    }

    /// Writes them into the headers for the next host.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        let mut put = |name, text: String| {
            // Host names contain no characters that a header cannot carry.
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        };
        let via: Vec<_> = self.via.iter().map(ToString::to_string).collect();
        put(VIA, via.join(", "));
        if let Some((host, fencing_token)) = &self.target_term {
            put(TO, format!("{host} {}", fencing_token.0));
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

/// Whether another host forwarded the request: [`RelayHeaders::is_from_host`] without reading the
/// rest.
pub(super) fn is_from_host(headers: &HeaderMap) -> bool {
    headers.get_all(VIA).iter().any(|value| value.to_str().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use soloist_guests::capability::TermHeaders;
    use soloist_stores::Member;

    #[test]
    fn headers_are_read_as_they_were_written() {
        let headers = RelayHeaders {
            via: vec![PassedHost::read("a 1f"), PassedHost::read("b")],
            target_term: Some(("c".into(), FencingToken(7))),
            hold: Some(Duration::from_millis(250)),
            secure: true,
            requested_host: Some(HeaderValue::from_static("example.com")),
            probe: true,
        };
        let mut written = HeaderMap::new();
        headers.write(&mut written);
        assert_eq!(RelayHeaders::read(&written), headers);
        assert!(is_from_host(&written) && !is_from_host(&HeaderMap::new()));
        assert_eq!(RelayHeaders::read(&HeaderMap::new()), RelayHeaders::default());
        TermHeaders::strip_reserved(&mut written);
        assert!(written.is_empty());
    }

    fn host(name: &str, instance: &str) -> ThisHost {
        ThisHost::of(&Member { instance: instance.into(), ..Member::named(name) })
    }

    #[test]
    fn a_request_that_has_passed_a_namesake_is_in_no_circle() {
        let this = host("a", "1f");
        let passed =
            |via| RelayHeaders { via: vec![PassedHost::read(via)], ..RelayHeaders::default() };
        assert!(passed("a 1f").has_passed_host(&this));
        assert!(!passed("a 2f").has_passed_host(&this), "a namesake");
        assert!(passed("a").has_passed_host(&this), "an older version does not tell them apart");
    }

    #[test]
    fn circles_and_too_many_hosts_are_refused() {
        let headers = |via: &[&str]| RelayHeaders {
            via: via.iter().map(|it| PassedHost::read(it)).collect(),
            ..RelayHeaders::default()
        };
        assert!(headers(&["a", "b", "c", "d"]).check_hops().is_ok());
        assert!(matches!(
            headers(&["a", "b", "c", "d", "e"]).check_hops(),
            Err(RelayError::TooManyHops(5))
        ));
        let passed = headers(&["b"]);
        assert!(
            passed.has_passed_host(&host("b", "1f")) && !passed.has_passed_host(&host("a", ""))
        );
        assert!(matches!(passed.circle("b", |_| None), RelayError::TooManyHops(1)));
        let passed = RelayHeaders { target_term: Some(("a".into(), FencingToken(7))), ..passed };
        let circle = passed.circle("b", |to| Some(format!("http://{to}:4000")));
        assert_eq!(
            circle.to_string(),
            "host b forwarded this to the leader a at http://a:4000, which is b itself"
        );
        assert_eq!(circle.help(), "set `host.advertise` on a");
    }
}
