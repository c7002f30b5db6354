//! Requests that reach another host than the one that they were sent to, because that one
//! advertises an address that leads elsewhere.
//!
//! Each request from host to host names the host that is meant. Another one that receives it does
//! not carry it out, and answers with its own name. So the sender can say what is wrong.

use std::fmt;

use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};

use super::passing_headers::{PASSED_ON, PASSED_TO};

/// The header by which a host that received a request for another one names itself.
pub(crate) const REACHED: HeaderName = HeaderName::from_static("soloist-reached");

/// The status of such an answer (RFC 9110, section 15.5.20).
pub(crate) const MISDIRECTED: StatusCode = StatusCode::MISDIRECTED_REQUEST;

/// A request that reached another host than it was sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MisdirectedRequest {
    /// The host that sent it.
    pub from: String,
    /// The host that it was meant for.
    pub to: String,
    /// Whether it was sent there because that host leads.
    pub to_leader: bool,
    /// The address that it was sent to.
    pub url: String,
    /// The host that it reached.
    pub reached: String,
}

impl MisdirectedRequest {
    /// Reads what the headers of a request and of its response say; none if it reached the host
    /// that it was meant for.
    pub(super) fn read(sent: &SentTo, response: &HeaderMap) -> Option<Self> {
        let reached = reached(response)?;
        let SentTo { from, to, url } = sent.clone();
        Some(Self { from, to, to_leader: false, url, reached })
    }

    /// The same, for a request to the leader of a group.
    #[must_use]
    pub fn to_leader(self) -> Self {
        Self { to_leader: true, ..self }
    }

    /// What happened.
    #[must_use]
    pub fn error(&self) -> String {
        let Self { from, to, url, reached, .. } = self;
        let role = if self.to_leader { "leader" } else { "host" };
        let itself = if from == reached { " itself" } else { "" };
        format!(
            "host {from} forwarded this to the {role} {to} at {url}, which is {reached}{itself}"
        )
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        format!("set `host.advertise` on {}", self.to)
    }
}

impl fmt::Display for MisdirectedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error(), self.help())
    }
}

/// Which host sends a request to which other one, and where.
#[derive(Clone, Debug)]
pub(super) struct SentTo {
    from: String,
    to: String,
    url: String,
}

impl SentTo {
    /// Reads it from a request, if that names the host that it is meant for.
    pub(super) fn read(uri: &Uri, headers: &HeaderMap) -> Option<Self> {
        let text = |value: Option<&HeaderValue>| Some(value?.to_str().ok()?.to_owned());
        let (from, to) = (text(headers.get(PASSED_ON))?, text(headers.get(PASSED_TO))?);
        let url = format!("{}://{}", uri.scheme_str()?, uri.authority()?);
        Some(Self { from, to, url })
    }
}

/// The host that a request reached instead of the one that it was meant for.
pub(crate) fn reached(response: &HeaderMap) -> Option<String> {
    Some(response.get(REACHED)?.to_str().ok()?.to_owned())
}

/// The host that a request is meant for, if that is another one than `host`.
pub(crate) fn meant_for_another<'a>(request: &'a HeaderMap, host: &str) -> Option<&'a str> {
    request.get(PASSED_TO)?.to_str().ok().filter(|to| *to != host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_a_request_went_and_what_to_do() {
        let request = |to: &'static str| {
            let (from, to) = (HeaderValue::from_static("b"), HeaderValue::from_static(to));
            HeaderMap::from_iter(
                [(PASSED_ON, from), (PASSED_TO, to)]
                    .map(|(name, host)| (HeaderName::from_static(name), host)),
            )
        };
        assert_eq!(meant_for_another(&request("a"), "a"), None);
        assert_eq!(meant_for_another(&request("a"), "b"), Some("a"));
        assert_eq!(meant_for_another(&HeaderMap::new(), "b"), None);
        let uri = Uri::from_static("http://127.0.0.1:4000/v1/switchover");
        let sent = SentTo::read(&uri, &request("a")).unwrap();
        assert_eq!(MisdirectedRequest::read(&sent, &HeaderMap::new()), None);
        let answer = |host| HeaderMap::from_iter([(REACHED, HeaderValue::from_static(host))]);
        let itself = MisdirectedRequest::read(&sent, &answer("b")).unwrap().to_leader();
        assert_eq!(
            itself.to_string(),
            "host b forwarded this to the leader a at http://127.0.0.1:4000, which is b itself: \
             set `host.advertise` on a"
        );
        let another = MisdirectedRequest::read(&sent, &answer("c")).unwrap();
        assert_eq!(
            another.error(),
            "host b forwarded this to the host a at http://127.0.0.1:4000, which is c"
        );
    }
}
