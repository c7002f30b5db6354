//! What the relay and actions say alike when they refuse a request.

/// What is wrong with a body that cannot be read.
pub(crate) const BAD_BODY: &str = "the body of the request is incomplete, or is not valid HTTP";
pub(crate) const BAD_BODY_HELP: &str = "send it again, whole";

/// What to do about a body that is larger than the action's settings allow.
pub(crate) const TOO_LARGE_HELP: &str =
    "`max_body_size` in the settings of the action sets the limit";

/// What to do about a path without an action.
pub(crate) const UNKNOWN_PATH_HELP: &str =
    "ask for one of them; `path = \"/\"` in the settings of an action gives it all other paths";

/// What to do about an action that must not answer.
pub(crate) const CLOSED_HELP: &str = "`soloist status` shows the action and its last error";

/// What is wrong with a body that is larger than `limit`.
pub(crate) fn too_large(limit: u64) -> String {
    format!("the body of the request is larger than {limit} bytes")
}

/// What is wrong with a path without an action; `known` lists the paths that have one.
pub(crate) fn unknown_path(known: &str) -> String {
    format!("no action answers under this path; there are {known}")
}
