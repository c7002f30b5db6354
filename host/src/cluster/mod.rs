//! Who is there, who leads, and what people tell a cluster to do.

mod commands;
mod follower;
mod peers;
mod registrar;

pub use commands::{
    CommandError, Commands, Done, DrainOrder, HandedOver, Obstacle, PauseOrder, RemoveOrder,
    ResignOrder,
};
pub use follower::Follower;
pub use peers::{PASSED_ON, Reading, pass_on};
pub use registrar::Registrar;
