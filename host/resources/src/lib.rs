//! Limited resources and how they are shared out: memory held for guests and clients, places for
//! clients, and open files.

pub mod budget;
pub mod descriptors;
pub mod shares;
