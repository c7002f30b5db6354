//! What the task and queued call routes share.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};

use crate::{action::TaskPools, tasks::Dispatcher};
use soloist_guests::plugin::TaskOutput;
use soloist_stores::is_content_type;

/// Calls tasks, and runs calls of other hosts.
#[derive(Clone)]
pub struct TaskApi {
    /// Sends calls to hosts that can run them.
    pub dispatcher: Arc<Dispatcher>,
    /// Runs the calls that other hosts pass on.
    pub pools: Arc<TaskPools>,
}

/// The response with a task's output, unchanged.
pub(super) fn task_response(TaskOutput { payload, content_type }: TaskOutput) -> Response {
    let mut response = Response::new(Body::from(payload));
    // This comes from the store or from another host, so it is unchecked.
    if let Some(form) = content_type.filter(|form| is_content_type(form)) {
        insert_header(response.headers_mut(), &header::CONTENT_TYPE, &form);
    }
    response
}

/// Inserts a header; a value that no header can hold is left out.
pub(super) fn insert_header(headers: &mut HeaderMap, name: &header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
