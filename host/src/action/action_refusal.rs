//! Why a client gets an error from the host instead of the guest's response.

use std::sync::Arc;

use ::http::{HeaderValue, Response, StatusCode, header};

use super::{limited_body::BodyDefect, limits::RESPONSE_HEADERS, response_abort::ResponseAbort};
use crate::http::{
    BAD_BODY, BAD_BODY_HELP, CLOSED_HELP, ProblemDetails, TOO_LARGE_HELP, UNKNOWN_PATH_HELP,
    too_large, unknown_path,
};
use soloist_guests::capability::PoolExhausted;
use soloist_leadership::GateShut;
use soloist_text::with_causes;

/// Why the client does not get the guest's response.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum ActionRefusal {
    /// The term is ending; the guest may have started.
    #[error("{0}")]
    Shut(#[from] GateShut),
    /// The term is ending; no guest has seen anything of the request.
    #[error("{0}")]
    NotBegun(GateShut),
    #[error("too many requests at once")]
    Busy,
    /// The action exists and must not answer.
    #[error("{0}")]
    Closed(Arc<str>),
    #[error("{}", unknown_path(.0))]
    Nowhere(String),
    #[error("the target of the request is invalid")]
    NoTarget,
    #[error("{BAD_BODY}")]
    BadBody,
    #[error("{}", too_large(*.0))]
    TooLarge(u64),
    #[error("{0}")]
    FilesHang(#[from] PoolExhausted),
    #[error("the plugin did not answer in time")]
    Timeout,
    #[error("the plugin failed before it answered")]
    Failed,
    #[error("the plugin answered with an error: {0}")]
    Error(String),
    #[error("the plugin broke off its answer: {0}")]
    BrokenOff(String),
    #[error(
        "the plugin answered with the status {0}, which is an interim response and not an answer"
    )]
    NotFinal(StatusCode),
    #[error("the plugin answered with {0} headers, more than the maximum of {RESPONSE_HEADERS}")]
    Headers(usize),
    #[error("wasi:http has no upgrades")]
    Upgrade,
}

/// Marks a refusal that was caused only by the end of a term: another leader may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unserved {
    /// No guest has seen anything of the request.
    NotBegun,
    /// The effect of the request may or may not have happened.
    Lost,
}

impl From<BodyDefect> for ActionRefusal {
    fn from(defect: BodyDefect) -> Self {
        match defect {
            BodyDefect::TooLarge(limit) => Self::TooLarge(limit),
            BodyDefect::Bad => Self::BadBody,
        }
    }
}

impl From<ResponseAbort> for ActionRefusal {
    /// The refusal for a response that was aborted before anything of it was sent.
    fn from(abort: ResponseAbort) -> Self {
        match abort {
            ResponseAbort::GateShut(shut) => shut.into(),
            ResponseAbort::GuestFailed
            | ResponseAbort::BodyFailed(_)
            | ResponseAbort::TooShort(_) => Self::BrokenOff(with_causes(&abort)),
        }
    }
}

impl ActionRefusal {
    /// The HTTP status of the refusal.
    fn status(&self) -> StatusCode {
        match self {
            Self::Shut(_)
            | Self::NotBegun(_)
            | Self::Busy
            | Self::Closed(_)
            | Self::FilesHang(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Nowhere(_) => StatusCode::NOT_FOUND,
            Self::NoTarget | Self::BadBody => StatusCode::BAD_REQUEST,
            Self::Upgrade => StatusCode::NOT_IMPLEMENTED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::NotFinal(_) | Self::BrokenOff(_) | Self::Headers(_) => StatusCode::BAD_GATEWAY,
            Self::Failed | Self::Error(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What the client, or whoever runs the host, can do.
    const fn help(&self) -> &'static str {
        match self {
            Self::Shut(_) | Self::NotBegun(_) => "ask again, the next leader answers",
            Self::Busy | Self::FilesHang(_) => "ask again in a moment",
            Self::Closed(_) => CLOSED_HELP,
            Self::Nowhere(_) => UNKNOWN_PATH_HELP,
            Self::NoTarget => "ask for a path, such as `/`",
            Self::BadBody => BAD_BODY_HELP,
            Self::TooLarge(_) => TOO_LARGE_HELP,
            Self::Timeout
            | Self::Failed
            | Self::Error(_)
            | Self::BrokenOff(_)
            | Self::NotFinal(_)
            | Self::Headers(_) => "the log of this host says more",
            Self::Upgrade => "ask again without the header `upgrade`",
        }
    }

    /// The response that the client gets; `text` makes its body.
    pub(super) fn response<B>(&self, text: impl FnOnce(String) -> B) -> Response<B> {
        let problem = ProblemDetails::new(self.status(), self.to_string(), self.help());
        let mut response = problem.action_response(text);
        let headers = response.headers_mut();
        // The next leader is only reached through a new connection, and the rest of a body that is
        // too large or broken is not read.
        let last =
            matches!(self, Self::Shut(_) | Self::NotBegun(_) | Self::TooLarge(_) | Self::BadBody);
        if last {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        match self {
            Self::Shut(_) => drop(response.extensions_mut().insert(Unserved::Lost)),
            Self::NotBegun(_) => drop(response.extensions_mut().insert(Unserved::NotBegun)),
            _ => {}
        }
        response
    }
}
