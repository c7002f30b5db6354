//! Why a client does not get what a guest answers.

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

/// What is said of a body that nobody can read.
pub(crate) const BAD_BODY: &str =
    "the body of the request broke off, or was not sent as HTTP has it; send it again, whole";

/// What is said of a body that is larger than the settings of its action let it be.
pub(crate) fn too_large(limit: u64) -> String {
    format!(
        "the body of the request is larger than {limit} bytes; `body` in the settings of the \
         action sets how much it takes"
    )
}

/// What is said where no action is; `known` are the paths that there are.
pub(crate) fn unknown_path(known: &str) -> String {
    format!(
        "no action answers under this path; there are {known}; `path = \"/\"` in the settings of \
         one of them gives it all others"
    )
}

/// Why the guest's answer is not what the client gets.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum ActionRefusal {
    /// The guest may have begun.
    #[error("{0}; ask again, the next leader answers")]
    Shut(#[from] GateShut),
    /// No guest has seen anything of the request.
    #[error("{0}; ask again, the next leader answers")]
    NotBegun(GateShut),
    #[error("too many requests at once; ask again in a moment")]
    Busy,
    /// The action is there, and is not to answer.
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

/// What the log says where the plugin is to blame.
pub(super) const FAILED: &str = "the plugin failed in a request";

/// An instance is ended since it takes too long.
#[derive(Debug, thiserror::Error)]
#[error("it took too long")]
pub(super) struct InstanceTimeout;

/// Marks a refusal that only the end of a term has caused: another leader may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unserved {
    /// No guest has seen anything of the request.
    NotBegun,
    /// What the request asks for may have been done.
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
    /// What a client is told before anything of the answer has gone out.
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
    /// The status of the response that says so.
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

    /// The response that tells a client.
    pub(super) fn response(&self) -> Response<ResponseBody> {
        let mut response = told(self.status(), ResponseBody::text(format!("{self}\n")));
        let headers = response.headers_mut();
        // The next leader is found by another connection only; and the rest of a body that
        // is too large or bad is not read.
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

/// A response that tells why there is no other; `text` is plain.
pub(crate) fn told<B>(status: StatusCode, text: B) -> Response<B> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// What an error of a guest means; it is logged unless the term caused it.
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

/// Logs what the plugin is to blame for.
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
