//! What a single instance is given in addition to what its action is granted.

use super::OutputTail;
use soloist_trace::TraceContext;

/// The parameters of one invocation of a guest. By default there are none.
#[derive(Clone, Debug, Default)]
pub struct Invocation {
    /// Environment variables. They override granted variables of the same name.
    pub env: Vec<(&'static str, String)>,
    /// Keeps the end of its output.
    pub tail: Option<OutputTail>,
    /// The trace context that it runs in.
    pub trace: Option<TraceContext>,
}
