//! Why a client does not get an answer of the leader.

use std::{sync::Arc, time::Duration};

use ::http::{Response, StatusCode};

use super::{RelayBody, unserved_header};
use crate::{
    action::Unserved,
    cluster::MisdirectedRequest,
    http::{BAD_BODY, plain_response, too_large, unknown_path},
};

/// Why a request could not be relayed. Its text is the body of the response.
#[derive(Debug, thiserror::Error)]
pub(super) enum RelayError {
    #[error(
        "nobody leads the group {group} of the action {action}, or nobody could be reached who \
         does, for {}; ask again: `soloist status` says who leads",
        humantime::format_duration(*held)
    )]
    NoLeader { action: String, group: String, held: Duration },
    #[error("the term that was asked for is over here; ask the next leader")]
    TermEnded,
    #[error("the leadership changed while the request was being sent; send it again")]
    LeaderChanged,
    #[error("the leader was lost while it answered: {0}; what was asked for may have been done")]
    Lost(String),
    #[error(
        "the leader broke its answer off and leads on ({0}): the log of the action may say why; \
         what was asked for may have been done"
    )]
    BrokenOff(String),
    #[error("the leader does not answer; what was asked for may have been done")]
    Timeout,
    #[error("too many requests wait for the leader; ask again in a moment")]
    Busy,
    /// The address of the leader leads to another host.
    #[error("{0}")]
    Misdirected(MisdirectedRequest),
    #[error(
        "the request passed {0} hosts and found no leader: set `advertise` of every host to an \
         address of its own"
    )]
    TooManyHops(usize),
    #[error(
        "the leader {0} does not let this host in: give all hosts the same `peer_token` in [api], \
         or certificates of one `client_ca`; and if that is right, write the name in its \
         `advertise` into its `names` in [host]"
    )]
    Unauthorized(String),
    #[error("the leader's address {0} is no URL: mend `advertise` of that host")]
    BadUrl(String),
    #[error("{BAD_BODY}")]
    BadBody,
    #[error("{}", too_large(*.0))]
    TooLarge(u64),
    #[error("the leader answered with {0}, which is no answer; its log may say why")]
    NotFinal(StatusCode),
    #[error("there is no action {name} that answers requests; there are {known}")]
    UnknownAction { name: String, known: String },
    /// The action exists, but this host refuses to run it, for this reason.
    #[error("{0}")]
    Refused(Arc<str>),
    #[error("{}", unknown_path(.0))]
    UnknownPath(String),
}

impl RelayError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoLeader { .. }
            | Self::TermEnded
            | Self::LeaderChanged
            | Self::Busy
            | Self::Refused(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Lost(_)
            | Self::BrokenOff(_)
            | Self::BadUrl(_)
            | Self::Unauthorized(_)
            | Self::NotFinal(_) => StatusCode::BAD_GATEWAY,
            Self::BadBody => StatusCode::BAD_REQUEST,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Misdirected(_) | Self::TooManyHops(_) => StatusCode::LOOP_DETECTED,
            Self::UnknownAction { .. } | Self::UnknownPath(_) => StatusCode::NOT_FOUND,
        }
    }

    /// What a forwarding host may conclude: that another leader may be asked, or may not.
    pub(super) fn unserved(&self) -> Option<Unserved> {
        match self {
            Self::NoLeader { .. } | Self::TermEnded | Self::LeaderChanged => {
                Some(Unserved::NotBegun)
            }
            Self::Lost(_) => Some(Unserved::Lost),
            _ => None,
        }
    }

    /// The response for the client; with `to_host` for a forwarding host, which also gets the
    /// header by which it may ask another leader.
    pub(super) fn response(&self, to_host: bool) -> Response<RelayBody> {
        let mut response = plain_response(self.status(), RelayBody::text(format!("{self}\n")));
        if let Some(unserved) = self.unserved().filter(|_| to_host) {
            unserved_header::mark_unserved(response.headers_mut(), unserved);
        }
        response
    }
}
