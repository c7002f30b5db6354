//! What there is only so much of, and how it is shared out: memory that is held for guests and
//! clients, places for clients, and files that the process may open.

pub mod budget;
pub mod descriptors;
pub mod shares;
