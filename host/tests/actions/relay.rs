//! The relay with simulated leaders: what it sends them, and what it makes of their answers.

mod asked_leader;
mod control_api;
mod losses;
mod protocols;
mod standby_host;
mod waiting;
