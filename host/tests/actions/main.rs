//! Real components under a term: they answer, they fail, and above all they end.
//!
//! The guests are built by `cargo xtask`; `rig.rs` says where they are looked for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod absent;
mod answering;
mod backend;
mod cache;
mod call_queue;
mod compiling;
mod concurrent;
mod cpu;
mod ending;
mod folders;
mod hooks;
mod hostile;
mod instances;
mod jobs;
mod lifted;
mod limits;
mod log;
mod module;
mod outbound;
mod own_addresses;
mod protocols;
mod refused;
mod relay;
mod reload;
mod rig;
mod service;
mod settings;
mod sockets;
mod state;
mod stop;
mod tasks;
