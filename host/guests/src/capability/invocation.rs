//! What one instance is told, beyond what its action is granted.

use super::OutputTail;
use soloist_trace::TraceContext;

/// What an instance is sent for. By default, for nothing in particular.
#[derive(Clone, Debug, Default)]
pub struct Invocation {
    /// Variables of its environment; they stand before granted ones of the same names.
    pub env: Vec<(&'static str, String)>,
    /// Where the end of its output is kept.
    pub tail: Option<OutputTail>,
    /// Where in a trace it belongs.
    pub trace: Option<TraceContext>,
}
