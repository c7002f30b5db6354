//! The control API: what a host says of itself, to people and to machines.
//!
//! It is there from the first moment to the last, whatever becomes of the
//! store: a host that cannot lead must be able to say why.

mod server;
mod status;

pub use server::{StatusSource, serve};
#[cfg(test)]
pub(crate) use status::tests::example;
pub use status::{
    ActionEntry, GroupEntry, HostEntry, MemberEntry, Role, Status, StoreEntry, StoreState,
};
