//! What people want of a cluster: that hosts stay out, leave, or that leadership stays where it is.

use serde::{Deserialize, Serialize};

/// Who wants something, since when and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorOrder {
    /// Who.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Since when, in milliseconds of Unix time.
    pub since: u64,
}

/// A host is to lead nothing and to stand for nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// Who wants it.
    #[serde(flatten)]
    pub order: OperatorOrder,
}

/// A host is to leave the cluster, and not to come back before it is let in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// Who wants it.
    #[serde(flatten)]
    pub order: OperatorOrder,
}

/// Leadership is not to change by preference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Who wants it.
    #[serde(flatten)]
    pub order: OperatorOrder,
    /// Whether a leader that dies is not to be replaced either.
    #[serde(default)]
    pub freeze: bool,
}
