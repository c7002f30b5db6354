//! What a failed call to the store means to whoever asked.

use axum::http::StatusCode;

use super::api_error::ApiError;
use soloist_stores::StoreError;
use soloist_text::with_causes;

pub(super) fn limit_exceeded(problem: String) -> ApiError {
    let help = "state is for small things that must outlive a leader: keep the large elsewhere";
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, problem, help)
}

/// What a failed call means to whoever asked.
pub(super) fn from_store_error(error: StoreError) -> ApiError {
    let text = with_causes(&error);
    match error {
        StoreError::Limit(problem) => limit_exceeded(problem),
        StoreError::Unavailable { .. } => {
            let help =
                "try again when GET /readyz says ok; a write may have been made all the same";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, text, help)
        }
        StoreError::Refused { .. } => {
            let help = "mend that in the store, or in this host's `store`";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, text, help)
        }
        StoreError::Conflict
        | StoreError::NotLeader
        | StoreError::LeaseGone
        | StoreError::NameTaken { .. }
        | StoreError::Removed { .. } => ApiError::new(StatusCode::CONFLICT, text, "try again"),
    }
}
