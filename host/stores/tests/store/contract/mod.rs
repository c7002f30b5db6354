//! The properties that every store must have.

pub(crate) mod campaigns;
pub(crate) mod leaderships;
pub(crate) mod members;
pub(crate) mod rosters;
pub(crate) mod sessions;
