//! The other host that a request is sent to.

use ::http::Request;
use bytes::Bytes;

use super::passing_headers::{PASSED_ON, PASSED_TO, put_header};
use soloist_stores::{Candidate, Member};

/// The other host that a request is sent to: by its name, so that it can be told from a host that
/// the request reaches by mistake, and by its address.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddress<'a> {
    /// Its name.
    pub host: &'a str,
    /// The URL of its control API.
    pub url: &'a str,
}

impl PeerAddress<'_> {
    /// Addresses a request from the host `from` to this one.
    pub(super) fn write(&self, request: &mut Request<Bytes>, from: &str) {
        put_header(request, PASSED_ON, from);
        put_header(request, PASSED_TO, self.host);
    }
}

impl<'a> From<&'a Candidate> for PeerAddress<'a> {
    fn from(candidate: &'a Candidate) -> Self {
        Self { host: &candidate.host, url: &candidate.url }
    }
}

impl<'a> From<&'a Member> for PeerAddress<'a> {
    fn from(member: &'a Member) -> Self {
        Self { host: &member.name, url: &member.url }
    }
}
