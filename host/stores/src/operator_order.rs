//! What people have ordered for a cluster: that hosts stay out or leave, or that leaderships stay
//! where they are.

use serde::{Deserialize, Serialize};

/// Who gave an order, when and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorOrder {
    /// The person or program that gave the order.
    pub by: String,
    /// The reason, which may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When the order was given, in milliseconds of Unix time.
    pub since: u64,
}

/// A host is to lead nothing and to stand for nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// Who ordered it.
    #[serde(flatten)]
    pub order: OperatorOrder,
}

/// A host is to leave the cluster, and may not come back before it is admitted again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// Who ordered it.
    #[serde(flatten)]
    pub order: OperatorOrder,
}

/// Leaderships are to stay where they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Who ordered it.
    #[serde(flatten)]
    pub order: OperatorOrder,
    /// Whether a leader that dies is replaced all the same, so that only changes by preference
    /// stop.
    #[serde(default)]
    pub keep_failover: bool,
}
