//! Why a client gets an error from the host instead of the guest's response.

use std::{fmt, sync::Arc};

use ::http::{HeaderValue, Response, StatusCode, header};
use wasmtime::PoolConcurrencyLimitError;

use super::{
    action_version::VersionContext,
    limited_body::BodyDefect,
    limits::ANSWER_HEADERS,
    response_body::{ResponseAbort, ResponseBody},
};
use soloist_guests::capability::PoolExhausted;
use soloist_leadership::GateShut;
use soloist_telemetry::measure;
use soloist_text::with_causes;

/// The message for a body that cannot be read.
pub(crate) const BAD_BODY: &str =
    "the body of the request broke off, or was not sent as HTTP has it; send it again, whole";

/// The message for a body that is larger than the action's settings allow.
pub(crate) fn too_large(limit: u64) -> String {
    format!(
        "the body of the request is larger than {limit} bytes; `body` in the settings of the \
         action sets how much it takes"
    )
}

/// The message for a path without an action; `known` lists the paths that have one.
pub(crate) fn unknown_path(known: &str) -> String {
    format!(
        "no action answers under this path; there are {known}; `path = \"/\"` in the settings of \
         one of them gives it all others"
    )
}

/// Why the client does not get the guest's response.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum ActionRefusal {
    /// The term is ending; the guest may have started.
    #[error("{0}; ask again, the next leader answers")]
    Shut(#[from] GateShut),
    /// The term is ending; no guest has seen anything of the request.
    #[error("{0}; ask again, the next leader answers")]
    NotBegun(GateShut),
    #[error("too many requests at once; ask again in a moment")]
    Busy,
    /// The action exists and must not answer.
    #[error("{0}")]
    Closed(Arc<str>),
    #[error("{}", unknown_path(.0))]
    Nowhere(String),
    #[error("the target of the request is none; ask for a path, such as `/`")]
    NoTarget,
    #[error("{BAD_BODY}")]
    BadBody,
    #[error("{}", too_large(*.0))]
    TooLarge(u64),
    #[error("{0}")]
    FilesHang(#[from] PoolExhausted),
    #[error("the plugin did not answer in time")]
    Timeout,
    #[error("the plugin failed before it answered; the log of this host says why")]
    Failed,
    #[error("the plugin answered with an error: {0}")]
    Error(String),
    #[error("the plugin broke off its answer: {0}")]
    BrokenOff(String),
    #[error("the plugin answered with the status {0}, which announces an answer and is none")]
    NotFinal(StatusCode),
    #[error("the plugin answered with {0} headers; {ANSWER_HEADERS} are the most that pass")]
    Headers(usize),
    #[error("wasi:http has no upgrades: ask again without the header `upgrade`")]
    Upgrade,
}

/// The log message for errors that are the plugin's fault.
pub(super) const FAILED: &str = "the plugin failed in a request";

/// An instance was ended because it took too long.
#[derive(Debug, thiserror::Error)]
#[error("it took too long")]
pub(super) struct InstanceTimeout;

/// Marks a refusal that was caused only by the end of a term: another leader may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unserved {
    /// No guest has seen anything of the request.
    NotBegun,
    /// The effect of the request may or may not have happened.
    Lost,
}

impl From<BodyDefect> for ActionRefusal {
    fn from(flaw: BodyDefect) -> Self {
        match flaw {
            BodyDefect::TooLarge(limit) => Self::TooLarge(limit),
            BodyDefect::Bad => Self::BadBody,
        }
    }
}

impl From<ResponseAbort> for ActionRefusal {
    /// The refusal for a response that was aborted before anything of it was sent.
    fn from(cut: ResponseAbort) -> Self {
        match cut {
            ResponseAbort::GateShut(shut) => shut.into(),
            ResponseAbort::GuestFailed
            | ResponseAbort::BodyFailed(_)
            | ResponseAbort::TooShort(_) => Self::BrokenOff(with_causes(&cut)),
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

    /// The response that the client gets.
    pub(super) fn response(&self) -> Response<ResponseBody> {
        let mut response = plain_response(self.status(), ResponseBody::text(format!("{self}\n")));
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

/// An error response; `text` is plain text.
pub(crate) fn plain_response<B>(status: StatusCode, text: B) -> Response<B> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// Turns an error of a guest into a refusal. It is logged unless the end of the term caused it.
pub(super) fn refusal_of_error(
    run: &VersionContext,
    asked: &dyn fmt::Display,
    error: &wasmtime::Error,
) -> ActionRefusal {
    if let Err(shut) = run.gate().pass() {
        return shut.into();
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return ActionRefusal::Busy;
    }
    if let Some(hangs) = error.downcast_ref::<PoolExhausted>() {
        return log_refusal(run, asked, hangs.clone().into());
    }
    if error.is::<InstanceTimeout>() {
        return log_refusal(run, asked, ActionRefusal::Timeout);
    }
    measure::trapped(run.action.name());
    run.log_request_error(asked, FAILED, &error.root_cause().to_string());
    tracing::debug!("{error:?}");
    ActionRefusal::Failed
}

/// Logs a refusal that is the plugin's fault.
pub(super) fn log_refusal(
    run: &VersionContext,
    asked: &dyn fmt::Display,
    refusal: ActionRefusal,
) -> ActionRefusal {
    if matches!(refusal, ActionRefusal::Timeout) {
        measure::timed_out(run.action.name());
    }
    run.log_request_error(asked, FAILED, &refusal.to_string());
    refusal
}
