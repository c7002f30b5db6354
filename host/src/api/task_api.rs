//! Who answers what is asked about tasks and casts, and how.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};

use crate::{action::TaskPools, tasks::Dispatcher};
use soloist_guests::plugin::TaskOutput;
use soloist_stores::is_content_type;

/// How long a caller is asked to wait who found no place, in seconds.
pub(super) const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Who answers what is asked about tasks.
#[derive(Clone)]
pub struct TaskApi {
    /// Takes calls to those who do them.
    pub dispatcher: Arc<Dispatcher>,
    /// Does those that other hosts pass on.
    pub workshop: Arc<TaskPools>,
}

/// What a task has answered, as it is.
pub(super) fn answer(TaskOutput { payload, content_type }: TaskOutput) -> Response {
    let mut response = Response::new(Body::from(payload));
    // What the store or another host says was checked by nobody here.
    if let Some(form) = content_type.filter(|form| is_content_type(form)) {
        insert_header(response.headers_mut(), &header::CONTENT_TYPE, &form);
    }
    response
}

/// What no header can say is left out.
pub(super) fn insert_header(headers: &mut HeaderMap, name: &header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
