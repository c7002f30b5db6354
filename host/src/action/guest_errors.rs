//! What the errors of a guest mean for its client, and how they are logged.

use std::fmt;

use wasmtime::PoolConcurrencyLimitError;

use super::{action_refusal::ActionRefusal, version_context::VersionContext};
use soloist_guests::capability::PoolExhausted;
use soloist_telemetry::measure;

/// The log message for errors that are the plugin's fault.
pub(super) const FAILED: &str = "the plugin failed in a request";

/// An instance was ended because it took too long.
#[derive(Debug, thiserror::Error)]
#[error("it took too long")]
pub(super) struct InstanceTimeout;

/// Turns an error of a guest into a refusal. It is logged unless the end of the term caused it.
pub(super) fn refusal_of_error(
    version: &VersionContext,
    request: &dyn fmt::Display,
    error: &wasmtime::Error,
) -> ActionRefusal {
    if let Err(shut) = version.gate().pass() {
        return shut.into();
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return ActionRefusal::Busy;
    }
    if let Some(hangs) = error.downcast_ref::<PoolExhausted>() {
        return log_refusal(version, request, hangs.clone().into());
    }
    if error.is::<InstanceTimeout>() {
        return log_refusal(version, request, ActionRefusal::Timeout);
    }
    measure::trapped(version.action.name());
    version.log_request_error(request, FAILED, &error.root_cause().to_string());
    tracing::debug!("{error:?}");
    ActionRefusal::Failed
}

/// Logs a refusal that is the plugin's fault.
pub(super) fn log_refusal(
    version: &VersionContext,
    request: &dyn fmt::Display,
    refusal: ActionRefusal,
) -> ActionRefusal {
    if matches!(refusal, ActionRefusal::Timeout) {
        measure::timed_out(version.action.name());
    }
    version.log_request_error(request, FAILED, &refusal.to_string());
    refusal
}
