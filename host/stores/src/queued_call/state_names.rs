//! The states of a queued call, as the tables of SQLite and PostgreSQL name them. A claim is a row
//! of its own.

pub(crate) const QUEUED: &str = "queued";
pub(crate) const DONE: &str = "done";
pub(crate) const DEAD: &str = "dead";
