//! What is attempted with queued calls, for error texts.

pub(crate) const PUT: &str = "queue a queued call";
pub(crate) const CLAIM: &str = "claim a queued call";
pub(crate) const SETTLE: &str = "record the outcome of a queued call";
pub(crate) const LOOK: &str = "look at a queued call";
pub(crate) const DEAD: &str = "list dead letters";
pub(crate) const REPLAY: &str = "replay a dead letter";
pub(crate) const PURGE: &str = "purge dead letters";
