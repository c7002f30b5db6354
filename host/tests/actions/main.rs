//! Real components under a term: they answer, they fail, and above all they end.
//!
//! The guests are built by `cargo xtask`; `rig.rs` says where they are looked for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod answering;
mod backend;
mod ending;
mod folders;
mod outbound;
mod refused;
mod rig;
mod service;
mod state;
mod stop;
