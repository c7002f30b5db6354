//! Who is there, who leads, and what people tell a cluster to do.

mod clocks;
mod commands;
mod follower;
mod peers;
mod registrar;
mod sight;

pub use clocks::Clocks;
pub use commands::{
    CommandError, Commands, Done, DrainOrder, HandedOver, Obstacle, PauseOrder, RemoveOrder,
    ResignOrder,
};
pub use follower::Follower;
pub use peers::{AskError, CREDENTIAL, PASSED_ON, Passport, Peers, Reading};
pub(crate) use peers::{STRANGER, is_stranger};
pub use registrar::Registrar;
pub use sight::{Freshness, Known, Sight};
