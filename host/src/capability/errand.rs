//! What one instance is told, beyond what its action is granted.

use super::Tail;

/// What an instance is sent for. By default, for nothing in particular.
#[derive(Clone, Debug, Default)]
pub(crate) struct Errand {
    /// Variables of its environment; they stand before granted ones of the same names.
    pub(crate) env: Vec<(&'static str, String)>,
    /// Where the end of its output is kept.
    pub(crate) tail: Option<Tail>,
}
