//! Who is there, who leads, and what people tell a cluster to do.

mod clocks;
mod commands;
mod peers;
mod registrar;

pub use clocks::Clocks;
pub use commands::{
    CommandError, Commands, Done, DrainOrder, HandedOver, Obstacle, PauseOrder, RemoveOrder,
    ResignOrder,
};
pub use peers::{AskError, CREDENTIAL, PASSED_ON, Passport, Peers, Reading};
pub(crate) use peers::{STRANGER, is_stranger};
pub use registrar::Registrar;
