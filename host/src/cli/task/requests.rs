//! Requests about tasks.

use http::Method;
use serde_json::Value;

use crate::cli::{
    ExitError,
    api_client::{ApiClient, ApiRequest},
};

/// A request to a path below `/v1/tasks`.
pub(super) fn of_tasks(client: &ApiClient, method: Method, steps: &[&str]) -> ApiRequest {
    client.request(method, &[&["v1", "tasks"], steps].concat())
}

/// JSON as a person reads it, with a line break at its end.
pub(super) fn pretty(value: &Value) -> Result<String, ExitError> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| text + "\n").map_err(|error| ExitError::internal("cannot write JSON", &error))
}
