//! Turns the errors of the layers below into the error responses of the control API: each states
//! its code, what is wrong and what to do about it in one way, [`ApiError`].

use axum::http::{HeaderValue, StatusCode};

use super::api_error::ApiError;
use crate::{
    cluster::CommandError,
    tasks::call_queue::{CallQueueError, CallQueueErrorKind},
};
use soloist_guests::capability::CallError;
use soloist_stores::StoreError;
use soloist_text::with_causes;

/// When a client that found no free capacity may try again, in seconds.
pub(super) const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let text = with_causes(&error);
        match error {
            StoreError::Limit(problem) => Self::too_large(problem),
            StoreError::Unavailable { .. } => {
                let help =
                    "try again when GET /readyz says ok; a write may have been made nevertheless";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, text, help)
            }
            StoreError::Refused { .. } => {
                let help = "correct that in the store, or in this host's `store`";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, text, help)
            }
            StoreError::Conflict
            | StoreError::NotLeader
            | StoreError::LeaseGone
            | StoreError::NameTaken { .. }
            | StoreError::Removed { .. } => Self::new(StatusCode::CONFLICT, text, "try again"),
        }
    }
}

impl From<CommandError> for ApiError {
    fn from(CommandError { kind, error, help }: CommandError) -> Self {
        Self::new(known_code(kind.code()), error, help)
    }
}

impl From<CallQueueError> for ApiError {
    fn from(error: CallQueueError) -> Self {
        let refused = Self::new(known_code(error.kind.code()), error.error, error.help);
        match error.kind {
            CallQueueErrorKind::QueueFull | CallQueueErrorKind::Unavailable => {
                refused.retry_after(RETRY_AFTER)
            }
            _ => refused,
        }
    }
}

impl From<CallError> for ApiError {
    fn from(error: CallError) -> Self {
        let code = match &error {
            CallError::Unknown { .. } => StatusCode::NOT_FOUND,
            CallError::Unusable { .. } => StatusCode::CONFLICT,
            CallError::Refused { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            CallError::Failed { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            CallError::Late { .. } => StatusCode::GATEWAY_TIMEOUT,
            CallError::Busy { .. } | CallError::OverBudget(_) => StatusCode::TOO_MANY_REQUESTS,
            CallError::Nobody { .. } => StatusCode::SERVICE_UNAVAILABLE,
            CallError::Lost { .. } => StatusCode::BAD_GATEWAY,
        };
        let refused = Self::new(code, error.to_string(), error.help());
        match error {
            CallError::Busy { .. } | CallError::OverBudget(_) | CallError::Nobody { .. } => {
                refused.retry_after(RETRY_AFTER)
            }
            _ => refused,
        }
    }
}

fn known_code(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
