//! How a call looks on the wire between two hosts: an HTTP request to the control address, with the
//! call's properties in headers, and a response whose status gives the outcome.

use std::{sync::Arc, time::Duration};

use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::{
    action::TaskError,
    cluster::{PASSED_ON, PASSED_TO},
};
use soloist_config::DAY;

/// The host that did the work.
pub(crate) const HOST: HeaderName = HeaderName::from_static("soloist-host");
/// The call's id.
pub(crate) const CALL: HeaderName = HeaderName::from_static("soloist-call");
/// The number of the attempt, from 1.
pub(crate) const ATTEMPT: HeaderName = HeaderName::from_static("soloist-attempt");
/// How long the call may still take, in milliseconds. A moment would not do, since clocks differ.
const WITHIN: HeaderName = HeaderName::from_static("soloist-within-ms");

/// The properties of a call that one host forwards to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ForwardedCall {
    /// The call's id.
    pub(crate) id: Arc<str>,
    /// The number of the attempt, from 1.
    pub(crate) attempt: u32,
    /// How long the call may still take.
    pub(crate) within: Duration,
}

impl ForwardedCall {
    /// Reads them from the headers of a request, if another host forwarded it.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        headers.get(PASSED_ON)?;
        let text = |name| headers.get(name)?.to_str().ok();
        Some(Self {
            id: text(CALL)?.into(),
            attempt: text(ATTEMPT)?.parse().ok()?,
            // No task may take longer than a day.
            within: Duration::from_millis(text(WITHIN)?.parse::<u64>().ok()?.min(DAY)),
        })
    }

    /// Writes them into the headers of a request that `host` forwards to the host `to`.
    pub(super) fn write(&self, headers: &mut HeaderMap, host: &str, to: &str) {
        let mut put = |name: HeaderName, value: &str| {
            // Host names and ids contain no characters that a header cannot carry.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        put(HeaderName::from_static(PASSED_ON), host);
        put(HeaderName::from_static(PASSED_TO), to);
        put(CALL, &self.id);
        put(ATTEMPT, &self.attempt.to_string());
        put(WITHIN, &self.within.as_millis().to_string());
    }
}

/// The status of a response for a call that failed this way.
pub(crate) const fn status(error: &TaskError) -> StatusCode {
    match error {
        TaskError::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
        TaskError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        TaskError::Late(_) => StatusCode::GATEWAY_TIMEOUT,
        TaskError::Busy => StatusCode::TOO_MANY_REQUESTS,
        TaskError::Leaving => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The inverse of [`status`]: the error that a status and the `text` of a response stand for. None
/// for a status that no host responds to a call with.
pub(super) fn error(status: StatusCode, text: String, within: Duration) -> Option<TaskError> {
    Some(match status {
        StatusCode::UNPROCESSABLE_ENTITY => TaskError::Refused(text),
        StatusCode::INTERNAL_SERVER_ERROR => TaskError::Failed(text),
        StatusCode::GATEWAY_TIMEOUT => TaskError::Late(within),
        StatusCode::TOO_MANY_REQUESTS => TaskError::Busy,
        StatusCode::SERVICE_UNAVAILABLE => TaskError::Leaving,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let call =
            ForwardedCall { id: "18c-a".into(), attempt: 3, within: Duration::from_millis(1500) };
        let mut headers = HeaderMap::new();
        call.write(&mut headers, "a", "b");
        assert_eq!(ForwardedCall::read(&headers), Some(call));
        headers.remove(PASSED_ON);
        assert_eq!(ForwardedCall::read(&headers), None);
    }

    #[test]
    fn every_error_comes_over() {
        let within = Duration::from_secs(1);
        for sent in [
            TaskError::Refused("why".into()),
            TaskError::Failed("why".into()),
            TaskError::Late(within),
            TaskError::Busy,
            TaskError::Leaving,
        ] {
            assert_eq!(error(status(&sent), "why".into(), within), Some(sent));
        }
        assert_eq!(error(StatusCode::NOT_FOUND, String::new(), within), None);
    }
}
