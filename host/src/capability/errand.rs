//! What one instance is told, beyond what its action is granted.

use super::Tail;
use crate::trace::TraceContext;

/// What an instance is sent for. By default, for nothing in particular.
#[derive(Clone, Debug, Default)]
pub(crate) struct Errand {
    /// Variables of its environment; they stand before granted ones of the same names.
    pub(crate) env: Vec<(&'static str, String)>,
    /// Where the end of its output is kept.
    pub(crate) tail: Option<Tail>,
    /// Where in a trace it belongs.
    pub(crate) trace: Option<TraceContext>,
}
