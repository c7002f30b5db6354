//! Who is there and who leads, as far as this host knows.

mod follower;

pub use follower::Follower;
