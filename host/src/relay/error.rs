//! Why a client does not get an answer of the leader.

use std::{borrow::Cow, sync::Arc, time::Duration};

use ::http::{Response, StatusCode};

use super::{RelayBody, unserved_header};
use crate::{
    action::Unserved,
    cluster::MisdirectedRequest,
    http::{
        BAD_BODY, BAD_BODY_HELP, CLOSED_HELP, ProblemDetails, TOO_LARGE_HELP, UNKNOWN_PATH_HELP,
        too_large, unknown_path,
    },
};

/// Why a request could not be relayed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RelayError {
    #[error(
        "nobody leads the group {group} of the action {action}, or its leader does not serve it, \
         for {}",
        humantime::format_duration(*held)
    )]
    NoLeader { action: String, group: String, held: Duration },
    /// The leader is known, and could not be reached.
    #[error("{0}")]
    Unreached(String),
    #[error("the requested term has ended on this host")]
    TermEnded,
    #[error("the leadership changed while the request was being sent")]
    LeaderChanged,
    #[error("the leader was lost while it answered: {0}; the request may have been carried out")]
    Lost(String),
    #[error(
        "the leader broke off its answer and still leads ({0}); the request may have been carried \
         out"
    )]
    BrokenOff(String),
    #[error("the leader does not answer; the request may have been carried out")]
    Timeout,
    #[error("too many requests wait for the leader")]
    Busy,
    /// The address of the leader leads to another host.
    #[error("{}", .0.error())]
    Misdirected(MisdirectedRequest),
    #[error("the request passed {0} hosts and found no leader")]
    TooManyHops(usize),
    #[error("the leader {0} does not authorize this host")]
    Unauthorized(String),
    #[error("the leader's address {0} is not a URL")]
    BadUrl(String),
    #[error("{BAD_BODY}")]
    BadBody,
    #[error("{}", too_large(*.0))]
    TooLarge(u64),
    #[error("the leader answered with the status {0}, which is not a final response")]
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
            | Self::Unreached(_)
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

    /// What the client, or whoever runs the hosts, can do.
    pub(super) fn help(&self) -> Cow<'static, str> {
        let help = match self {
            Self::Misdirected(misdirected) => return misdirected.help().into(),
            Self::NoLeader { .. } => "ask again; `soloist status` shows who leads",
            Self::Unreached(_) => "ask again when that is right, or ask another host",
            Self::TermEnded => "ask the next leader",
            Self::LeaderChanged => "send it again",
            Self::Lost(_) | Self::Timeout => {
                "check whether it was carried out before you send it again"
            }
            Self::BrokenOff(_) => "the log of the action may say why",
            Self::Busy => "ask again in a moment",
            Self::TooManyHops(_) => "set `advertise` of every host to an address of its own",
            Self::Unauthorized(_) => {
                "give all hosts the same `peer_token` in [api], or certificates of one \
                 `client_ca`; if they have these already, write the name in its `advertise` into its \
                 `names` in [host]"
            }
            Self::BadUrl(_) => "correct `advertise` of that host",
            Self::BadBody => BAD_BODY_HELP,
            Self::TooLarge(_) => TOO_LARGE_HELP,
            Self::NotFinal(_) => "its log may say why",
            Self::UnknownAction { .. } => "ask for one of them",
            Self::Refused(_) => CLOSED_HELP,
            Self::UnknownPath(_) => UNKNOWN_PATH_HELP,
        };
        Cow::Borrowed(help)
    }

    /// What a forwarding host may conclude: that another leader may be asked, or may not.
    pub(super) fn unserved(&self) -> Option<Unserved> {
        match self {
            Self::NoLeader { .. } | Self::Unreached(_) | Self::TermEnded | Self::LeaderChanged => {
                Some(Unserved::NotBegun)
            }
            Self::Lost(_) => Some(Unserved::Lost),
            _ => None,
        }
    }

    /// The response for the client; with `to_host` for a forwarding host, which also gets the
    /// header by which it may ask another leader.
    pub(super) fn response(&self, to_host: bool) -> Response<RelayBody> {
        let problem = ProblemDetails::new(self.status(), self.to_string(), self.help());
        let mut response = problem.action_response(RelayBody::text);
        if let Some(unserved) = self.unserved().filter(|_| to_host) {
            unserved_header::mark_unserved(response.headers_mut(), unserved);
        }
        response
    }
}
