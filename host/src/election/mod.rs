//! The heart: who leads, since when, until when.

mod data;

pub use data::{Group, LeaderKey, LeaseId, Term, Token};
